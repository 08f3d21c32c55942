"""The decoding loop of all autoregressive families, for a batch of sequences.

Every sequence has its own stream of random numbers, so a sample depends on its seed and not on the
other sequences of the batch. Prompts of different lengths run side by side: where a sequence still
has prompt, that is pushed instead of a draw. Grammars mask what would not decode.
"""

# B batch, W sub-tokens of a position, V vocabulary

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.spec import Given
from ostinato.representations.protocol import (
    Extent,
    Grammar,
    Mask,
    Relaxable,
    Representation,
    Tokens,
)
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.draw import Uniforms, draw
from ostinato.sampling.autoregressive.ends import Ends
from ostinato.sampling.autoregressive.lines import Lines, draw_split
from ostinato.sampling.autoregressive.recorded import stepper
from ostinato.sampling.autoregressive.repeats import NoRepeat
from ostinato.sampling.prompts import check_tokens
from ostinato.sampling.sampler import Made

POSITIONS_PER_QUARTER = 32
END_COLUMN = 0  # that of a grid with an end, or of a stream of events


class Chooser:
    """Chooses the sub-tokens of B sequences under their grammar, each from its own stream.

    row_BW: the position that is being filled.
    """

    def __init__(
        self,
        model: Autoregressive,
        grammar: Grammar,
        uniforms: Uniforms,
        decoding: Decoding,
        batch: int,
        ends: Ends | None = None,
    ) -> None:
        width, voices = model.shape.width, model.shape.voices
        self.grammar, self.uniforms, self.decoding = grammar, uniforms, decoding
        self.ends = ends
        self.row_BW = np.zeros((batch, width), np.int32)
        self.order, self._last = model.order, model.order[-1]
        self.lines = Lines(voices, batch, width) if voices and decoding.split else None
        self._moving = replace(decoding, temperature=decoding.temperature * (decoding.split or 1.0))
        passage = decoding.no_repeat
        self.repeats = NoRepeat(batch, width, passage, self._last) if passage else None

    def draw(self, logits_BV: Tensor, column: int, drawing_B: Mask) -> Tensor:
        """A sub-token for each sequence that draws; an arbitrary one for the others."""
        mask_BV = self._mask(column, drawing_B, logits_BV.shape[1])
        if mask_BV is not None and not mask_BV.all():
            forbidden = torch.from_numpy(~mask_BV).to(logits_BV.device)
            logits_BV = logits_BV.masked_fill(forbidden, -torch.inf)
        drawn_B = self._drawn(logits_BV, column, drawing_B)
        if not self.ends or column != END_COLUMN:
            return drawn_B
        refused_B = torch.from_numpy(self.ends.refused(drawn_B.cpu().numpy(), drawing_B))
        if not refused_B.any():
            return drawn_B
        refused_B = refused_B.to(logits_BV.device)
        others_BV = logits_BV.clone()
        others_BV[refused_B, self.ends.symbol] = -torch.inf
        refused_B &= ~others_BV.isneginf().all(dim=1)  # at the limit there is nothing but the end
        others_BV = torch.where(refused_B[:, None], others_BV, logits_BV)
        again_B = self._drawn(others_BV, column, refused_B.cpu().numpy())
        return torch.where(refused_B, again_B, drawn_B)

    def _drawn(self, logits_BV: Tensor, column: int, drawing_B: Mask) -> Tensor:
        """A sub-token by the logits, which are of what is allowed."""
        device = logits_BV.device
        numbers_B = torch.from_numpy(self.uniforms.next(drawing_B)).to(device)
        if not self.lines or not self.lines.has(column):
            return draw(logits_BV, numbers_B, self.decoding)
        unchanged_B = torch.from_numpy(self.lines.unchanged(column)).to(device)
        avoided_BV = None
        if self.decoding.no_parallels:
            before = self.order[: self.order.index(column)]
            chosen = [other for other in before if self.lines.has(other)]
            mask_BV = self.lines.parallels(self.row_BW, column, chosen, logits_BV.shape[1])
            avoided_BV = torch.from_numpy(mask_BV).to(device)
        return draw_split(logits_BV, numbers_B, unchanged_B, avoided_BV, self._moving)

    def take(self, chosen_B: npt.NDArray[np.integer], column: int, moving_B: Mask) -> None:
        """Put a sub-token into the row of every sequence; the grammar appends it to those that
        move.
        """
        self.row_BW[:, column] = chosen_B
        self.grammar.advance(chosen_B, moving_B, column)

    def end_row(self) -> Tokens:
        """The complete row; the next one begins."""
        row_BW, self.row_BW = self.row_BW, np.zeros_like(self.row_BW)
        self.follow(row_BW)
        return row_BW

    def follow(self, row_BW: Tokens) -> None:
        """Let a whole row be the latest one."""
        for part in self._followers():
            part.push(row_BW)

    def select(self, index: npt.NDArray[np.int64]) -> None:
        """Keep these sequences between two rows, in this order."""
        self.grammar.select(index)
        for part in self._followers():
            part.select(index)

    def _followers(self) -> list[NoRepeat | Lines | Ends]:
        return [part for part in (self.repeats, self.lines, self.ends) if part]

    def _mask(self, column: int, drawing_B: Mask, size: int) -> Mask | None:
        """What may be drawn, (B, V): by the grammar and, if anything is left, without a passage
        that occurred before. None: everything.
        """
        mask_BV = self.grammar.allowed(column)
        if self.repeats and column == self._last:
            allowed_BV = np.ones((len(drawing_B), size), dtype=bool) if mask_BV is None else mask_BV
            fresh_BV = allowed_BV & ~self.repeats.forbidden(self.row_BW, size)
            mask_BV = np.where(fresh_BV.any(axis=1, keepdims=True), fresh_BV, allowed_BV)
        return None if mask_BV is None else mask_BV | ~drawing_B[:, None]


class Stream:
    """B sequences that grow by one position at a time, to their end or the limit of `extent`.

    prompts: of shape (T, W) each, possibly T = 0. given: conditions of the sequences. Where the
    representation does not bound its positions, a sequence that is not finished after 32 a quarter
    has failed. The model's caches are made once, for as many positions as a sequence can have.
    stops: whether somebody may wait between positions: what completes one is then read with the
    next.

    Raises:
        ValueError: a prompt that is not of this representation.
    """

    def __init__(
        self,
        model: Autoregressive,
        representation: Representation,
        prompts: Sequence[Tokens],
        seeds: Sequence[int],
        extent: Extent,
        decoding: Decoding,
        given: Given | None = None,
    ) -> None:
        for prompt in prompts:
            check_tokens(representation, prompt)
        self._representation = representation
        self._prompts = _Prompts(prompts, model.shape.width, next(model.parameters()).device)
        self._grammar = representation.grammar(extent, prompts)
        limit = self._grammar.most
        if limit is None:
            quarters = (extent.bars or 0) * extent.bar_quarters()
            limit = max(int(POSITIONS_PER_QUARTER * quarters), 2 * self._prompts.longest + 1)
        if model.training:
            model.eval()
        ends = Ends(representation, decoding.end_on) if decoding.end_on != "any" else None
        uniforms = Uniforms(seeds)
        self._chooser = Chooser(model, self._grammar, uniforms, decoding, len(prompts), ends)
        self._steps, self._limit = stepper(model, len(prompts)), limit
        self._rank_W = np.argsort(model.order)
        with torch.inference_mode():
            self._state: Any = self._steps.start(len(prompts), limit, given=given)
        self.stops = False
        self._unread_B: Tensor | None = None
        self._rows: list[Tokens] = []
        self._costs: list[np.ndarray] = []
        self._done_B = self._grammar.finished()
        self._lengths_B = np.where(self._done_B, self._prompts.lengths, limit)

    def __len__(self) -> int:
        """Positions so far, those of the longest sequence."""
        return len(self._rows)

    @property
    def ended(self) -> bool:
        """Whether every sequence is finished, or too long."""
        return len(self) >= self._limit or bool(
            self._done_B.all() and len(self) >= self._prompts.longest
        )

    @property
    def order(self) -> tuple[int, ...]:
        """In which the sub-tokens of a position are chosen."""
        return self._steps.order

    def finish_prompts(self) -> None:
        """Advance to the end of the longest prompt."""
        while len(self) < self._prompts.longest:
            self.step()

    @torch.inference_mode()
    def step(self) -> Tokens:
        """One more position of every sequence, (B, W)."""
        position, width = len(self), len(self._rank_W)
        drawing_B = ~self._done_B & (position >= self._prompts.lengths)
        moving_B = ~self._done_B & (position >= self._prompts.known)
        steps: list[tuple[Tensor, Tensor]] = []  # logits, and what was chosen by them
        if self._unread_B is not None:
            self._steps.push(self._state, self._unread_B)
            self._unread_B = None
        for column in self._steps.order:
            logits_BV = self._steps.next_logits(self._state).float()
            chosen_B = self._prompts.at(position, column)
            if drawing_B.any():
                drawn_B = self._chooser.draw(logits_BV, column, drawing_B)
                if not drawing_B.all():
                    draws_B = torch.from_numpy(drawing_B).to(drawn_B.device)
                    drawn_B = torch.where(draws_B, drawn_B, chosen_B)
                chosen_B = drawn_B
            steps.append((logits_BV, chosen_B))
            if len(steps) == width:  # a push may overwrite logits
                cost_WB = nats_of(*map(torch.stack, zip(*steps, strict=True)))
            self._chooser.take(chosen_B.cpu().numpy(), column, moving_B)
            if self.stops and len(steps) == width:
                self._unread_B = chosen_B
            else:
                self._steps.push(self._state, chosen_B)
        self._rows.append(self._chooser.end_row())
        self._costs.append(cost_WB[self._rank_W].T)
        self._finish(position + 1)
        return self._rows[-1]

    def bars(self) -> int:
        """How many score bars the first sequence has completed."""
        return int(self._grammar.bars()[0])

    def allows(self, token: int, column: int = 0) -> bool:
        """Whether the first sequence may have this sub-token next."""
        mask_BV = self._grammar.allowed(column)
        return mask_BV is None or bool(mask_BV[0, token])

    def force(self, tokens: Tokens) -> None:
        """Let the next positions of a single sequence be these, of shape (T, W).

        Raises:
            ValueError: the grammar does not allow them here; the sequence stays as it is.
        """
        check_tokens(self._representation, tokens)
        grammar, one = copy.deepcopy(self._grammar), np.ones(1, dtype=bool)
        if isinstance(grammar, Relaxable):
            grammar.relax()
        for row_W in tokens:
            for column in self._steps.order:
                mask_BV = grammar.allowed(column)
                if grammar.finished()[0] or (mask_BV is not None and not mask_BV[0, row_W[column]]):
                    raise ValueError(
                        "these bars do not fit here: the piece has no room left, or they are not "
                        "of this encoding; ask for more bars"
                    )
                grammar.advance(row_W[None, column], one, column)
        self._prompts.append(len(self), tokens)

    def made(self) -> list[Made]:
        """All sequences as far as they are; those that have become too long have failed."""
        width = len(self._rank_W)
        shape = (0, len(self._done_B), width)
        tokens = np.stack(self._rows) if self._rows else np.zeros(shape, np.int32)
        nats = np.stack(self._costs) if self._costs else np.zeros(shape, np.float32)
        failed = f"not finished after {len(self)} positions" if self.ended else None
        columns = (self._lengths_B, self._done_B, self._grammar.ended())
        return [
            Made(tokens[:n, number], nats[:n, number], None if whole else failed, ended)
            for number, (n, whole, ended) in enumerate(
                zip(*(column.tolist() for column in columns), strict=True)
            )
        ]

    def _finish(self, length: int) -> None:
        ended_B = ~self._done_B & (length >= self._prompts.lengths) & self._grammar.finished()
        self._lengths_B[ended_B] = length
        self._done_B |= ended_B


def decode(
    model: Autoregressive,
    representation: Representation,
    prompts: Sequence[Tokens],
    seeds: Sequence[int],
    extent: Extent,
    decoding: Decoding,
    given: Given | None = None,
) -> list[Made]:
    """A Stream, advanced to its end: one sequence for each prompt."""
    stream = Stream(model, representation, prompts, seeds, extent, decoding, given)
    while not stream.ended:
        stream.step()
    return stream.made()


def nats_of(logits: Tensor, chosen: Tensor) -> np.ndarray:
    """Nats of the chosen sub-tokens under the model, by logits of one dimension more."""
    nats = torch.logsumexp(logits, -1) - logits.gather(-1, chosen[..., None])[..., 0]
    found: np.ndarray = nats.cpu().numpy()
    return found


class _Prompts:
    """Prompts of different lengths as one array, zero after their ends.

    lengths: positions that are not drawn. known: those of them that the grammar began with.
    """

    def __init__(self, prompts: Sequence[Tokens], width: int, device: torch.device) -> None:
        self.lengths = np.array([len(prompt) for prompt in prompts])
        self.known, self.longest = self.lengths, int(self.lengths.max())
        self._none = torch.zeros(len(prompts), dtype=torch.long, device=device)
        self._tokens_TWB = torch.zeros((self.longest, width, len(prompts)), dtype=torch.long)
        for number, prompt in enumerate(prompts):
            self._tokens_TWB[: len(prompt), :, number] = torch.from_numpy(prompt.astype(np.int64))
        self._tokens_TWB = self._tokens_TWB.to(device)

    def append(self, position: int, tokens: Tokens) -> None:
        """Let the only sequence have these tokens from a position on."""
        known_TW1 = self._tokens_TWB.new_zeros(position, tokens.shape[1], 1)
        new_TW1 = torch.from_numpy(tokens.astype(np.int64))[:, :, None].to(known_TW1.device)
        self._tokens_TWB = torch.cat([known_TW1, new_TW1])
        self.lengths, self.longest = np.array([position + len(tokens)]), position + len(tokens)

    def at(self, position: int, column: int) -> Tensor:
        """The sub-token of every prompt there, (B,)."""
        if position >= len(self._tokens_TWB):
            return self._none
        return self._tokens_TWB[position, column]
