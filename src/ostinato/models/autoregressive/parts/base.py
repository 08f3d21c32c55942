"""Base of all autoregressive families: a trunk over positions, and a chain over sub-tokens.

A position has W sub-tokens: the four voices of a time step, or a single event. The trunk reads the
previous positions; the chain then predicts the W sub-tokens one after the other, each conditioned
on those already chosen: p(x_t | x_<t) = Π_k p(x_tk | x_<t, x_t,order<k). The product over t is the
exact joint likelihood, with sequences W times shorter than in the flat form, which is W = 1.
"""

# B batch, T positions, W sub-tokens of a position, D width, H hidden width, V vocabulary

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.chain import Chain
from ostinato.models.autoregressive.parts.config import StepConfig
from ostinato.models.autoregressive.parts.intervals import Intervals
from ostinato.models.autoregressive.parts.nade import BinaryChain, BinaryInput
from ostinato.models.autoregressive.parts.note_intervals import NoteIntervals
from ostinato.models.autoregressive.parts.repetition import (
    Memory,
    RepetitionInput,
    empty_memory,
    find_repetitions,
    next_repetition,
)
from ostinato.models.autoregressive.parts.step_input import StepInput, running_held
from ostinato.models.layers.conditions import ConditionInput
from ostinato.models.spec import PAD, ArraySpec, ConditionSpec, Given


@dataclass
class State:
    """State of a batch of sequences that is being generated.

    position: number of the current position; a tensor (1,) if steps are recorded. filled: number of
    its sub-tokens that are chosen. row_BW: the current position. context_BWH: the chain's state.
    cache: the trunk's state. memory: state of the search for repetitions. heard: state of the
    interval tables. condition_BD: added to every position.
    """

    position: int | Tensor
    filled: int
    row_BW: Tensor
    previous_BW: Tensor
    held_BW: Tensor
    context_BWH: Tensor
    cache: Any
    memory: Memory | None
    heard: Any = None
    condition_BD: Tensor | None = None


class Autoregressive(nn.Module):
    """Base of the families, which define the abstract methods.

    recordable: whether the family supports `fixed` steps, see `start`.
    """

    recordable = False

    def __init__(self, config: StepConfig, shape: ArraySpec) -> None:
        super().__init__()
        order = config.order or tuple(range(shape.width))
        if len(order) != shape.width:
            raise ValueError(
                f"order={list(order)} names {len(order)} sub-tokens, "
                f"the representation has {shape.width}"
            )
        self.shape, self.order, self.periods = shape, order, config.periods
        self.max_held, self.reach = config.held_steps, config.repetition_memory
        self.step_input: StepInput | BinaryInput
        self.chain: Chain | BinaryChain
        if shape.vocabulary == 2:  # keys that are off or on
            self.step_input = BinaryInput(
                shape.width, config.read_width, config.periods, config.held_steps
            )
            self.chain = BinaryChain(shape.width, config.width, config.voice_hidden, order)
        else:
            self.step_input = StepInput(config, shape)
            self.chain = Chain(config, shape, order)
        self.intervals = _tables(config, shape, order) if config.pair_tables else None
        period = config.periods[0] if config.periods else 1
        self.echo_input = (
            RepetitionInput(config.read_width, shape.width, shape.vocabulary, period)
            if config.repetition_memory
            else None
        )
        self.condition_input = (
            ConditionInput(
                config.conditions, shape.conditions, config.read_width, config.condition_dropout
            )
            if config.conditions
            else None
        )

    @abstractmethod
    def trunk(self, x_BTD: Tensor, rows_BTW: Tensor) -> Tensor:
        """Outputs of shape (B, T, D); position t sees inputs 0 to t.

        rows_BTW: sub-tokens of the inputs; the value `vocabulary` means "before the piece".
        """

    @abstractmethod
    def trunk_cache(self, batch: int, length: int, fixed: bool = False) -> Any:
        """The trunk's state before the first position, for sequences of about `length`."""

    @abstractmethod
    def trunk_step(self, x_BD: Tensor, rows_BW: Tensor, cache: Any) -> Tensor:
        """The trunk's output for one more position; updates the cache."""

    @abstractmethod
    def trunk_select(self, cache: Any, index_B: Tensor) -> None:
        """Keep these sequences in the cache, in this order; an index may occur twice."""

    def forward(
        self,
        inputs_BTW: Tensor,
        targets_BTW: Tensor,
        start_B: Tensor,
        given: Given | None = None,
        *,
        predict: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Nats of every target, 0 where it is PAD, of shape (B, T, W).

        inputs_BTW: the position before each target; PAD means "before the piece". start_B: position
        of the first target in its piece, for the clocks. given: conditions of the pieces.
        predict: return the most probable values as well, of the same shape.
        """
        held_BTW = running_held(inputs_BTW, self.max_held) if self.max_held else None
        clock_BT = start_B[:, None] + torch.arange(inputs_BTW.shape[1], device=inputs_BTW.device)
        previous = torch.where(inputs_BTW == PAD, self.shape.vocabulary, inputs_BTW)
        x_BTD = self.step_input(previous, clock_BT, held_BTW)
        if self.echo_input:
            match = find_repetitions(previous, self.reach, self.shape.vocabulary)
            x_BTD = x_BTD + self.echo_input(match)
        if (condition_BD := self._condition(len(inputs_BTW), given)) is not None:
            x_BTD = x_BTD + condition_BD[:, None]
        context_BTD = self.trunk(x_BTD, previous)
        targets = targets_BTW.clamp(min=0)
        logits_BTWV = self.chain(context_BTD, previous, targets)
        if self.intervals:
            logits_BTWV = self.intervals(logits_BTWV, previous, targets)
        nats = F.cross_entropy(
            logits_BTWV.reshape(-1, self.shape.vocabulary).float(),
            targets_BTW.reshape(-1),
            ignore_index=PAD,
            reduction="none",
        )
        nats = nats.view_as(targets_BTW)
        return (nats, logits_BTWV.argmax(dim=-1)) if predict else nats

    def score(self, tokens_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every sub-token of whole pieces, with PAD after their ends.

        Raises:
            ValueError: tokens of another width, or outside the vocabulary.
        """
        return self(*self._shifted(tokens_BTW), given)

    def predict(self, tokens_BTW: Tensor, given: Given | None = None) -> tuple[Tensor, Tensor]:
        """As `score`, and the most probable value of every sub-token, given all before it."""
        nats, best = self(*self._shifted(tokens_BTW), given, predict=True)
        return nats, best

    def _shifted(self, tokens_BTW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets and starts of whole pieces."""
        width, vocabulary = self.shape.width, self.shape.vocabulary
        if tokens_BTW.shape[-1] != width:
            raise ValueError(
                f"tokens have {tokens_BTW.shape[-1]} sub-tokens a position, the model reads {width}"
            )
        if tokens_BTW.numel() and int(tokens_BTW.max()) >= vocabulary:
            raise ValueError(
                f"sub-token {int(tokens_BTW.max())} is not in the model's vocabulary, 0 to "
                f"{vocabulary - 1}: these tokens have another encoding"
            )
        inputs = F.pad(tokens_BTW[:, :-1], (0, 0, 1, 0), value=PAD)
        starts = torch.zeros(len(tokens_BTW), dtype=torch.long, device=tokens_BTW.device)
        return inputs, tokens_BTW, starts

    def start(
        self, batch: int, length: int, fixed: bool = False, given: Given | None = None
    ) -> State:
        """The state before the first sub-token of `batch` pieces of about `length` positions.

        fixed: at most `length` positions, and every step runs the same operations, so that a step
        can be recorded and replayed. given: conditions of the pieces.
        """
        device = next(self.parameters()).device
        blank = torch.full((batch, self.shape.width), self.shape.vocabulary, device=device)
        held_BW = torch.zeros_like(blank)
        memory = empty_memory(batch, self.reach, self.shape.width, device) if self.reach else None
        cache = self.trunk_cache(batch, length, fixed)
        position = torch.zeros(1, dtype=torch.long, device=device) if fixed else 0
        row_BW, context = blank.clone(), torch.empty(0)
        condition_BD = self._condition(batch, given)
        heard = self.intervals.begin(blank) if self.intervals else None
        state = State(
            position, 0, row_BW, blank, held_BW, context, cache, memory, heard, condition_BD
        )
        self._open_position(state)
        return state

    def next_logits(self, state: State) -> Tensor:
        """Logits of the next sub-token, of shape (B, V)."""
        logits_BV = self.chain.step(state.context_BWH, state.filled)
        if self.intervals is None:
            return logits_BV
        column = self.order[state.filled]
        return self.intervals.step(logits_BV, column, state.row_BW, state.heard)

    def push(self, state: State, subtoken_B: Tensor) -> None:
        """Append one sub-token to every sequence."""
        column = self.order[state.filled]
        state.row_BW[:, column] = subtoken_B
        state.filled += 1
        if state.filled < self.shape.width:
            self.chain.choose(state.context_BWH, column, subtoken_B)
            return
        if self.max_held:
            same = state.row_BW == state.previous_BW
            state.held_BW = torch.where(same, state.held_BW + 1, 0).clamp(max=self.max_held)
        state.position, state.filled = state.position + 1, 0
        state.previous_BW = state.row_BW.clone()
        if self.intervals:
            self.intervals.push(state.row_BW, state.heard)
        self._open_position(state)

    def select(self, state: State, index_B: Tensor) -> None:
        """Keep these sequences, in this order; an index may occur twice."""
        index_B = index_B.to(state.row_BW.device)
        for name in ("row_BW", "previous_BW", "held_BW", "context_BWH"):
            setattr(state, name, getattr(state, name).index_select(0, index_B))
        self.trunk_select(state.cache, index_B)
        if state.memory:
            state.memory.select(index_B)
        if state.heard:
            state.heard.select(index_B)
        if state.condition_BD is not None:
            state.condition_BD = state.condition_BD.index_select(0, index_B)

    def given(self, codes_BK: Tensor) -> Given | None:
        """The conditions that the model uses, from all of a batch in the encoding's order."""
        return Given(self.condition_input.pick(codes_BK)) if self.condition_input else None

    @property
    def conditions(self) -> tuple[ConditionSpec, ...]:
        """The conditions that the model uses."""
        return self.condition_input.specs if self.condition_input else ()

    def _condition(self, batch: int, given: Given | None) -> Tensor | None:
        if self.condition_input is None:
            return None
        codes_BC = given.codes_BC if given else None
        if codes_BC is None:
            codes_BC = self.condition_input.not_given(batch)
        vectors: Tensor = self.condition_input(codes_BC)
        return vectors

    def _open_position(self, state: State) -> None:
        x_BD = self.step_input.step(state.previous_BW, state.position, state.held_BW)
        if self.echo_input and state.memory:
            match = next_repetition(state.previous_BW, state.memory, self.shape.vocabulary)
            x_BD = x_BD + self.echo_input(match)
        if state.condition_BD is not None:
            x_BD = x_BD + state.condition_BD
        context_BD = self.trunk_step(x_BD, state.previous_BW, state.cache)
        state.context_BWH = self.chain.open(context_BD, state.previous_BW)


def _tables(
    config: StepConfig, shape: ArraySpec, order: tuple[int, ...]
) -> Intervals | NoteIntervals:
    if shape.voices:
        return Intervals(shape.voices, order, config.pair_speed)
    if shape.notes and shape.timing:
        return NoteIntervals(shape.notes, shape.timing, config.pair_speed)
    raise ValueError(
        "pair_tables=true needs a grid of two or more voices, one in each column, or events that "
        "say the voice, pitch and duration of every note: set pair_tables to false for this "
        "encoding"
    )
