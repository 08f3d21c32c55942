"""Keeps a role from one bar that it repeats from the middle of a piece to its end.

Where only the last bar is missing for that, it may not be the same: its last onset is drawn without
the one that would complete it, so that it moves, or stays out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ostinato.representations.events.parts.layout import BAR, END, OPEN, POSITION, WITH
from ostinato.representations.events.parts.roles_grammar import RolesGrammar
from ostinato.representations.protocol import Mask

FEWEST = 4  # bars that are alike; fewer are no collapse
Objects = npt.NDArray[np.object_]


def collapses_after(bars: int) -> int:
    """How many bars at the end of a piece of so many are alike where a part has collapsed."""
    return max(FEWEST, bars // 2)


class VariedGrammar(RolesGrammar):
    """A grammar that knows what every role played in the bar before, and how often in a row."""

    _columns = (*RolesGrammar._columns, "_part", "_before", "_run")
    _collapse: bool
    _part: Objects  # tokens of the open part, by sequence; None: no part is open
    _before: Objects  # those of the bar before, by sequence and role
    _run: npt.NDArray[np.int64]  # bars alike up to it

    def _begin(self, *, collapse: bool) -> None:
        """Before anything is drawn. collapse: whether a role may repeat one bar to the end."""
        batch, roles = self._with.shape
        self._collapse = collapse
        self._part = np.full(batch, None, dtype=object)
        self._before = np.full((batch, roles), None, dtype=object)
        self._run = np.zeros((batch, roles), dtype=np.int64)

    def _next(self, number: int) -> Mask:
        mask = super()._next(number)
        bars, part = self._extent.bars, self._part[number]
        if self._collapse or bars is None or part is None or self._count[number] + 1 != bars:
            return mask
        role = int(self._role[number])
        before = self._before[number, role]
        if not before or self._run[number, role] + 1 < collapses_after(bars):
            return mask
        last = max(i for i, token in enumerate(before) if self._layout.kinds[token] == POSITION)
        if part == before[:last] and mask.sum() > 1:
            mask[before[last]] = False
        return mask

    def _take(self, number: int, token: int) -> None:
        kind, part = int(self._layout.kinds[token]), self._part[number]
        if kind in (OPEN, BAR, END) and part is not None:
            role = int(self._role[number])
            same = part == self._before[number, role]
            self._run[number, role] = self._run[number, role] + 1 if same else 1
            self._before[number, role], self._part[number] = part, None
        super()._take(number, token)
        if kind == OPEN:
            self._part[number] = ()
        elif kind not in (BAR, END, WITH):
            self._part[number] = (*(self._part[number] or ()), token)
