"""Plays notes to a MIDI port in time, while later bars are still being made.

A thread of its own keeps time. Every key that was pressed is released, whatever happens.
"""

import heapq
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ostinato.live.clips import ClipNote

TICKS_A_BEAT = 24  # of MIDI clock
ALL_NOTES_OFF = 123
GRID = 4  # a piece lies on sixteenths of a clock that it follows
SWITCH = 0.0005  # seconds
LATENESS = 10_000  # messages whose lateness is kept


class Port(Protocol):
    """What a port of mido has."""

    def send(self, message: Any) -> None:
        """Send one message."""

    def close(self) -> None:
        """Close it."""


class Player:
    """Plays pieces one after another.

    qpm: tempo; `tempo` changes it while playing. lead: seconds between the first notes and their
    sound, for a steady start.
    """

    def __init__(
        self,
        port: Port,
        qpm: float = 120.0,
        *,
        lead: float = 0.05,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._port, self._now, self._lead = port, now, lead
        self._seconds = 60.0 / qpm  # a beat
        self._changed = threading.Condition()
        self._events: list[tuple[float, int, int, int, int]] = []  # beat, order, kind …
        self._piece: int | None = None
        self._fed, self._count = set[ClipNote](), 0
        self.begun = 0.0  # the time of beat 0
        self._beat: float | None = None  # the time of a clock's latest beat
        self._sounding: dict[int, int] = {}
        self._closed = False
        # a thread that composes lets this one in after so long, instead of after 5 ms
        sys.setswitchinterval(SWITCH)
        self.late: deque[float] = deque(maxlen=LATENESS)  # seconds of messages after their time
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self._thread.start()

    def tempo(self, qpm: float) -> None:
        """Go on in another tempo from now on."""
        with self._changed:
            beat = (self._now() - self.begun) / self._seconds
            self._seconds = 60.0 / qpm
            self.begun = self._now() - beat * self._seconds
            self._changed.notify()

    def follow(self, when: float, qpm: float) -> None:
        """A clock has a beat at this time, and this tempo: what plays is brought to its grid."""
        with self._changed:
            place = round((when - self.begun) / self._seconds * GRID) / GRID
            self._seconds, self._beat = 60.0 / qpm, when
            self.begun = when - place * self._seconds
            self._changed.notify()

    def feed(self, piece: int, notes: Sequence[ClipNote], begin: float | None = None) -> None:
        """The notes of a piece so far; those that were there before are known.

        A new number stops the piece before. begin: the time of its beat 0, else at once, or with a
        clock's next beat.
        """
        with self._changed:
            if piece != self._piece:
                self._release()
                self._events, self._fed, self._piece = [], set(), piece
                self.begun = self._soon() if begin is None else begin
            new = [note for note in notes if note not in self._fed and not note.mute]
            if new and not self._events:
                self._wait_for(min(note.start for note in new))
            for note in new:
                self._push(note.start, 1, note.pitch, note.velocity)
                self._push(note.start + note.duration, 0, note.pitch, 0)
            self._fed.update(new)
            self._changed.notify()

    def silence(self) -> None:
        """Release every key and forget what was to come."""
        with self._changed:
            self._events = []
            self._release()
            self._changed.notify()

    def wait(self, timeout: float) -> bool:
        """Wait until all is played; returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._events, timeout)

    def close(self) -> None:
        """Release every key and close the port."""
        self.silence()
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(2)
        self._port.close()

    def _soon(self) -> float:
        """When a piece can begin."""
        soon = self._now() + self._lead
        if self._beat is None or soon - self._beat > 4 * self._seconds:  # the clock has stopped
            return soon
        return self._beat - (self._beat - soon) // self._seconds * self._seconds

    def _wait_for(self, beat: float) -> None:
        """Where notes come after their time, shift all later beats."""
        due = self.begun + beat * self._seconds
        late = self._now() + self._lead - due
        if late > 0 and self._fed:
            self.begun += late

    def _push(self, beat: float, kind: int, pitch: int, velocity: int) -> None:
        self._count += 1
        heapq.heappush(self._events, (beat, kind, self._count, pitch, velocity))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._closed)
                if self._closed:
                    return
                due = self.begun + self._events[0][0] * self._seconds
                ahead = due - self._now()
                if ahead > 0:
                    self._changed.wait(ahead)
                    continue
                _, kind, _, pitch, velocity = heapq.heappop(self._events)
                self.late.append(-ahead)
                self._press(pitch, velocity) if kind else self._lift(pitch)
                if not self._events:
                    self._changed.notify_all()

    def _press(self, pitch: int, velocity: int) -> None:
        from mido import Message

        if self._sounding.get(pitch):  # a key that is down is struck again
            self._port.send(Message("note_off", note=pitch))
        self._sounding[pitch] = self._sounding.get(pitch, 0) + 1
        self._port.send(Message("note_on", note=pitch, velocity=velocity))

    def _lift(self, pitch: int) -> None:
        from mido import Message

        held = self._sounding.get(pitch, 0)
        if held > 1:  # another note still holds this key
            self._sounding[pitch] = held - 1
        elif held:
            del self._sounding[pitch]
            self._port.send(Message("note_off", note=pitch))

    def _release(self) -> None:
        from mido import Message

        for pitch in list(self._sounding):
            self._port.send(Message("note_off", note=pitch))
        self._sounding.clear()
        self._port.send(Message("control_change", control=ALL_NOTES_OFF, value=0))


def open_port(name: str, *, heard: Callable[[Any], None] | None = None) -> Port:
    """A MIDI port by name; `virtual:<name>` makes one where the system can.

    heard: called with every message of an input; without it the port is an output.

    Raises:
        ValueError: there is no such port, or the system has no MIDI; it names those that are there.
    """
    import mido

    own = name.removeprefix("virtual:")
    virtual = own != name
    try:
        backend = mido.Backend("mido.backends.rtmidi", load=True)
        there = list(backend.get_input_names() if heard else backend.get_output_names())
        if virtual or name in there:
            if heard:
                port: Port = backend.open_input(own, virtual=virtual, callback=heard)
            else:
                port = backend.open_output(own, virtual=virtual)
            return port
    except Exception as error:  # rtmidi has a class of errors for each system
        raise ValueError(
            f"this system gives no MIDI ports ({error}); python-rtmidi must be installed "
            "(pip install ostinato[live]); on Linux load snd-seq, on Windows make a port with "
            "loopMIDI"
        ) from error
    raise ValueError(
        f"no MIDI {'input' if heard else 'output'} {name!r}; there are: "
        f"{', '.join(there) or 'none'}; virtual:<name> makes one on Linux and macOS"
    )
