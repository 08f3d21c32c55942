"""Call and response: a player's bars are heard on a MIDI input and answered with as many."""

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import Any

from ostinato.live.clips import ClipNote, beats_of, clips_of, piece_of
from ostinato.live.composer import Composer
from ostinato.live.player import TICKS_A_BEAT, Player

GRID = 4  # an answer begins on a sixteenth of the call's beats
SHORTEST, LONGEST = 60 / 999 / TICKS_A_BEAT, 60 / TICKS_A_BEAT  # seconds between pulses of a clock


class Keyboard:
    """What is played on a MIDI input, in beats from the first key, or from MIDI's start message.

    qpm: tempo until MIDI clock says another. beat: called with the time and the tempo of every beat
    of the clock. stopped: called when the clock stops.
    """

    def __init__(
        self,
        qpm: float,
        *,
        beat: Callable[[float, float], None] = lambda *_: None,
        stopped: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.qpm, self._now = qpm, now
        self._on_beat, self._on_stop = beat, stopped
        self._count = 0  # of pulses since the start
        self.begun = 0.0  # the time of beat 0
        self._pressed = threading.Event()
        self._held: dict[int, tuple[float, int]] = {}
        self._notes: list[ClipNote] = []
        self._pulses: deque[float] = deque(maxlen=2 * TICKS_A_BEAT + 1)
        self._lock = threading.Lock()
        self._started = False

    def receive(self, message: Any) -> None:
        """One message of mido, at the time of the call."""
        when = self._now()
        with self._lock:
            if message.type == "clock":
                self._pulse(when)
            elif message.type == "start":
                self.begun, self._started = when, True
                self._count = 0
                self._pulses.clear()
            elif message.type == "stop":
                self._on_stop()
            elif message.type == "note_on" and message.velocity:
                if not self._started:
                    self.begun, self._started = when, True
                self._lift(message.note, when)
                self._held[message.note] = (self._beat(when), message.velocity)
                self._pressed.set()
            elif message.type in ("note_on", "note_off"):
                self._lift(message.note, when)

    def wait(self, timeout: float) -> bool:
        """Wait for the first key; returns whether one was pressed."""
        return self._pressed.wait(timeout)

    def time_of(self, beat: float) -> float:
        """When a beat is, by the tempo now."""
        return self.begun + beat * 60.0 / self.qpm

    def take(self, start: float, end: float) -> list[ClipNote]:
        """Notes that begin in a span of beats, from its start; keys that are down end with it."""
        with self._lock:
            held = [
                ClipNote(beat, pitch, max(end - beat, 0.25), velocity)
                for pitch, (beat, velocity) in self._held.items()
            ]
            return sorted(
                ClipNote(note.start - start, note.pitch, note.duration, note.velocity)
                for note in (*self._notes, *held)
                if start <= note.start < end
            )

    def forget(self) -> None:
        """Begin a new call with the next key."""
        with self._lock:
            self._notes, self._held, self._started = [], {}, False
            self._pressed.clear()

    def _pulse(self, when: float) -> None:
        self._count += 1
        if self._pulses and when - self._pulses[-1] < SHORTEST:
            return  # it waited in a buffer, and says nothing about the tempo
        self._pulses.append(when)
        if len(self._pulses) > TICKS_A_BEAT:
            times = list(self._pulses)
            gaps = [after - before for before, after in pairwise(times)]
            gap = median(gaps)
            if gap <= LONGEST:
                self.qpm = 60.0 / (gap * TICKS_A_BEAT)
                if self._count % TICKS_A_BEAT == 1:
                    self._on_beat(when, self.qpm)

    def _lift(self, pitch: int, when: float) -> None:
        if pitch in self._held:
            beat, velocity = self._held.pop(pitch)
            duration = max(self._beat(when) - beat, 1 / TICKS_A_BEAT)
            self._notes.append(ClipNote(beat, pitch, duration, velocity))

    def _beat(self, when: float) -> float:
        """On the grid of a sixteenth triplet and finer: a hand is not more exact."""
        return round((when - self.begun) * self.qpm / 60.0 * TICKS_A_BEAT) / TICKS_A_BEAT


class Duet:
    """Hears `bars` bars, then plays as many that go on from them."""

    def __init__(
        self,
        composer: Composer,
        player: Player,
        keyboard: Keyboard,
        *,
        bars: int = 4,
        meter: tuple[int, int] = (4, 4),
        seed: int = 1,
    ) -> None:
        self._composer, self._player, self._keyboard = composer, player, keyboard
        self._bars, self._meter, self._seed = bars, meter, seed
        self._number = 0

    def answer(self, timeout: float) -> int:
        """Hear a call and answer it; returns the number of notes of the answer.

        The answer begins on the first sixteenth after its first bar is made, at the earliest when
        the call ends.

        Raises:
            TimeoutError: nobody played in `timeout` seconds.
            ValueError: the model cannot hold what was played.
        """
        keyboard = self._keyboard
        if not keyboard.wait(timeout):
            raise TimeoutError(f"no key was pressed in {timeout:g} seconds")
        beats = self._bars * self._meter[0] * 4 / self._meter[1]
        while (left := keyboard.time_of(beats) - time.perf_counter()) > 0:
            time.sleep(min(left, 0.02))
        prompt, _ = piece_of({"": keyboard.take(0, beats)}, keyboard.qpm, self._meter)
        self._number += 1
        values = {"bars": self._bars, "seed": self._seed + self._number - 1}
        request = self._composer.prepare("continue", values, prompt).request
        self._player.tempo(keyboard.qpm)
        begin, count = None, 0
        skip = round(beats / beats_of(prompt) * self._bars)
        for step in self._composer.compose(request):
            if step.failed or step.piece is None:
                raise ValueError(f"no answer: {step.failed}")
            notes = sorted(n for line in clips_of(step.piece, skip).values() for n in line)
            if not notes:
                continue
            begin = self._begin(beats) if begin is None else begin
            self._player.feed(-self._number, notes, begin)
            count = len(notes)
        keyboard.forget()
        return count

    def run(self, say: Callable[[str], object]) -> None:
        """Answer call after call; says what was answered, and why a call was not."""
        while True:
            try:
                say(f"answered with {self.answer(timeout=3600)} notes")
            except TimeoutError:
                continue
            except ValueError as error:
                say(f"no answer: {error}")
                self._keyboard.forget()

    def _begin(self, beats: float) -> float:
        """The time of the first sixteenth that is still ahead, from the call's end on."""
        keyboard = self._keyboard
        passed = (time.perf_counter() - keyboard.begun) * keyboard.qpm / 60.0
        return keyboard.time_of(max(beats, -(-passed * GRID // 1) / GRID))
