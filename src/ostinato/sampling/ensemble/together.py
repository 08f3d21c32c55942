"""Steps many pieces of a band at once.

Pieces that grow side by side are in parts of different roles, whose generators have weights of
their own, so one product cannot serve them all. Here the lines of a batch are sorted at every step
by the role whose generator is to read, and each generator reads for all of its lines together: what
it hears, its feed-forwards and its logits are one product each, and only attention is line by line,
over memories of different lengths. A single line is stepped as it always was.
"""

# B lines of one role, R roles, K offsets that a role hears, S steps, P pitches, D width

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.transformer import step
from ostinato.models.ensemble.band import Model
from ostinato.models.ensemble.parts.hearing import BEGINS, LASTS, SOUNDS
from ostinato.models.ensemble.parts.layout import CLOSE
from ostinato.models.ensemble.parts.steps import Line, State
from ostinato.models.ensemble.parts.voice import Voice
from ostinato.models.spec import PAD, Given


class WaitingLine(Line):
    """A line whose role's generator reads when `read_all` says so.

    _named: which roles played when the coordinator last read what comes before the first bar.
    """

    _waits: tuple[int, int, bool] | None = None
    _named: list[bool] | None = None

    def begin(self) -> None:
        """As a line does, after every role that is named; slots before that role's stay as read."""
        before, self._named = self._named, list(self.playing)
        ring = self._coordinator.ring
        if before is None or ring.slots < self._slots:
            super().begin()
            return
        changed = [i for i, role in enumerate(self.order) if before[role] != self.playing[role]]
        if not changed:
            return
        kept = min(changed) + 1  # slot j + 1 is of order[j]
        ring.position -= self._slots - kept
        self._slots = kept
        self.close_bar()

    def _read(self, symbol: int, after: int = 0, *, chooses: bool = False) -> None:
        self._waits = symbol, after, chooses
        if symbol in (CLOSE, PAD):  # a part begins; later it changes with its notes alone
            self._structure = None

    def _strike(self, duration: int) -> None:
        super()._strike(duration)
        self._structure = None


class Together:
    """A model whose sequences step together; all else is the model's."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        """Of the model."""
        return getattr(self._model, name)

    def start(
        self, batch: int, length: int, fixed: bool = False, given: Given | None = None
    ) -> State:
        """The state before the first token of `batch` pieces."""
        return State([WaitingLine(self._model, row_D) for row_D in self.condition(batch, given)])

    def push(self, state: State, subtoken_B: Tensor) -> None:
        """Append one token to every sequence."""
        for line, token in zip(state.lines, subtoken_B.tolist(), strict=True):
            line.push(token)
        read_all(leaf for line in state.lines for leaf in leaves(line))


def leaves(line: Any) -> list[Line]:
    """The lines of the model of which a guided or steered one is made."""
    if isinstance(line, Line):
        return [line]
    inner = [part for name in ("given", "free", "line") if (part := vars(line).get(name))]
    return [leaf for part in inner for leaf in leaves(part)]


def read_all(lines: Iterable[Line]) -> None:
    """Let the generators read for all lines that wait."""
    by_role: dict[int, list[WaitingLine]] = {}
    for line in lines:
        if isinstance(line, WaitingLine) and line._waits is not None:
            by_role.setdefault(line._role, []).append(line)
    for role, group in by_role.items():
        if len(group) == 1:
            [line] = group
            structure = line._structure
            (symbol, after, chooses), line._waits = cast(Any, line._waits), None
            Line._read(line, symbol, after, chooses=chooses)
            line._structure = structure
        else:
            read(role, group)


def read(role: int, lines: list[WaitingLine]) -> None:
    """Let a role's generator read the next symbol of several lines, as `Line._read` does of one."""
    model = lines[0].model
    waits = [cast("tuple[int, int, bool]", line._waits) for line in lines]
    device = lines[0]._part_D.device

    def column(values: Iterable[int]) -> Tensor:
        return torch.tensor(list(values), device=device)

    symbols_B = column(symbol for symbol, _, _ in waits)
    now_B = column(
        line._start + line._place + after for line, (_, after, _) in zip(lines, waits, strict=True)
    )
    start_B, end_B = column(line._start for line in lines), column(line._end for line in lines)
    before_BR = torch.cat([line._slot_1R < line._slot_1R[:, role, None] for line in lines])
    size_B = column(line._rolls.shape[2] for line in lines)
    memory_BD = model.place((now_B - start_B).clamp(0, model.place.num_embeddings - 1))
    offsets_K = torch.cat([model.hearing.offsets_K, torch.tensor([-1, 0], device=device)])
    at_BK = now_B[:, None] + offsets_K
    inside_BK = at_BK.clamp(min=0).minimum(size_B[:, None] - 1)
    rolls = torch.stack(  # (3, B, R, K + 2, P); the last ones are the step before and the present
        [
            line._rolls.index_select(2, index_K)
            for line, index_K in zip(lines, inside_BK, strict=True)
        ],
        dim=1,
    )
    in_time_BK = (at_BK >= 0) & (at_BK < size_B[:, None])
    if not model.config.alone:
        told = [line._contexts[line.order.index(role)] for line in lines]
        heard_BD = _heard(model, role, rolls, at_BK, in_time_BK, (start_B, end_B), before_BR)
        memory_BD = memory_BD + model.context[role](torch.cat(told)) + heard_BD
    voice = cast(Voice, model.voices[role])
    logits_BV = _step(voice, symbols_B, memory_BD, [line._caches[role] for line in lines])
    chosen = [number for number, (_, _, chooses) in enumerate(waits) if chooses]
    if chosen:
        which = column(chosen)
        sounds, lasts = rolls[SOUNDS, which, :, -2:], rolls[LASTS, which, :, -2:]
        tails = (at_BK[:, -2:] >= start_B[:, None])[which, None] & ~before_BR[which, :, None]
        heard = torch.where(tails[..., None], lasts, sounds)  # (B, R, 2, P)
        heard = heard * in_time_BK[which, None, -2:, None]
        if model.config.alone:
            heard = torch.zeros_like(heard)
        earlier, sounding = heard[:, None].unbind(dim=3)
        last = column(lines[number]._lasts[role] for number in chosen)[:, None]
        tilted = model.intervals[role](
            logits_BV[which, None], sounding, earlier, last, torch.ones_like(last).bool()
        )
        logits_BV[which] = tilted[:, 0]
    for line, logs_V in zip(lines, F.log_softmax(logits_BV, dim=-1), strict=True):
        line._symbols_V, line._waits = logs_V, None


def _heard(
    model: Model,
    role: int,
    rolls: Tensor,
    at_BK: Tensor,
    in_time_BK: Tensor,
    bounds: tuple[Tensor, Tensor],
    before_BR: Tensor,
) -> Tensor:
    """What the role hears around its present steps, (B, D); see `Hearing.forward`."""
    hearing = model.hearing
    every = rolls[SOUNDS] @ hearing.sounds_RPH + rolls[BEGINS] @ hearing.begins_RPH
    lasts = rolls[LASTS] @ hearing.sounds_RPH  # (B, R, K + 2, H)
    start_B11, end_B11 = (bound[:, None, None] for bound in bounds)
    at_BK1, known_B1R = at_BK[..., None], before_BR[:, None]
    in_time = in_time_BK[..., None]
    whole = in_time & ((at_BK1 < start_B11) | (known_B1R & (at_BK1 < end_B11)))
    tails = in_time & ~known_B1R & (at_BK1 >= start_B11) & (at_BK1 < end_B11)
    every, lasts = every.transpose(1, 2), lasts.transpose(1, 2)
    heard = torch.where(whole[..., None], every, torch.where(tails[..., None], lasts, 0.0))
    out: Tensor = hearing.out[role](heard[:, :-2].flatten(1))
    return out


def _step(voice: Voice, symbols_B: Tensor, memory_BD: Tensor, caches: list[Any]) -> Tensor:
    """Logits of the next symbols, (B, V); see `Voice.step`."""
    body = voice.body
    rows_B1 = symbols_B.masked_fill(symbols_B == PAD, max(voice.vocabulary, 3))[:, None]
    x_BD = body.step_input.step(rows_B1, 0, rows_B1) + memory_BD
    for cache in caches:
        cache.ring.grow()
    rotation_B1E = torch.stack([body._rotation(cache) for cache in caches])
    slots = [cache.ring.open() for cache in caches]
    for layer, weights in enumerate(caches[0].weights):
        x_BD = step(x_BD, weights, _attention(rotation_B1E, [found[layer] for found in slots]))
    for cache in caches:
        cache.ring.close()
    hidden = body.chain.open(body.norm(x_BD), rows_B1)
    return body.chain.step(hidden, 0)[:, : voice.vocabulary].float()


def _attention(rotation_B1E: Tensor, slots: list[Any]) -> Callable[[Tensor], Tensor]:
    """Attention of every line over its own memory; see `gpt.attend_step`."""

    def attend(qkv_BX: Tensor) -> Tensor:
        _, _, N, _, E = slots[0].seen.shape
        B = len(slots)
        pairs = torch.view_as_complex(qkv_BX.view(B, 3 * N, E // 2, 2))
        pairs.narrow(1, 0, 2 * N).mul_(rotation_B1E)
        qkv_3BNE = qkv_BX.view(B, 3, N, E).transpose(0, 1)
        out = []
        for number, slot in enumerate(slots):
            slot.put(qkv_3BNE[1:, number : number + 1])
            out.append(slot.attend(qkv_3BNE[0, number : number + 1]).reshape(1, N * E))
        return torch.cat(out)

    return attend
