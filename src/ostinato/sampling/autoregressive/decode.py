"""The one decoding loop of all autoregressive families.

Every sequence has a stream of random numbers of its own, so a sample depends on its seed and not on
its neighbours in the batch. Prompts of different lengths run side by side: where a sequence still
has prompt, that is pushed instead of a draw. Grammars mask what would not decode.
"""

# B batch, W sub-tokens of a position, V vocabulary

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.representations.protocol import Grammar, Mask, Representation, Tokens
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.draw import Uniforms, draw
from ostinato.sampling.autoregressive.recorded import stepper
from ostinato.sampling.autoregressive.repeats import NoRepeat
from ostinato.sampling.prompts import check_tokens

POSITIONS_PER_QUARTER = 32


@dataclass(frozen=True)
class Sampled:
    """One sequence, its prompt included.

    nats: of every sub-token, shape (T, W), under the model itself: no temperature, no truncation,
    no mask. failed: why the sequence is not whole, or None.
    """

    tokens: Tokens
    nats: np.ndarray
    failed: str | None


class Chooser:
    """Chooses the sub-tokens of B sequences under their grammars, each from its own stream.

    row_BW: the position in the making.
    """

    def __init__(
        self,
        model: Autoregressive,
        grammar: Grammar,
        uniforms: Uniforms,
        decoding: Decoding,
        batch: int,
    ) -> None:
        width = model.shape.width
        self.grammar, self.uniforms, self.decoding = grammar, uniforms, decoding
        self.row_BW = np.zeros((batch, width), np.int32)
        self._last = model.order[-1]
        passage = decoding.no_repeat
        self.repeats = NoRepeat(batch, width, passage, self._last) if passage else None

    def draw(self, logits_BV: Tensor, column: int, drawing_B: Mask) -> Tensor:
        """A sub-token for each sequence that draws, told to its grammar; any for the others."""
        mask_BV = self._mask(column, drawing_B, logits_BV.shape[1])
        if mask_BV is not None and not mask_BV.all():
            forbidden = torch.from_numpy(~mask_BV).to(logits_BV.device)
            logits_BV = logits_BV.masked_fill(forbidden, -torch.inf)
        numbers_B = torch.from_numpy(self.uniforms.next(drawing_B)).to(logits_BV.device)
        return draw(logits_BV, numbers_B, self.decoding)

    def take(self, chosen_B: npt.NDArray[np.integer], column: int, moving_B: Mask) -> None:
        """Put a sub-token into the row of every sequence; the grammar of those that move take
        it.
        """
        self.row_BW[:, column] = chosen_B
        self.grammar.advance(chosen_B, moving_B, column)

    def end_row(self) -> Tokens:
        """The row, now that it is whole; the next one begins."""
        row_BW, self.row_BW = self.row_BW, np.zeros_like(self.row_BW)
        if self.repeats:
            self.repeats.push(row_BW)
        return row_BW

    def _mask(self, column: int, drawing_B: Mask, size: int) -> Mask | None:
        """What may be drawn, (B, V): by the grammar, and if anything is left, without a passage
        that was there before. None: everything.
        """
        mask_BV = self.grammar.allowed(column)
        if self.repeats and column == self._last:
            allowed_BV = np.ones((len(drawing_B), size), dtype=bool) if mask_BV is None else mask_BV
            fresh_BV = allowed_BV & ~self.repeats.forbidden(self.row_BW, size)
            mask_BV = np.where(fresh_BV.any(axis=1, keepdims=True), fresh_BV, allowed_BV)
        return None if mask_BV is None else mask_BV | ~drawing_B[:, None]


@torch.inference_mode()
def decode(
    model: Autoregressive,
    representation: Representation,
    prompts: Sequence[Tokens],
    seeds: Sequence[int],
    quarters: float,
    decoding: Decoding,
) -> list[Sampled]:
    """Sample one sequence for each prompt (of shape (T, W), possibly T = 0), all in one batch.

    Every sequence becomes `quarters` long, its prompt included. Where the representation does not
    bound its positions, one that is not done after 32 a quarter is returned as failed. The model's
    caches are made once, for as many positions as a sequence can have.

    Raises:
        ValueError: a prompt that is not of this representation.
    """
    for prompt in prompts:
        check_tokens(representation, prompt)
    longest = max(map(len, prompts))
    grammar = representation.grammar(quarters, prompts)
    limit = grammar.most
    if limit is None:
        limit = max(int(POSITIONS_PER_QUARTER * quarters), 2 * longest + 1)
    model.eval()
    chooser = Chooser(model, grammar, Uniforms(seeds), decoding, len(prompts))
    return _decode(model, prompts, grammar, chooser, limit)


def _decode(
    model: Autoregressive,
    prompts: Sequence[Tokens],
    grammar: Grammar,
    chooser: Chooser,
    limit: int,
) -> list[Sampled]:
    """The loop over at most `limit` positions."""
    longest, width = max(map(len, prompts)), model.shape.width
    steps = stepper(model)
    state: Any = steps.start(len(prompts), limit)
    given = _Given(prompts, width, next(model.parameters()).device)
    rank_W = np.argsort(model.order)
    rows: list[np.ndarray] = []
    costs: list[np.ndarray] = []
    done_B = grammar.finished()
    lengths_B = np.where(done_B, given.lengths, limit)
    for position in range(limit):
        if done_B.all() and position >= longest:
            break
        drawing_B = ~done_B & (position >= given.lengths)
        told: list[tuple[Tensor, Tensor]] = []  # logits and what was chosen by them
        for column in model.order:
            logits_BV = steps.next_logits(state).float()
            chosen_B = given.at(position, column)
            if drawing_B.any():
                drawn_B = chooser.draw(logits_BV, column, drawing_B)
                if not drawing_B.all():
                    draws_B = torch.from_numpy(drawing_B).to(drawn_B.device)
                    drawn_B = torch.where(draws_B, drawn_B, chosen_B)
                chosen_B = drawn_B
            told.append((logits_BV, chosen_B))
            if len(told) == width:  # a push may write where logits were
                cost_WB = nats_of(*map(torch.stack, zip(*told, strict=True)))
            chooser.take(chosen_B.cpu().numpy(), column, drawing_B)
            steps.push(state, chosen_B)
        rows.append(chooser.end_row())
        costs.append(cost_WB[rank_W].T)
        ended_B = ~done_B & (position + 1 >= given.lengths) & grammar.finished()
        lengths_B[ended_B] = position + 1
        done_B |= ended_B
    return _collect(rows, costs, lengths_B, done_B, width)


def nats_of(logits: Tensor, chosen: Tensor) -> np.ndarray:
    """What the chosen sub-tokens cost under the model, by logits of one dimension more."""
    nats = torch.logsumexp(logits, -1) - logits.gather(-1, chosen[..., None])[..., 0]
    found: np.ndarray = nats.cpu().numpy()
    return found


class _Given:
    """Prompts of different lengths as one array, zero after their ends."""

    def __init__(self, prompts: Sequence[Tokens], width: int, device: torch.device) -> None:
        self.lengths = np.array([len(prompt) for prompt in prompts])
        self._none = torch.zeros(len(prompts), dtype=torch.long, device=device)
        self._tokens_TWB = torch.zeros(
            (int(self.lengths.max()), width, len(prompts)), dtype=torch.long
        )
        for number, prompt in enumerate(prompts):
            self._tokens_TWB[: len(prompt), :, number] = torch.from_numpy(prompt.astype(np.int64))
        self._tokens_TWB = self._tokens_TWB.to(device)

    def at(self, position: int, column: int) -> Tensor:
        """The sub-token of every prompt there, (B,)."""
        if position >= len(self._tokens_TWB):
            return self._none
        return self._tokens_TWB[position, column]


def _collect(
    rows: Sequence[np.ndarray],
    costs: Sequence[np.ndarray],
    lengths_B: npt.NDArray[np.integer],
    done_B: Mask,
    width: int,
) -> list[Sampled]:
    shape = (0, len(lengths_B), width)
    tokens = np.stack(rows) if rows else np.zeros(shape, np.int32)
    nats = np.stack(costs) if costs else np.zeros(shape, np.float32)
    return [
        Sampled(
            tokens=tokens[:length, number],
            nats=nats[:length, number],
            failed=None if whole else f"not finished after {len(rows)} positions",
        )
        for number, (length, whole) in enumerate(
            zip(lengths_B.tolist(), done_B.tolist(), strict=True)
        )
    ]
