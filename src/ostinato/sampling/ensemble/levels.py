"""Steers a role to the density and the register that it was asked for, note by note.

A model that is only told a level often does not keep it. So while a role is made, the distribution
of its next event is tilted exponentially, by how far the role is from its level so far: in density
by the time that the event lets pass (which a note does, too, of a player who plays one at a time),
in register by the pitch. Of all distributions with a given mean of these, the tilted one is the
nearest to the model's (an I-projection, Csiszár 1975). Within its level a role is left as the model
has it; a role without a level is never touched. A step costs as much as before.

The limits of levels (`levels.json`) are those of `reproductions/band/mix.json`. The outer levels,
which have one limit, are taken to end where a quarter of the training parts that have them lies
beyond (`ends`; `scores.json` there). Nats of parts that are steered from nothing are those of the
tilted distribution.
"""

# B batch, V symbols of a role, P pitches of a role

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ostinato.models.ensemble.parts.layout import (
    BAR,
    CLOSE,
    DURATION,
    OPEN,
    PITCH,
    POSITION,
)
from ostinato.models.ensemble.parts.steps import Line, State
from ostinato.models.spec import NOT_GIVEN, Given
from ostinato.representations.events.roles import Roles
from ostinato.sampling.ensemble.decoding import Restricted
from ostinato.sampling.ensemble.guidance import GuidedLine

DENSITY, REGISTER = "density", "register"
INNER = 0.25  # of a level's width, that is kept free at either end
PRIOR = 0.3  # quarters for which a role is taken to have been as it should
PRIOR_NOTES = 2.0  # likewise of its register
GAIN = {DENSITY: 16.0, REGISTER: 0.04}  # of the tilt, for a factor e and for a semitone
MOST = {DENSITY: 16.0, REGISTER: 0.5}  # nats for a quarter, and for a semitone
Range = tuple[float, float]


@dataclass(frozen=True)
class Table:
    """The names of the levels; by condition, such as `density_bass`, the limits between them, and
    where the outer ones end.
    """

    levels: list[str]
    limits: dict[str, list[float]]
    ends: dict[str, list[float]]


@cache
def table() -> Table:
    """What `levels.json` says."""
    text = Path(__file__).with_name("levels.json").read_text(encoding="utf-8")
    return Table(**json.loads(text))


def range_of(condition: str, level: str) -> Range | None:
    """Within which values a level lies, but for a margin at its limits; None for a condition
    without any.
    """
    known = table()
    if condition not in known.limits or level not in known.levels:
        return None
    (first, last), limits = known.ends[condition], known.limits[condition]
    place, edges = known.levels.index(level), [first, *limits, last]
    low, high = edges[place : place + 2]
    beside = min(max(place, 1), len(limits) - 1)  # an outer level is as wide as the one beside it
    margin = INNER * (edges[beside + 1] - edges[beside])
    low, high = low + margin * (place > 0), high - margin * (place < len(limits))
    return low, high


def ranges_of(conditions: Mapping[str, Any], roles: Sequence[str]) -> dict[int, dict[str, Range]]:
    """By place of a role, the ranges of density and register that a request asks for."""
    found: dict[int, dict[str, Range]] = {}
    for place, role in enumerate(roles):
        for kind in (DENSITY, REGISTER):
            name = f"{kind}_{role}"
            wanted = range_of(name, str(conditions.get(name)))
            if wanted is not None:
                found.setdefault(place, {})[kind] = wanted
    return found


@dataclass
class Played:
    """What a role has played so far: notes, and the sum of their MIDI pitches."""

    notes: int = 0
    pitches: float = 0.0


class SteeredLine:
    """One sequence, as `Line`, some of whose roles are steered.

    ranges: by place of a role. strength: multiplies the tilts.
    """

    def __init__(
        self,
        line: Line | GuidedLine,
        known: Roles,
        ranges: Mapping[int, Mapping[str, Range]],
        strength: float,
    ) -> None:
        self.line, self.ranges, self.strength = line, ranges, strength
        self._known, self._layout = known, known.layout
        players = known.players if isinstance(known, Restricted) else ()
        self._alone = [bool(player and player.most == 1) for player in players]
        self._played = {role: Played() for role in ranges}
        self._start, self._end, self._place, self._role = 0, 0, 0, -1
        self._kind = BAR

    @property
    def order(self) -> list[int]:
        """Of the roles within a bar."""
        return self.line.order

    @property
    def playing(self) -> list[bool]:
        """Which roles play."""
        return self.line.playing

    @playing.setter
    def playing(self, roles: list[bool]) -> None:
        self.line.playing = list(roles)

    def copy(self) -> SteeredLine:
        """An independent line with the same past."""
        other = SteeredLine(self.line.copy(), self._known, self.ranges, self.strength)
        other.__dict__.update({k: v for k, v in self.__dict__.items() if k not in ("line",)})
        other._played = {r: Played(p.notes, p.pitches) for r, p in self._played.items()}
        return other

    def __getattr__(self, name: str) -> Any:
        """Of the line."""
        return getattr(self.line, name)

    def log_probabilities(self) -> Tensor:
        """Of the next token of the encoding, (V,), steered."""
        logs_V = self.line.log_probabilities()
        if not self._steers():
            return logs_V
        first, size = int(self._layout.opens[self._role]), self._layout.size_of(self._role)
        tilt_V = self._tilt(logs_V[first : first + size])
        out_V = logs_V + tilt_V[CLOSE]  # whatever ends the part
        out_V[first + 1 : first + size] = logs_V[first + 1 : first + size] + tilt_V[1:]
        return out_V.log_softmax(dim=-1)

    def drawn_log_probabilities(self) -> Tensor:
        """Of the next symbol of the open part, (V,), steered; `symbol_log_probabilities` is not."""
        logs_V = self.line.symbol_log_probabilities()
        if not self._steers():
            return logs_V
        return (logs_V + self._tilt(logs_V)).log_softmax(dim=-1)

    def push(self, token: int) -> None:
        """Append a token of the encoding."""
        self.line.push(token)
        self._take(token)

    def open_bar(self, meter: int) -> None:
        """Begin a bar."""
        self.line.open_bar(meter)
        self._take(self._layout.first_bar + meter)

    def open_part(self, role: int) -> None:
        """Begin the part of a role."""
        self.line.open_part(role)
        self._take(int(self._layout.opens[role]))

    def push_symbol(self, symbol: int) -> None:
        """Append a symbol, other than CLOSE, to the open part."""
        self.line.push_symbol(symbol)
        self._take(int(self._layout.opens[self._role]) + symbol)

    def _take(self, token: int) -> None:
        layout = self._layout
        self._kind, value = int(layout.kinds[token]), int(layout.values[token])
        if self._kind == BAR:
            self._start, self._place = self._end, 0
            self._end += int(layout.bar_steps[value])
        elif self._kind == OPEN:
            self._role, self._place = int(layout.owners[token]), 0
        elif self._kind == POSITION:
            self._place = value
        elif self._kind == PITCH and self._role in self._played:
            self._played[self._role].notes += 1
            self._played[self._role].pitches += value

    def _steers(self) -> bool:
        """Whether the next symbol is one that is steered: not a duration, but of a player who has
        to end a note before the next one.
        """
        if self._role not in self.ranges:
            return False
        alone = self._role < len(self._alone) and self._alone[self._role]
        return self._kind in (OPEN, POSITION, DURATION) or (self._kind == PITCH and alone)

    def _tilt(self, logs_V: Tensor) -> Tensor:
        """What is added to the logs of a role's symbols, (V,)."""
        wanted, played = self.ranges[self._role], self._played[self._role]
        tilt_V = torch.zeros_like(logs_V)
        longest = self._layout.longest
        if DENSITY in wanted and self._kind != POSITION:
            steps = self._known.steps_per_quarter
            now = self._start + self._place
            urge = self._urge(played.notes, now / steps, wanted[DENSITY])
            steps_S = torch.arange(longest, device=logs_V.device)
            if self._kind == PITCH:
                tilt_V[1 + longest : 1 + 2 * longest] = -urge * (1 + steps_S) / steps
            else:
                tilt_V[1 : 1 + longest] = -urge * (steps_S - self._place).clamp(min=0) / steps
                tilt_V[CLOSE] = -urge * (self._end - now) / steps
        if REGISTER in wanted and self._kind != PITCH:
            pull = self._pull(played, wanted[REGISTER])
            first = 1 + 2 * longest
            before_P = logs_V[first:]
            if pull and torch.isfinite(before_P).any():
                after_P = before_P + pull * torch.arange(len(before_P), device=logs_V.device)
                # how likely any pitch is stays as it was
                kept = torch.logsumexp(before_P, 0) - torch.logsumexp(after_P, 0)
                tilt_V[first:] = pull * torch.arange(len(before_P), device=logs_V.device) + kept
        return tilt_V

    def _urge(self, notes: int, quarters: float, wanted: Range) -> float:
        """Nats by which an event is preferred for every quarter that it is earlier."""
        low, high = wanted
        expected = min(max(notes / quarters, low), high) if quarters else max(low, min(high, 1.0))
        expected = max(expected, 0.05)
        behind = math.log(expected * (quarters + PRIOR) / (notes + expected * PRIOR))
        return self._bounded(DENSITY, behind)

    def _pull(self, played: Played, wanted: Range) -> float:
        """Nats by which a pitch is preferred for every semitone that it is higher."""
        if not played.notes:
            return 0.0
        mean = played.pitches / played.notes
        off = min(max(mean, wanted[0]), wanted[1]) - mean
        return self._bounded(REGISTER, off * played.notes / (played.notes + PRIOR_NOTES))

    def _bounded(self, kind: str, error: float) -> float:
        tilt = self.strength * GAIN[kind] * error
        return min(max(tilt, -MOST[kind]), MOST[kind])


class Steered:
    """A model whose sequences are steered; all else is the model's, or the guided one's."""

    def __init__(self, model: Any, known: Roles, strength: float) -> None:
        self._model, self._known, self._strength = model, known, strength

    def __getattr__(self, name: str) -> Any:
        """Of the model."""
        return getattr(self._model, name)

    def start(
        self, batch: int, length: int, fixed: bool = False, given: Given | None = None
    ) -> State:
        """The state before the first token of `batch` pieces."""
        state: State = self._model.start(batch, length, fixed, given)
        if given is None or given.codes_BC is None:
            return state
        specs = self._model.conditions
        lines: list[Any] = []
        for line, codes in zip(state.lines, given.codes_BC.tolist(), strict=True):
            pairs = zip(specs, codes, strict=True)
            told = {spec.name: spec.values[code] for spec, code in pairs if code != NOT_GIVEN}
            lines.append(steered(line, self._known, told, self._strength))
        return State(cast("list[Line]", lines))


def steered(
    line: Line | GuidedLine, known: Roles, conditions: Mapping[str, Any], strength: float
) -> Line | GuidedLine | SteeredLine:
    """A line that is steered to the levels among its conditions, if there are any."""
    ranges = ranges_of(conditions, known.parts)
    return SteeredLine(line, known, ranges, strength) if ranges and strength else line
