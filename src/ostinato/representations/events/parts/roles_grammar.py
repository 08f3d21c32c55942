"""Which token may follow in a stream of roles and bars, so that samples are music.

    with_<role>+ (bar_<meter> (<role> (position (pitch duration)+)*)+)+ end

Every bar has a part of each role that the beginning names, in the order of the vocabulary. Within
a part positions and, at one position, pitches rise; a pitch that sounds is not struck again, and a
voice of a choir sounds one note at a time. A note lasts at most to the end of the last bar that
was asked for. What a request fixes holds by construction: the number of bars is exact where `least`
equals `bars`, in the last bar something sounds, and every role that is named plays. `rests` limits
how many bars it may rest in a row.
"""

# B batch, V vocabulary, R roles, P pitches

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ostinato.representations.events.parts.layout import (
    BAR,
    DURATION,
    END,
    OPEN,
    PITCH,
    POSITION,
    WITH,
    Layout,
)
from ostinato.representations.protocol import NO_LIMIT, Extent, Index, Mask, Tokens

Ints = npt.NDArray[np.int64]
PITCHES = 128
PER_QUARTER = 32  # positions of a role, at most
START = -1


class RolesGrammar:
    """States of B sequences; each attribute named in `_columns` is an array over B.

    rests: bars in a row without a sound that a role may have; NO_LIMIT at first. most: positions,
    beyond which a sequence has gone astray.
    """

    _columns: tuple[str, ...] = (
        "_previous",
        "_with",
        "_played",
        "_role",
        "_meter",
        "_bar_start",
        "_bar_steps",
    )
    _columns += (
        "_count",
        "_position",
        "_last_pitch",
        "_ends",
        "_latest",
        "_limit",
        "_rested",
        "_closed",
        "_chosen",
    )

    def __init__(
        self,
        layout: Layout,
        extent: Extent,
        prompts: Sequence[Tokens],
        *,
        meter: int | None,
        single: bool,
    ) -> None:
        batch, roles = len(prompts), len(layout.opens)
        self._layout, self._extent, self._fixed, self._single = layout, extent, meter, single
        self._previous: Ints = np.full(batch, START)
        self._with: Mask = np.zeros((batch, roles), dtype=bool)
        self._played: Mask = np.zeros((batch, roles), dtype=bool)
        self._role: Ints = np.full(batch, -1)
        self._meter: Ints = np.full(batch, -1)
        self._bar_start: Ints = np.zeros(batch, dtype=np.int64)
        self._bar_steps: Ints = np.zeros(batch, dtype=np.int64)
        self._count: Ints = np.zeros(batch, dtype=np.int64)  # bars before the current one
        self._position: Ints = np.full(batch, -1)
        self._last_pitch: Ints = np.full(batch, -1)
        # when each pitch of each role falls silent
        self._ends: Ints = np.zeros((batch, roles, PITCHES), dtype=np.int64)
        self._latest: Ints = np.zeros(batch, dtype=np.int64)
        self._limit: Ints = np.full(batch, NO_LIMIT)
        # bars before this one in which each role has begun no note; -1: in this bar it has
        self._rested: Ints = np.full((batch, roles), -1)
        self.rests = NO_LIMIT
        self._closed: Mask = np.zeros(batch, dtype=bool)
        for number, prompt in enumerate(prompts):
            for token in prompt[:, 0].tolist():
                self._take(number, token)
        # a prompt is whole bars, so nothing is added to the last of them; the roles are named
        self._closed = self._bar_steps > 0
        self._chosen: Mask = np.asarray(self._with.any(axis=1))
        named = self._with.sum(axis=1).max(initial=0) or roles
        quarters = (extent.bars or 0) * extent.bar_quarters()
        longest = max(map(len, prompts), default=0)
        self.most = max(int(PER_QUARTER * named * quarters), 2 * longest + 1)

    def relax(self) -> None:
        """From now on voices of a choir may sound several notes, as a player's may."""
        self._single = False

    def allowed(self, column: int = 0) -> Mask | None:
        """What may come next, (B, V)."""
        rows = [self._next(number) for number in range(len(self._previous))]
        return np.stack(rows)

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Append a token to the sequences in `moving_B`."""
        for number in np.flatnonzero(moving_B).tolist():
            self._take(number, int(tokens_B[number]))

    def end_within(self, steps: int) -> None:
        """In the current bar, let no note sound beyond so many steps from its beginning."""
        self._limit = self._bar_start + steps

    def part(self, role: int) -> Mask:
        """Of one sequence: which symbols of the role whose part is open may follow, (V of the
        role,); the first one ends the part.
        """
        first = int(self._layout.opens[role])
        mask = self._next(0)[first : first + self._layout.size_of(role)]
        inside = int(self._previous[0]) in (POSITION, PITCH)
        mask[0] = not inside and not self._must_play(0)
        return mask

    def finished(self) -> Mask:
        """Which sequences have their end."""
        ended: Mask = np.equal(self._previous, END)
        return ended

    def ended(self) -> Mask:
        """Which sequences have an end before the last bar that was asked for."""
        bars = self._extent.bars
        early: Mask = np.less(self.bars(), NO_LIMIT if bars is None else bars)
        return np.logical_and(self.finished(), early)

    def bars(self) -> Ints:
        """How many bars are complete; a pickup is a bar that begins with rests."""
        begun = self._bar_steps > 0
        return self._count + (begun & (self.finished() | self._closed))

    def select(self, index: Index) -> None:
        """Keep these sequences."""
        for name in self._columns:
            setattr(self, name, getattr(self, name)[index])

    def _next(self, number: int) -> Mask:
        layout, previous = self._layout, int(self._previous[number])
        mask: Mask = np.zeros(len(layout.names), dtype=bool)
        if previous == END or (previous == START and self._extent.bars == 0):
            mask[END] = True
        elif previous in (START, WITH):
            self._may_begin(number, mask)
        elif previous == BAR:
            mask[layout.opens[self._following(number, -1)]] = True
        elif previous == POSITION:
            self._may_sound(number, mask, -1)
        elif previous == PITCH:
            longest = min(layout.longest, int(self._limit[number]) - self._time(number))
            first = layout.durations[self._role[number]] + 1
            mask[first : first + max(1, longest)] = True
        else:
            self._may_go_on(number, mask)
        return mask

    def _may_begin(self, number: int, mask: Mask) -> None:
        """More roles, or the first bar."""
        named = self._with[number]
        later = int(np.flatnonzero(named).max(initial=-1)) + 1
        mask[1 + later : 1 + len(named)] = not self._chosen[number]
        if named.any():
            self._may_bar(number, mask)

    def _may_go_on(self, number: int, mask: Mask) -> None:
        """A higher pitch, a later position, or the end of this role's part of the bar."""
        layout, role = self._layout, int(self._role[number])
        if not self._closed[number]:
            if self._previous[number] == DURATION:
                self._may_sound(number, mask, int(self._last_pitch[number]))
            free = self._free_from(number) - int(self._bar_start[number])
            first = max(int(self._position[number]) + 1, free)
            start = layout.positions[role]
            mask[start + first : start + max(first, int(self._bar_steps[number]))] = True
            following = self._following(number, role)
            if following >= 0 and not self._must_play(number):
                mask[layout.opens[following]] = True
            if following >= 0 or self._must_play(number):
                return
        bars, count = self._extent.bars, int(self._count[number]) + 1
        over = bars is not None and count >= bars
        if not over:
            self._may_bar(number, mask)
        sounds = self._latest[number] > self._bar_start[number]
        whole = sounds and self._played[number, self._with[number]].all()
        mask[END] = (over and not mask.any()) or (count >= self._extent.least and whole)

    def _must_play(self, number: int) -> bool:
        """Whether a role may not leave a bar: it has rested for too long; or this is the last bar,
        and it has never played, or all is silent.
        """
        bars, role = self._extent.bars, int(self._role[number])
        if self._rested[number, role] >= self.rests:
            return bool(self._ends[number, role].max() <= self._bar_start[number])
        if bars is None or self._count[number] + 1 < bars:
            return False
        last = self._following(number, role) < 0
        silent = self._latest[number] <= self._bar_start[number]
        return bool(not self._played[number, role] or (last and silent))

    def _may_bar(self, number: int, mask: Mask) -> None:
        """A bar in a meter that leaves room for what sounds."""
        layout, bars = self._layout, self._extent.bars
        start, count = self._next_bar(number)
        fits = np.full(len(layout.bar_steps), True)
        if bars is not None:
            fits = start + (bars - count) * layout.bar_steps >= self._latest[number]
            if self._meter[number] >= 0:
                fits[self._meter[number]] = True
        if self._fixed is not None:
            fits &= np.arange(len(fits)) == self._fixed
        mask[layout.first_bar : layout.first_bar + len(fits)] = fits

    def _may_sound(self, number: int, mask: Mask, above: int) -> None:
        """Pitches of the role above one that are silent now."""
        layout, role = self._layout, int(self._role[number])
        ends, time = self._ends[number, role], self._time(number)
        if self._single and ends.max() > time:
            return
        low, high = layout.registers[role]
        pitches = np.arange(max(low, above + 1), high + 1)
        mask[layout.pitches[role] + pitches[ends[pitches] <= time]] = True

    def _free_from(self, number: int) -> int:
        """From when on the role may begin a note."""
        role = int(self._role[number])
        low, high = self._layout.registers[role]
        ends = self._ends[number, role, low : high + 1]
        return int(ends.max() if self._single else ends.min())

    def _following(self, number: int, role: int) -> int:
        """The next role of the bar, -1 after the last one."""
        later = np.flatnonzero(self._with[number, role + 1 :])
        return role + 1 + int(later[0]) if len(later) else -1

    def _time(self, number: int) -> int:
        return int(self._bar_start[number] + self._position[number])

    def _next_bar(self, number: int) -> tuple[int, int]:
        """Where the next bar begins, and how many are before it."""
        steps = int(self._bar_steps[number])
        return int(self._bar_start[number]) + steps, int(self._count[number]) + (steps > 0)

    def _take(self, number: int, token: int) -> None:
        layout = self._layout
        kind, value = int(layout.kinds[token]), int(layout.values[token])
        if kind == WITH:
            self._with[number, value] = True
        elif kind == BAR:
            self._bar_start[number], self._count[number] = self._next_bar(number)
            self._rested[number] += 1
            self._meter[number], self._bar_steps[number] = value, layout.bar_steps[value]
            self._closed[number] = False
            if self._extent.bars is not None:
                left = max(1, self._extent.bars - int(self._count[number]))
                self._limit[number] = self._bar_start[number] + left * self._bar_steps[number]
        elif kind == OPEN:
            self._role[number] = layout.owners[token]
            self._position[number] = self._last_pitch[number] = -1
        elif kind == POSITION:
            self._position[number], self._last_pitch[number] = value, -1
        elif kind == PITCH:
            self._last_pitch[number] = value
            self._played[number, self._role[number]] = True
            self._rested[number, self._role[number]] = -1
        elif kind == DURATION:
            end = self._time(number) + value
            self._ends[number, self._role[number], self._last_pitch[number]] = end
            self._latest[number] = max(int(self._latest[number]), end)
        self._previous[number] = kind
