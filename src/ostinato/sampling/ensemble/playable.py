"""What a band's instruments can play, as a mask of what may be drawn.

A note outside the instrument's range, one more at once than hands or strings allow, and a drum hit
for a third hand are not drawn. The rules are those of the measure of playability
(`music/instruments.py`), at onsets as there. Kept notes of a prompt are not touched; while they
alone are too many, nothing is added to them.
"""

# P pitches of MIDI, S positions

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ostinato.music.instruments import ANY, LEGATO, Instrument, by_foot, drummer_can
from ostinato.representations.events.parts.layout import OPEN, PITCH, POSITION
from ostinato.representations.events.parts.roles_grammar import PITCHES, RolesGrammar
from ostinato.representations.protocol import Mask
from ostinato.sampling.ensemble.varied import VariedGrammar

ALL_PITCHES = np.arange(PITCHES)
PEDAL_P = by_foot(ALL_PITCHES)
Player = Instrument | None  # None: drums
DRUMMER: Player = None


class BandGrammar(VariedGrammar):
    """A grammar that allows only what the players of the roles can play."""

    _columns = (*VariedGrammar._columns, "_struck")

    @classmethod
    def of(
        cls,
        grammar: RolesGrammar,
        players: Sequence[Player],
        steps_per_quarter: int,
        *,
        collapse: bool,
    ) -> BandGrammar:
        """The state of another grammar, before anything is drawn.

        players: in the order of the parts; empty: anything can be played. collapse: whether a role
        may repeat one bar from the middle to the end.
        """
        new = cls.__new__(cls)
        new.__dict__.update(grammar.__dict__)
        new._players = list(players)
        new._overlap = steps_per_quarter / LEGATO
        # pitches that the open part has struck at its present position
        new._struck = np.zeros((len(new._previous), PITCHES), dtype=bool)
        new._begin(collapse=collapse)
        return new

    _players: list[Player]
    _overlap: float
    _struck: Mask

    def _next(self, number: int) -> Mask:
        mask = super()._next(number)
        role = int(self._role[number])
        if role < 0 or not self._players:
            return mask
        layout = self._layout
        low, high = layout.registers[role]
        first = int(layout.pitches[role])
        pitches = mask[first + low : first + high + 1]
        if pitches.any():
            sounding = self._struck[number]
            if self._players[role] is not DRUMMER:  # what drums let ring needs no hand
                sounding = sounding | self._sounding(number, role, self._time(number))
            pitches &= self._fits(role, sounding)[low : high + 1]
        first = int(layout.positions[role])
        positions = mask[first : first + layout.longest]
        if positions.any() and self._players[role] is not DRUMMER:
            start = int(self._bar_start[number])
            # at later steps as much room is left, or more
            first_with_room = bisect_left(
                range(len(positions)), True, key=lambda step: self._room(number, role, start + step)
            )
            positions[:first_with_room] = False
        return mask

    def _take(self, number: int, token: int) -> None:
        super()._take(number, token)
        kind = int(self._layout.kinds[token])
        if kind in (OPEN, POSITION):
            self._struck[number] = False
        elif kind == PITCH:
            self._struck[number, int(self._layout.values[token])] = True

    def _sounding(self, number: int, role: int, time: int) -> Mask:
        """Pitches of a role that sound on at a step, (P,)."""
        found: Mask = self._ends[number, role] - self._overlap > time
        return found

    def _room(self, number: int, role: int, time: int) -> bool:
        """Whether a role could begin a note at a step."""
        low, high = self._layout.registers[role]
        sounding, silent = self._sounding(number, role, time), self._ends[number, role] <= time
        if not sounding.any():  # a register has a pitch within reach
            return bool(silent[low : high + 1].any())
        fits = self._fits(role, sounding)
        return bool((fits & silent)[low : high + 1].any())

    def _fits(self, role: int, sounding_P: Mask) -> Mask:
        """Pitches that can be added to those that sound, (P,)."""
        player = self._players[role]
        if player is None:
            feet = np.full(PITCHES, int((sounding_P & PEDAL_P).sum())) + PEDAL_P
            hands = np.full(PITCHES, int((sounding_P & ~PEDAL_P).sum())) + ~PEDAL_P
            return drummer_can(hands, feet)
        low, high = self._layout.registers[role]
        inside = player.reaches(ALL_PITCHES)
        if not inside[low : high + 1].any():  # a register beyond the instrument: its range is moot
            inside = np.ones(PITCHES, dtype=bool)
        held = np.flatnonzero(sounding_P)
        if player.most == ANY or not len(held):
            return inside
        return inside & player.holds(with_each(held))


def with_each(held: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For every pitch, some pitches and it, in rising order, (P, len + 1)."""
    sets = np.empty((PITCHES, len(held) + 1), dtype=np.int64)
    sets[:, :-1], sets[:, -1] = held, ALL_PITCHES
    sets.sort(axis=1)
    return sets
