"""One piece that grows: part by part, symbol by symbol, or as the flat stream of its encoding.

The flat stream says a part's end by what comes next: the token that opens the next role's part, a
bar, or the end. Their probability is that of the end of the part, times that of the meter or end.
"""

# R roles, S steps, P pitches, D width, V vocabulary, M meters

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.models.ensemble.parts.hearing import BEGINS, LASTS, SOUNDS
from ostinato.models.ensemble.parts.layout import (
    BAR,
    CLOSE,
    DURATION,
    END,
    NOTHING,
    OPEN,
    PITCH,
    POSITION,
    WITH,
)
from ostinato.models.ensemble.parts.voice import Voice
from ostinato.models.spec import PAD

FORESEEN = 64  # symbols that caches have room for at first
NO_CHANCE = -torch.inf


@dataclass
class State:
    """Sequences that are generated side by side."""

    lines: list[Line]


class Line:
    """One sequence.

    model: of family band. order: of the roles within a bar. playing: which roles play.
    """

    def __init__(self, model: Any, condition_D: Tensor, order: Sequence[int] = ()) -> None:
        self.model, self.layout = model, model.layout
        roles = len(self.layout.blocks)
        self.order = list(order) or list(range(roles))
        self.playing = [False] * roles
        self._condition_1D = condition_D[None]
        device = condition_D.device
        self._slot_1R = torch.tensor(self.order, device=device).argsort()[None]
        self._coordinator = model.coordinator.begin(FORESEEN)
        self._caches: list[Any] = [None] * roles
        self._started = [False] * roles
        self._lasts = [-1] * roles  # pitches
        self._rolls = torch.zeros(3, roles, 4 * self.layout.longest, self.layout.pitches)
        self._rolls = self._rolls.to(device)
        self._part_D = torch.zeros(model.config.width, device=device)
        self._contexts: list[Tensor] = []
        self._slots = 0  # of the current bar, that the coordinator has read
        self._structure: Tensor | None = None
        self._symbols_V: Tensor | None = None
        self._meter, self._start, self._end = PAD, 0, self.layout.longest
        self._role, self._place, self._pitch = -1, 0, -1
        self._kind = NOTHING

    def copy(self) -> Line:
        """An independent line with the same past."""
        other = copy.copy(self)
        for name in ("playing", "_caches", "_started", "_lasts", "_contexts"):
            setattr(other, name, list(getattr(self, name)))
        other._rolls = self._rolls.clone()
        voices = cast("list[Voice]", list(self.model.voices))
        other._caches = [
            None if cache is None else voice.copy(cache)
            for voice, cache in zip(voices, self._caches, strict=True)
        ]
        other._coordinator = self.model.coordinator.copy(self._coordinator)
        return other

    # ---- part by part ------------------------------------------------------------------------

    def begin(self) -> None:
        """The roles that play are known: what comes before the first bar is complete."""
        self._coordinator, self._slots = self.model.coordinator.begin(FORESEEN), 0
        self.close_bar()

    def meter_log_probabilities(self) -> Tensor:
        """Of every meter of the next bar, and of the end, (M + 1,), after a whole bar."""
        assert self._structure is not None
        return self._structure

    def open_bar(self, meter: int) -> None:
        """Begin a bar."""
        self._meter, self._start = meter, self._end
        self._end += int(self.layout.meters_M[meter])
        while self._end + self.layout.longest > self._rolls.shape[2]:
            self._rolls = F.pad(self._rolls, (0, 0, 0, self._rolls.shape[2]))
        self._contexts, self._slots = [], 0
        self._put_slots(1, torch.zeros_like(self._part_D))

    def open_part(self, role: int) -> None:
        """Begin the part of a role; those before it in the order that do not play pass."""
        self._part_D = torch.zeros_like(self._part_D)
        self._put_slots(self.order.index(role) + 1, self._part_D)
        self._role, self._place = role, 0
        if self._caches[role] is None:
            self._caches[role] = self._voice(role).begin(FORESEEN)
        symbol = CLOSE if self._started[role] else PAD
        self._started[role] = True
        self._read(symbol)

    def symbol_log_probabilities(self) -> Tensor:
        """Of the next symbol of the open part, (V,); CLOSE ends it."""
        assert self._symbols_V is not None
        return self._symbols_V

    def push_symbol(self, symbol: int) -> None:
        """Append a symbol, other than CLOSE, to the open part."""
        token = self.layout.blocks[self._role].opens + symbol
        kind, value = int(self.layout.kinds[token]), int(self.layout.values[token])
        now = 0
        if kind == POSITION:
            self._place = value
        elif kind == PITCH:
            self._pitch = self._lasts[self._role] = value
        elif kind == DURATION:
            now = value
            if self._pitch >= 0:
                self._strike(value)
        self._read(symbol, now, chooses=kind == POSITION)

    def close_part(self) -> None:
        """The open part is over: the coordinator hears of it."""
        self._put_slots(self._slots + 1, self._part_D)
        self._role = -1

    def close_bar(self) -> None:
        """All roles that play have had their parts."""
        self._put_slots(len(self.order) + 1, torch.zeros_like(self._part_D))

    # ---- the flat stream ---------------------------------------------------------------------

    def log_probabilities(self) -> Tensor:
        """Of the next token of the encoding, (V,)."""
        layout = self.layout
        out = torch.full((layout.vocabulary,), NO_CHANCE, device=self._part_D.device)
        if self._kind == END:
            return torch.zeros_like(out)
        bars = slice(layout.first_bar, layout.first_bar + layout.meters)
        if self._kind in (NOTHING, WITH):
            last = max((r + 1 for r, plays in enumerate(self.playing) if plays), default=0)
            nats = self.model.names.steps(self._condition_1D)[0, last]
            out[1 + last : 1 + len(self.playing)] = -nats[1 + last :]
            if last:
                self.begin()
                meters = self.meter_log_probabilities()
                out[bars] = meters[:-1] - nats[0]
                out[END] = meters[-1] - nats[0]
            return out
        if self._kind == BAR:
            out[layout.blocks[self._following(-1)].opens] = 0.0
            return out
        symbols = self.symbol_log_probabilities()
        opens = layout.blocks[self._role].opens
        out[opens + 1 : opens + len(symbols)] = symbols[1:]
        following = self._following(self._role)
        if following >= 0:
            out[layout.blocks[following].opens] = symbols[CLOSE]
        else:
            meters = self._after_bar()
            out[bars], out[END] = symbols[CLOSE] + meters[:-1], symbols[CLOSE] + meters[-1]
        return out

    def push(self, token: int) -> None:
        """Append a token of the encoding; nothing follows the end."""
        kind = int(self.layout.kinds[token])
        if self._kind == END:
            return
        if kind == WITH:
            self.playing[int(self.layout.roles[token])] = True
        elif kind == BAR:
            if self._role >= 0:
                self.close_part()
                self.close_bar()
            else:
                self.begin()
            self.open_bar(int(self.layout.values[token]))
        elif kind == OPEN:
            if self._role >= 0:
                self.close_part()
            self.open_part(int(self.layout.roles[token]))
        elif kind != END:
            self.push_symbol(int(self.layout.symbols[token]))
        self._kind = kind

    def _following(self, role: int) -> int:
        """The next role that plays, in the order of the encoding; -1 after the last."""
        later = [r for r in range(role + 1, len(self.playing)) if self.playing[r]]
        return later[0] if later else -1

    def _after_bar(self) -> Tensor:
        """Log-probabilities of meters and the end, if the open part were the last and over."""
        if self._structure is None:
            ring, slots = self._coordinator.ring, self._slots
            before = ring.position
            self._put_slots(len(self.order) + 1, self._part_D)
            ring.position, self._slots = before, slots
            del self._contexts[slots:]
        assert self._structure is not None
        return self._structure

    # ---- what both share ---------------------------------------------------------------------

    def _put_slots(self, until: int, part_D: Tensor) -> None:
        """Let the coordinator read the slots of the bar up to a number: slot 0 begins the bar, slot
        j + 1 is the part of order[j].

        part_D: the sum of the first one's notes; roles after it do not play.
        """
        coordinator, symbol = self.model.coordinator, self._part_D.new_tensor([self._meter]).long()
        for place in range(self._slots, until):
            x_1D = self._slot(place, part_D) + self._condition_1D
            context_1D, structure = coordinator.step(symbol, x_1D, self._coordinator)
            part_D = torch.zeros_like(part_D)
            self._slots += 1
            if place == len(self.order):
                self._structure = F.log_softmax(structure[0], dim=-1)
            else:
                self._contexts.append(self.model.told(context_1D, self._condition_1D))

    def _slot(self, place: int, part_D: Tensor) -> Tensor:
        """The coordinator's input at a slot, (1, D)."""
        summaries = self.model.summaries
        following = self.order[place] if place < len(self.order) else len(self.order)
        vector: Tensor = summaries.begin_D
        if place:
            role = self.order[place - 1]
            played = summaries.out(summaries.norm(part_D)) + summaries.present_RD[role]
            vector = played if self.playing[role] else summaries.absent_RD[role]
        out: Tensor = (vector + summaries.next_RD[following])[None]
        return out

    def _read(self, symbol: int, after: int = 0, *, chooses: bool = False) -> None:
        """Let the role's generator read a symbol, `after` steps after the present place.

        chooses: whether a pitch follows.
        """
        role, model = self._role, self.model
        device = self._part_D.device
        self._structure = None
        now = self._start + self._place + after
        first = max(0, now + min(*model.config.hears, -1))
        rolls = self._rolls[:, None, :, first : now + max(max(model.config.hears), 0) + 1]
        steps = torch.tensor([[now, self._start, self._end]], device=device) - first
        memory_1LD = model.memory(
            role,
            self._contexts[self.order.index(role)][:, None],
            steps[:, :1],
            (steps[:, 1:2], steps[:, 2:]),
            model.hearing.vectors(rolls),
            self._slot_1R,
        )
        _, logits = self._voice(role).step(
            torch.tensor([symbol], device=device), memory_1LD[:, 0], self._caches[role]
        )
        if chooses:
            sounding = model.sounding(role, rolls, steps[:, :1], steps[:, 1:2], self._slot_1R)
            last = torch.tensor([[self._lasts[role]]], device=device)
            chosen = torch.ones_like(last, dtype=torch.bool)
            logits = model.intervals[role](logits[:, None], *sounding, last, chosen)[:, 0]
        self._symbols_V = F.log_softmax(logits[0], dim=-1)

    def _strike(self, duration: int) -> None:
        """Write the note that is complete into the rolls and into the part's sum."""
        onset = self._start + self._place
        end = min(onset + duration, self._rolls.shape[2])
        roll = self._rolls[:, self._role, :, self._pitch]
        roll[SOUNDS, onset:end] = roll[BEGINS, onset] = 1
        roll[LASTS, min(self._end, end) : end] = 1
        numbers = (self._role, self._place, self._pitch, duration)
        device = self._part_D.device
        columns = (torch.tensor([number], device=device) for number in numbers)
        self._part_D = self._part_D + self.model.summaries.notes(*columns)[0]
        self._pitch = -1

    def _voice(self, role: int) -> Voice:
        return cast("Voice", self.model.voices[role])
