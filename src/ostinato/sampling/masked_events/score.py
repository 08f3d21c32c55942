"""One piece while it is filled: which values every hidden token may have, given the known ones.

The rules are those of the events' grammar: positions of a bar rise, and so do the voices of an
onset; a voice sounds one note at a time, and no note sounds beyond the last bar. A value is always
drawn so that all hidden tokens still have one, so every piece is well-formed and nothing is mended
afterwards.
"""

# T tokens

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ostinato.models.masked_events.parts.kinds import (
    BAR,
    DURATION,
    METER,
    PITCH,
    POSITION,
    VOICE,
    Kinds,
)

HIDDEN = -1
Ints = npt.NDArray[np.int64]


@dataclass
class Onset:
    """place: of its position's token. bar: its number from 0. voices: places of voice tokens."""

    place: int
    bar: int
    voices: list[int] = field(default_factory=list)


class Score:
    """tokens (T,): HIDDEN where not known. Outlines are whole: kinds, and meters, are known.

    ringing: by bar, when a note of each voice that was there before ends, in steps from the bar
    line; a voice is not free before that.
    """

    def __init__(
        self,
        kinds: Kinds,
        tokens: Ints,
        token_kinds: Ints,
        bar_steps: Sequence[int],
        ringing: dict[int, list[int]],
    ) -> None:
        self.tokens, self.token_kinds = tokens, token_kinds
        self._kinds, self._ringing = kinds, ringing
        self._voices = kinds.count_K[VOICE]
        self.onsets: list[Onset] = []
        self.steps: list[int] = []  # of every bar
        self._onset_at: dict[int, int] = {}  # by place, of every token of an onset
        for place, kind in enumerate(token_kinds.tolist()):
            if kind == METER:
                self.steps.append(bar_steps[tokens[place]])
            elif kind == POSITION:
                self.onsets.append(Onset(place, len(self.steps) - 1))
            elif kind == VOICE:
                self.onsets[-1].voices.append(place)
            if kind in (POSITION, VOICE, PITCH, DURATION):
                self._onset_at[place] = len(self.onsets) - 1
        self._starts = np.cumsum([0, *self.steps]).tolist()
        bars = [onset.bar for onset in self.onsets]
        self._first = np.searchsorted(bars, np.arange(len(self.steps) + 1)).tolist()

    def allowed(self, place: int) -> tuple[int, int, list[int] | None]:
        """The first and the last token that may stand at a hidden place; where not all between
        them may, those that may.
        """
        kind = int(self.token_kinds[place])
        if kind == POSITION:
            return (*self._positions(self._onset_at[place]), None)
        if kind == VOICE:
            free = self._free_voices(place)
            return free[0], free[-1], free
        block = self._kinds.block(kind)
        if kind == DURATION:
            room = max(1, min(self.room(place), block.stop - block.start))
            return block.start, block.start + room - 1, None
        return block.start, block.stop - 1, None

    def room(self, place: int) -> int:
        """The longest that the note of a duration's token may be, as far as that is known."""
        number = self._onset_at[place]
        time, voice = self._time(number), int(self.tokens[place - 2])
        if time == HIDDEN:
            return int(self._starts[-1])
        then = int(self._starts[-1])
        if voice != HIDDEN:
            for later in range(number + 1, len(self.onsets)):
                if any(self.tokens[at] == voice for at in self.onsets[later].voices):
                    found = self._time(later)
                    then = then if found == HIDDEN else found
                    break
        return then - time

    def overlong(self) -> list[int]:
        """Places of durations that reach into the voice's next note, or beyond the last bar."""
        first = self._kinds.first_K[DURATION] - 1
        places = np.flatnonzero(self.token_kinds == DURATION).tolist()
        return [place for place in places if self.tokens[place] - first > self.room(place)]

    def position_of(self, place: int) -> int:
        """The place of the position that the token of a voice depends on."""
        return self.onsets[self._onset_at[place]].place

    def _time(self, number: int) -> int:
        onset = self.onsets[number]
        token = int(self.tokens[onset.place])
        if token == HIDDEN:
            return HIDDEN
        return int(self._starts[onset.bar]) + token - self._kinds.first_K[POSITION]

    def _positions(self, number: int) -> tuple[int, int]:
        """The first and last token for an onset's position."""
        bar, first = self.onsets[number].bar, self._kinds.first_K[POSITION]
        low = -1
        for each in range(self._first[bar], number + 1):
            onset = self.onsets[each]
            known = int(self.tokens[onset.place]) if each < number else HIDDEN
            low = max(low + 1, self._earliest(onset)) if known == HIDDEN else known - first
        high = self.steps[bar]
        for each in range(self._first[bar + 1] - 1, number - 1, -1):
            known = int(self.tokens[self.onsets[each].place]) if each > number else HIDDEN
            high = high - 1 if known == HIDDEN else known - first
        return first + low, first + max(low, high)

    def _earliest(self, onset: Onset) -> int:
        """The first step of its bar at which as many voices are free, and those that are known."""
        ends = self._ringing.get(onset.bar)
        if ends is None:
            return 0
        first = self._kinds.first_K[VOICE]
        known = [int(self.tokens[place]) - first for place in onset.voices]
        busy = [ends[voice] for voice in known if voice >= 0]
        return max([sorted(ends)[len(onset.voices) - 1], *busy])

    def _free_voices(self, place: int) -> list[int]:
        """Tokens of the voices that may begin a note here; the onset's position is known."""
        onset = self.onsets[self._onset_at[place]]
        first = self._kinds.first_K[VOICE]
        time = int(self.tokens[onset.place]) - self._kinds.first_K[POSITION]
        ends = self._ringing.get(onset.bar, [0] * self._voices)
        free = [first + voice for voice in range(self._voices) if ends[voice] <= time]
        mine = onset.voices.index(place)
        low, high = mine, len(free) - (len(onset.voices) - mine)
        for number, at in enumerate(onset.voices):
            token = int(self.tokens[at])
            if token == HIDDEN or number == mine:
                continue
            if number < mine:
                low = max(low, free.index(token) + mine - number)
            else:
                high = min(high, free.index(token) - (number - mine))
        return free[low : high + 1]


def kinds_in(kinds: Kinds, tokens: Ints) -> Ints:
    """The kind of every token of a piece."""
    found: Ints = kinds.kind_V.cpu().numpy()[tokens]
    return found


def bar_numbers(token_kinds: Ints) -> Ints:
    """The number of every token's bar, from 0; -1 before the first."""
    numbers: Ints = np.cumsum(token_kinds == BAR) - 1
    return numbers
