"""Grammars of the event representations: which token may follow, so that samples are music.

A sequence has the order that MidiTok gives it: time never goes back; at one time voices come in
their order and the pitches of a voice rise. No note sounds beyond the limit, and the end comes only
after one that reaches it. A grammar also is the clock of a sequence: it knows time, meters and what
sounds after every token it took.
"""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from ostinato.representations.events.vocabulary import END, NoteKind, Vocabulary
from ostinato.representations.protocol import Mask, Tokens

FOREVER = 1 << 30  # steps: the limit of a grammar that only follows


class EventGrammar(ABC):
    """What both schemes share: the current voice and meter, where a prompt ended, the end.

    meters: changes as (onset in steps, number of the meter in the vocabulary), as they were
        written.
    time: the current step.
    """

    def __init__(self, vocabulary: Vocabulary, limit: int) -> None:
        self._vocabulary = vocabulary
        self._limit = limit
        self._previous = ""
        self._at_cut = False
        self._begin_time()
        self.time = 0
        self.meters: list[tuple[int, int]] = []

    def _absorb(self, prompt: Tokens) -> None:
        for token in prompt[:, 0].tolist():
            self.advance(token)
        # whatever moved time to the end of the prompt may be prolonged, and all voices may begin
        # there
        self._at_cut = len(prompt) > 0
        if self._previous not in ("voice", "pitch"):
            self._begin_time()

    @abstractmethod
    def allowed(self, column: int = 0) -> Mask:
        """Mask over the vocabulary of what may come next; there is one column only."""

    @abstractmethod
    def _take(self, kind: str, value: int) -> None: ...

    def advance(self, token: int, column: int = 0) -> None:
        """Take a token."""
        kind, value = self._vocabulary.kinds[token], self._vocabulary.values[token]
        self._at_cut = False
        self._take(kind, value)
        self._previous = kind

    def finished(self) -> bool:
        """Whether the end was taken."""
        return self._previous == END

    def _bar_steps(self) -> int:
        return self._vocabulary.bar_steps[self.meters[-1][1]] if self.meters else 0

    def _mask(self) -> Mask:
        return np.zeros(len(self._vocabulary.names), dtype=bool)

    def _allow(self, mask: Mask, kind: str, first: int = 0, stop: int | None = None) -> None:
        """Allow the tokens of a kind from the first-th to before the stop-th of its block."""
        block = self._vocabulary.blocks[kind]
        end = len(block) if stop is None else max(0, min(stop, len(block)))
        mask[block.start + first : block.start + end] = True

    def _put(self, mask: Mask, kind: str, values: Mask) -> None:
        """Allow those tokens of a kind that a mask over its block names."""
        block = self._vocabulary.blocks[kind]
        mask[block.start : block.stop] = values

    def _put_pitches(self, mask: Mask, kind: NoteKind, voice: int, values: Mask) -> None:
        """Allow those pitches of a voice that a mask over them names."""
        block = self._vocabulary.pitches(kind, voice)
        mask[block.start : block.stop] = values

    def _table_shape(self, kind: NoteKind) -> tuple[int, int]:
        """All pitches of all voices."""
        return len(self._vocabulary.drums), len(self._vocabulary.pitches(kind, 0))

    def _begin_time(self) -> None:
        """At a new time no voice has been chosen; one that is alone always is."""
        self._voice = -1 if self._vocabulary.names_voices else 0
        self._last_pitch = -1

    def _choose_voice(self, voice: int) -> None:
        if voice != self._voice:
            self._last_pitch = -1
        self._voice = voice


class RemiGrammar(EventGrammar):
    """bar meter (position (voice pitch duration)+)*, again and again, then the end.

    A voice that is alone is not named.
    """

    def __init__(self, vocabulary: Vocabulary, limit: int, prompt: Tokens) -> None:
        super().__init__(vocabulary, limit)
        self._bar_start = 0
        self._position = -1
        self._latest = 0
        # when each pitch of each voice falls silent
        self._ends = np.zeros(self._table_shape("pitch"), dtype=np.int64)
        self._absorb(prompt)

    @property
    def bar_start(self) -> int:
        """Onset of the current bar in steps."""
        return self._bar_start

    def allowed(self, column: int = 0) -> Mask:
        """Mask over the vocabulary of what may come next."""
        mask = self._mask()
        previous = self._previous
        if previous == "pitch":
            self._allow(mask, "duration", 0, max(1, self._limit - self.time))
        elif previous == "voice":
            self._put_pitches(mask, "pitch", self._voice, self._free(self._voice))
        elif self.time >= self._limit:
            mask[0] = True
        elif previous == "":
            self._allow(mask, "bar")
        elif previous == "bar":
            self._allow(mask, "meter")
        else:
            self._allow_onward(mask, previous)
        return mask

    def _allow_onward(self, mask: Mask, previous: str) -> None:
        if previous != "meter":
            self._allow_voices(mask)
        if previous != "position" or self._at_cut:
            bar_end = self._bar_start + self._bar_steps()
            first = max(self._position + 1, int(self._ends.min()) - self._bar_start)
            self._allow(mask, "position", first, min(bar_end, self._limit) - self._bar_start)
            if bar_end < self._limit:
                self._allow(mask, "bar")
            mask[0] = self._latest >= self._limit

    def _allow_voices(self, mask: Mask) -> None:
        """Later voices with a silent pitch, and the current one if a higher pitch is silent."""
        if not self._vocabulary.names_voices:
            self._put_pitches(mask, "pitch", 0, self._free(0))
            return
        voices: Mask = np.less_equal(self._ends.min(axis=1), self.time)
        voices[: max(self._voice, 0)] = False
        if self._voice >= 0:
            voices[self._voice] = self._free(self._voice).any()
        self._put(mask, "voice", voices)

    def _free(self, voice: int) -> Mask:
        free: Mask = np.less_equal(self._ends[voice], self.time)
        free[: self._last_pitch + 1] = False
        return free

    def _take(self, kind: str, value: int) -> None:
        if kind == "bar":
            self._bar_start += self._bar_steps()
            self.time, self._position = self._bar_start, -1
        elif kind == "meter":
            self.meters.append((self._bar_start, value))
        elif kind == "position":
            self._position, self.time = value, self._bar_start + value
            self._begin_time()
        elif kind == "voice":
            self._choose_voice(value)
        elif kind == "pitch":
            self._last_pitch = value
        elif kind == "duration":
            self._ends[self._voice, self._last_pitch] = self.time + value
            self._latest = max(self._latest, self.time + value)


class MidiLikeGrammar(EventGrammar):
    """Shifts of time; at each time a meter on a bar line, then note-offs and -ons by voice."""

    def __init__(self, vocabulary: Vocabulary, limit: int, prompt: Tokens) -> None:
        super().__init__(vocabulary, limit)
        self._longest = vocabulary.count("time_shift")
        self._last_shift = 0
        # onset of what sounds, -1 for silence
        self._onsets = np.full(self._table_shape("note_on"), -1, dtype=np.int64)
        self._absorb(prompt)

    def sounding(self) -> npt.NDArray[np.int64]:
        """(voice, pitch) by index of every note that began earlier and is still open."""
        return np.argwhere(self._ending())

    def allowed(self, column: int = 0) -> Mask:
        """Mask over the vocabulary of what may come next."""
        mask = self._mask()
        if self._previous == "voice":
            self._allow_notes(mask)
        elif self.time >= self._limit:
            self._allow_last(mask)
        elif self._previous == "":
            self._allow(mask, "meter")
        else:
            self._allow_events(mask)
        return mask

    def _allow_notes(self, mask: Mask) -> None:
        """Of the current voice."""
        ending = self._ending()[self._voice] & (self._last_pitch < 0)
        self._put_pitches(mask, "note_off", self._voice, ending)
        if self.time < self._limit:
            self._put_pitches(mask, "note_on", self._voice, self._free(self._voice))

    def _allow_last(self, mask: Mask) -> None:
        """What still sounds must end, from the lowest voice on, so that each can be closed."""
        sounding = self._ending().any(axis=1)
        if not sounding.any():
            mask[0] = True
        elif self._vocabulary.names_voices:
            mask[self._vocabulary.blocks["voice"].start + int(sounding.argmax())] = True
        else:
            self._allow_notes(mask)

    def _allow_voices(self, mask: Mask) -> None:
        if not self._vocabulary.names_voices:
            self._allow_notes(mask)
            return
        self._allow(mask, "voice", max(self._voice, 0))
        if self._voice >= 0:
            more = self._free(self._voice).any() or self._last_pitch < 0
            mask[self._vocabulary.blocks["voice"].start + self._voice] = more

    def _allow_events(self, mask: Mask) -> None:
        self._allow_voices(mask)
        shifted = self._previous == "time_shift"
        if not shifted or self._at_cut or self._last_shift == self._longest:
            # the limit must find a note to close
            sounds = bool((self._onsets >= 0).any())
            self._allow(mask, "time_shift", 0, self._limit - self.time - (not sounds))
        onset, meter = self.meters[-1]
        if shifted and (self.time - onset) % self._bar_steps() == 0:
            self._allow(mask, "meter")
            mask[self._vocabulary.blocks["meter"].start + meter] = False

    def _ending(self) -> Mask:
        return (self._onsets >= 0) & (self._onsets < self.time)

    def _free(self, voice: int) -> Mask:
        free = self._onsets[voice] < 0
        free[: self._last_pitch + 1] = False
        return free

    def _take(self, kind: str, value: int) -> None:
        if kind == "time_shift":
            self.time += value
            self._last_shift = value
            self._begin_time()
        elif kind == "meter":
            self.meters.append((self.time, value))
        elif kind == "voice":
            self._choose_voice(value)
        elif kind == "note_on":
            self._onsets[self._voice, value] = self.time
            self._last_pitch = value
        elif kind == "note_off":
            self._onsets[self._voice, value] = -1
