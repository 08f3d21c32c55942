"""The MIDI port, a player's keyboard, and call and response."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from live_lab import Studio, run
from mido import Backend, Message

from ostinato.config import load_config
from ostinato.live import run as live
from ostinato.live.clips import ClipNote, clips_of, merged
from ostinato.live.composer import Composer
from ostinato.live.duet import Duet, Keyboard
from ostinato.live.player import Player, open_port
from ostinato.music.piece import cut

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def composer(model_folder):
    return Composer(model_folder)


class Recorder:
    """A MIDI port that writes down what it gets, and when."""

    def __init__(self):
        self.sent, self.closed = [], False

    def send(self, message):
        self.sent.append((time.perf_counter(), message))

    def close(self):
        self.closed = True

    def pressed(self):
        return [(when, m.note) for when, m in self.sent if m.type == "note_on"]

    def hanging(self):
        held = {}
        for _, message in self.sent:
            if message.type == "note_on":
                held[message.note] = True
            elif message.type == "note_off":
                held.pop(message.note, None)
        return held


def test_notes_are_played_in_time_while_more_come():
    port = Recorder()
    player = Player(port, qpm=1200)  # a beat takes 50 ms
    first = [ClipNote(0, 60, 1), ClipNote(1, 62, 1)]
    player.feed(1, first)
    player.feed(1, [*first, ClipNote(2, 64, 1)])
    assert player.wait(2)
    player.close()
    pressed = port.pressed()
    assert [note for _, note in pressed] == [60, 62, 64]
    for at in range(3):
        assert pressed[at][0] >= player.begun + 0.05 * at
    assert not port.hanging()
    assert port.closed


@pytest.mark.parametrize("end", ["silence", "close", "another"])
def test_no_note_hangs(end):
    port = Recorder()
    player = Player(port, qpm=60, lead=0.0)
    player.feed(1, [ClipNote(0, 60, 30), ClipNote(0, 67, 30), ClipNote(0, 60, 20)])
    for _ in range(100):
        if len(port.pressed()) == 3:
            break
        time.sleep(0.01)
    assert port.hanging()
    if end == "another":
        player.feed(2, [])
    else:
        getattr(player, end)()
    assert not port.hanging()
    if end != "close":
        player.close()


def test_pieces_are_streamed_to_the_port(composer, tmp_path):
    port = Recorder()
    player = Player(port, qpm=6000)

    async def asked():
        async with Studio(composer, tmp_path, live=False, player=player, to="port") as studio:
            studio.client.send("/ostinato/generate", "bars", 2, "seed", 4)
            heard = await studio.client.until("done")
            await asyncio.to_thread(player.wait, 5)
            return heard

    heard = run(asked())
    player.close()
    assert heard[-1][0] == "done"
    assert len(port.pressed()) == heard[-1][1][2]
    assert not port.hanging()


class Hands:
    """A player at a keyboard whose clock runs as fast as a test wants."""

    def __init__(self):
        self.time = 100.0

    def now(self):
        return self.time


def test_a_keyboard_gives_notes_in_beats_and_follows_a_clock():
    hands = Hands()
    keyboard = Keyboard(120, now=hands.now)
    keyboard.receive(Message("start"))
    for pulse in range(24 * 4):  # four beats of 0.4 seconds: 150 a minute
        keyboard.receive(Message("clock"))
        if pulse in (24, 48):
            keyboard.receive(Message("note_on", note=60 + pulse, velocity=90))
        if pulse == 36:
            keyboard.receive(Message("note_off", note=84))
        hands.time += 0.4 / 24
    assert keyboard.qpm == pytest.approx(150, abs=0.1)
    first, second = keyboard.take(0, 4)
    assert (first.pitch, first.start, first.duration) == (84, 1, pytest.approx(0.5, abs=0.01))
    assert (second.pitch, second.start) == (108, 2)
    assert second.duration == pytest.approx(2, abs=0.05)  # never released: up to the end
    for _ in range(50):  # pulses that waited in a buffer
        keyboard.receive(Message("clock"))
        hands.time += 1e-6
    assert keyboard.qpm == pytest.approx(150, abs=0.1)


def test_a_piece_follows_a_clock(monkeypatch):
    """It begins with a beat of the clock, and stays with its beats when the clock gets faster."""
    clock, port = Hands(), Recorder()
    player = Player(port, qpm=120, now=clock.now)
    keyboard = Keyboard(120, beat=player.follow, stopped=player.silence, now=clock.now)

    def beats(count, seconds):
        for _ in range(24 * count):
            keyboard.receive(Message("clock"))
            clock.time += seconds / 24

    keyboard.receive(Message("start"))
    beats(3, 0.5)
    keyboard.receive(Message("clock"))  # the fourth beat is now
    beat, clock.time = clock.time, clock.time + 0.2
    player.feed(1, [ClipNote(n, 60 + n, 1) for n in range(30)])
    assert player.begun == pytest.approx(beat + 0.5)
    clock.time = beat
    keyboard.receive(Message("start"))
    beats(8, 0.4)
    keyboard.receive(Message("clock"))
    assert player._seconds == pytest.approx(0.4)
    place = (clock.time - player.begun) / 0.4
    assert place == pytest.approx(round(place * 4) / 4, abs=0.01)
    keyboard.receive(Message("stop"))
    player.close()
    assert not port.hanging()


def test_ctrl_c_leaves_no_note(model_folder, tmp_path, monkeypatch):
    """The program itself, up to the signal, with a port that writes down what it gets."""
    port = Recorder()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "open_port", lambda name: port)
    monkeypatch.setattr(live, "read_terminal", lambda press: press("generate bars 4"))
    monkeypatch.setattr(Recorder, "send", interrupting(Recorder.send))
    config = load_config("live", ("midi_out=here", "to=port", "ableton=false", "port=0"), ROOT)
    asyncio.run(asyncio.wait_for(live.serve(model_folder, config), 60))
    assert port.pressed()
    assert port.closed
    assert not port.hanging()


def interrupting(send):
    """Ctrl-C with the fourth note."""

    def sent(self, message):
        send(self, message)
        if message.type == "note_on" and len(self.pressed()) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    return sent


def test_an_answer_follows_a_call_in_time(composer, chorale):
    call = merged(clips_of(cut(chorale(4), 0, 4 * 480)))[0]
    port = Recorder()
    player, keyboard = Player(port, qpm=600), Keyboard(600)  # a beat takes 0.1 seconds
    duet = Duet(composer, player, keyboard, bars=1, seed=3)
    begun = time.perf_counter()
    events = [(n.start, "note_on", n.pitch) for n in call]
    events += [(n.start + n.duration - 0.01, "note_off", n.pitch) for n in call]
    for beat, kind, pitch in sorted(events):
        while time.perf_counter() - begun < beat * 0.1:
            time.sleep(0.001)
        keyboard.receive(Message(kind, note=pitch))
    assert duet.answer(timeout=10) > 0
    assert player.wait(10)
    player.close()
    beats = (player.begun - keyboard.begun) / 0.1
    assert beats >= 4
    assert beats == pytest.approx(round(beats * 4) / 4)  # on the grid of the call
    assert port.pressed()[0][0] >= player.begun
    assert not port.hanging()


def test_nothing_is_answered_to_silence(composer):
    player = Player(Recorder())
    duet = Duet(composer, player, Keyboard(600), bars=1)
    with pytest.raises(TimeoutError, match="no key was pressed"):
        duet.answer(timeout=0.05)
    player.close()


def test_a_virtual_port_carries_notes_where_the_system_has_one():
    try:
        out = open_port("virtual:ostinato-test")
    except ValueError as error:
        pytest.skip(str(error)[:80])
    heard = []
    names = Backend("mido.backends.rtmidi").get_input_names()
    there = open_port(next(n for n in names if "ostinato-test" in n), heard=heard.append)
    player = Player(out, qpm=1200)
    player.feed(1, [ClipNote(0, 60, 1), ClipNote(1, 64, 1)])
    assert player.wait(5)
    player.close()
    for _ in range(200):
        if sum(message.type == "note_off" for message in heard) >= 2:
            break
        time.sleep(0.01)
    there.close()
    assert [m.note for m in heard if m.type == "note_on"] == [60, 64]


def test_a_port_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="no MIDI"):
        open_port("Nowhere")
