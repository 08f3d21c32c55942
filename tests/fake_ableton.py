"""A stand-in for AbletonOSC: its addresses, its silence, its ticks, its limits, over real sockets.

As there: `create_clip` and `add/notes` are not answered, an error goes to a log and `/live/error`,
without its message, notes without a range leave out pitch 127, a reply larger than
a datagram is lost, replies go to a fixed port of the sender's machine, and messages are taken once
a tick. Live itself joins notes of one key that overlap. Datagrams can be lost, come twice or late.
"""

import random
import socket
import threading
from dataclasses import dataclass, field

from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

REPLY_LIMIT = 9216


@dataclass
class Clip:
    """A MIDI clip; length in beats."""

    length: float
    name: str = ""
    notes: list = field(default_factory=list)  # (pitch, start, duration, velocity, mute)
    fired: int = 0
    end_marker: float = 0.0


class FakeAbleton:
    """Tracks × scenes of slots. loss: the share of datagrams that never arrive, both ways. double,
    echo: the share of questions and of answers that come again, after a tick. mixed: whether those
    of a tick come in any order.

    arranges: whether it has the arrangement of pull request 195, whose messages are answered.
    """

    def __init__(
        self,
        reply_port,
        *,
        tracks=4,
        scenes=4,
        tick=0.01,
        loss=0.0,
        double=0.0,
        echo=0.0,
        mixed=False,
        seed=1,
        arranges=False,
        port=0,
    ):
        self.arranged = [[] for _ in range(tracks)] if arranges else None  # (start, clip)
        self.slots = {(t, s): None for t in range(tracks) for s in range(scenes)}
        self.scenes, self.tempo, self.meter, self.selected = scenes, 120.0, [4, 4], (0, 0)
        self.log, self.seen, self.listening = [], [], False
        self.reply_port, self.tick, self.loss = reply_port, tick, loss
        self.double, self.echo, self.mixed = double, echo, mixed
        self._again, self._answers_again = [], []  # what comes with the next tick
        self._random = random.Random(seed)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(("127.0.0.1", port))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._send("/live/startup", ())

    def close(self):
        self._stop.set()
        self._thread.join(2)
        self._socket.close()

    def set_tempo(self, qpm):
        """As if a user turned the tempo in Live."""
        self.tempo = qpm
        if self.listening:
            self._send("/live/song/get/tempo", (qpm,))

    def _run(self):
        while not self._stop.wait(self.tick):
            for data in self._answers_again:
                self._socket.sendto(data, ("127.0.0.1", self.reply_port))
            self._answers_again = []
            try:
                taken = self._taken()
            except OSError:
                return
            for data in taken:
                messages = (
                    OscBundle(data) if OscBundle.dgram_is_bundle(data) else [OscMessage(data)]
                )
                for message in messages:
                    self._process(message)

    def _taken(self):
        """The datagrams of a tick, as the network brought them."""
        taken, self._again = self._again, []
        while True:
            try:
                data, _ = self._socket.recvfrom(65536)
            except BlockingIOError:
                break
            if self._random.random() < self.loss:
                continue
            taken.append(data)
            if self._random.random() < self.double:
                self._again.append(data)
        if self.mixed:
            self._random.shuffle(taken)
        return taken

    def _process(self, message):
        self.seen.append((message.address, list(message.params)))
        try:
            answer = self._call(message.address, list(message.params))
        except Exception as error:
            self.log.append(f"{message.address}: {error!r}")
            self._send("/live/error", (f"Error handling OSC message: {error}",))
            return
        if answer is not None:
            self._send(message.address, answer)

    def _send(self, address, values):
        builder = OscMessageBuilder(address)
        for value in values:
            builder.add_arg(value)
        data = builder.build().dgram
        if len(data) > REPLY_LIMIT:
            self.log.append("Message too long")
        elif self._random.random() >= self.loss:
            self._socket.sendto(data, ("127.0.0.1", self.reply_port))
            if self._random.random() < self.echo:
                self._answers_again.append(data)

    def _call(self, address, args):
        room, *rest = address.removeprefix("/live/").split("/")
        if address == "/live/test":
            return ("ok",)
        if room == "song":
            return self._song(rest, args)
        if address == "/live/view/get/selected_clip":
            if self.selected is None:
                raise ValueError("<Track.Track object> is not in list")  # a return track
            return self.selected
        if address == "/live/view/set/selected_clip":
            self.selected = (int(args[0]), int(args[1]))
            return None
        if room == "arrangement" and self.arranged is not None:
            return self._arrangement(rest, args)
        place = (int(args[0]), int(args[1]))
        if room == "clip_slot":
            return self._slot(rest, place, args[2:])
        if room == "clip":
            return self._clip(rest, place, self.slots[place], args[2:])
        raise KeyError("Unknown OSC address")

    def _song(self, rest, args):
        match rest:
            case ["get", "tempo"]:
                return (self.tempo,)
            case ["set", "tempo"]:
                self.tempo = args[0]
            case ["get", "num_scenes"]:
                return (self.scenes,)
            case ["get", "signature_numerator"]:
                return (self.meter[0],)
            case ["get", "signature_denominator"]:
                return (self.meter[1],)
            case ["set", "signature_numerator"]:
                self.meter[0] = int(args[0])
            case ["set", "signature_denominator"]:
                self.meter[1] = int(args[0])
            case ["start_listen", "tempo"]:
                self.listening = True
                self._send("/live/song/get/tempo", (self.tempo,))
            case _:
                raise KeyError("Unknown OSC address")
        return None

    def _slot(self, rest, place, args):
        match rest:
            case ["get", "has_clip"]:
                return (*place, self.slots[place] is not None)
            case ["get", "is_triggered"]:
                return (*place, False)
            case ["get", "is_playing"]:
                return (*place, bool(self.slots[place] and self.slots[place].fired))
            case ["create_clip"]:
                if self.slots[place] is not None:
                    raise RuntimeError("the slot has a clip")
                self.slots[place] = Clip(float(args[0]))
            case ["delete_clip"]:
                self.slots[place] = None
            case _:
                raise KeyError("Unknown OSC address")
        return None

    def _clip(self, rest, place, clip, args):
        match rest:
            case ["get", "is_midi_clip"]:
                assert clip is not None
                return (*place, True)
            case ["get", "length" | "loop_end" | "end_marker" | "name" as name]:
                return (*place, getattr(clip, "length" if name == "loop_end" else name))
            case ["set", "loop_end"]:
                clip.length = float(args[0])
            case ["set", "end_marker"]:
                clip.end_marker = float(args[0])
            case ["set", "name"]:
                clip.name = args[0]
            case ["fire"]:
                clip.fired += 1
            case ["add", "notes"]:
                for at in range(0, len(args), 5):
                    pitch, start, duration, velocity, mute = args[at : at + 5]
                    self._add(clip, (int(pitch), start, duration, float(velocity), bool(mute)))
            case ["get", "notes"]:
                found = sorted(note for note in clip.notes if _within(note, args))
                return (*place, *(value for note in found for value in note))
            case ["remove", "notes"]:
                clip.notes = [note for note in clip.notes if not _within(note, args)]
            case _:
                raise KeyError("Unknown OSC address")
        return None

    def _arrangement(self, rest, args):
        track, clips = int(args[0]), self.arranged[int(args[0])]
        match rest:
            case ["create_midi_clip"]:
                start, length = float(args[1]), float(args[2])
                clips[:] = [
                    (s, c) for s, c in clips if s + c.length <= start or s >= start + length
                ]
                clips.append((start, Clip(length)))
                clips.sort(key=lambda pair: pair[0])
                return (track, start, length)
            case ["get", "clips"]:
                return (track, *(x for s, c in clips for x in (c.name, s, c.length, 1)))
        number, clip = int(args[1]), clips[int(args[1])][1]
        found = self._clip(rest, (track, number), clip, args[2:])
        return (track, number) if found is None else found

    @staticmethod
    def _add(clip, new):
        pitch, start = new[:2]
        kept = []
        for note in clip.notes:
            if (
                note[0] == pitch
                and note[1] < start + new[2] - 1e-4
                and start < note[1] + note[2] - 1e-4
            ):
                if note[1] >= start:
                    continue  # covered by the new one
                note = (note[0], note[1], start - note[1], *note[3:])
            kept.append(note)
        clip.notes = [*kept, new]


def _within(note, span):
    if not span:
        span = (0, 127, -8192, 16384)  # AbletonOSC's own default
    if len(span) != 4:
        raise ValueError("Either 0 or 4 arguments must be passed.")
    low, pitches, start, beats = span
    return low <= note[0] < low + pitches and start <= note[1] < start + beats
