"""What all autoregressive families are: a trunk over positions, and a chain over their sub-tokens.

One position holds W sub-tokens: four voices of a time step, or a single event. The trunk reads the
previous positions; the chain then predicts the W sub-tokens one after the other, each seeing those
already chosen: p(x_t | x_<t) = Π_k p(x_tk | x_<t, x_t,order<k). The product over t is the exact
joint likelihood, at 1/W of the length of the flat form, and W = 1 is the flat form itself.
"""

# B batch, T positions, W sub-tokens of a position, D width, H head width, V vocabulary

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PAD = -1


@dataclass(frozen=True, kw_only=True)
class TokenShape:
    """What a model must know of its representation: W sub-tokens a position out of V."""

    width: int
    vocabulary: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.vocabulary < 2:
            raise ValueError(
                f"width={self.width} and vocabulary={self.vocabulary} describe no tokens"
            )


@dataclass(frozen=True, kw_only=True)
class StepConfig:
    """Settings that all families share.

    width: D, of the trunk. head: H, hidden width of each voice's predictor; 0 predicts linearly.
    order: in which the W sub-tokens are predicted; empty is as they come.
    periods: clocks, in positions from the start of the piece (16 is a bar of 4/4 in sixteenths).
    ages: up to how many positions the trunk is told how long each sub-token has stayed the same.
    """

    width: int
    head: int = 0
    order: tuple[int, ...] = ()
    periods: tuple[int, ...] = ()
    ages: int = 0

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError(
                f"order={list(self.order)} must name each of 0 to {len(self.order) - 1} once"
            )


@dataclass
class State:
    """Where a batch of sequences stands while it is generated.

    `row_BW` is the position in the making, `context_BWH` what the chain knows of it, `cache` what
    the trunk keeps.
    """

    position: int
    filled: int
    row_BW: Tensor
    previous_BW: Tensor
    age_BW: Tensor
    context_BWH: Tensor
    cache: Any


class Autoregressive(nn.Module):
    """Base of the families; a family brings `trunk`, `trunk_cache` and `trunk_step`."""

    def __init__(self, config: StepConfig, shape: TokenShape) -> None:
        super().__init__()
        order = config.order or tuple(range(shape.width))
        if len(order) != shape.width:
            raise ValueError(
                f"order={list(order)} names {len(order)} sub-tokens, "
                f"the representation has {shape.width}"
            )
        self.shape, self.order, self.periods, self.max_age = (
            shape,
            order,
            config.periods,
            config.ages,
        )
        self.step_input = StepInput(config, shape)
        self.chain = Chain(config, shape, order)

    @abstractmethod
    def trunk(self, x_BTD: Tensor) -> Tensor:
        """Outputs of shape (B, T, D); position t sees inputs 0 to t."""

    @abstractmethod
    def trunk_cache(self, batch: int, length: int) -> Any:
        """What the trunk carries from position to position, for sequences of about `length`."""

    @abstractmethod
    def trunk_step(self, x_BD: Tensor, cache: Any) -> Tensor:
        """The trunk's output for one more position; updates the cache."""

    def forward(self, inputs_BTW: Tensor, targets_BTW: Tensor, start_B: Tensor) -> Tensor:
        """Nats of every target, 0 where it is PAD, of shape (B, T, W).

        inputs_BTW: the position before each target; PAD is "before the piece". start_B: number of
        the first target's position in its piece, for the clocks.
        """
        ages_BTW = running_ages(inputs_BTW, self.max_age) if self.max_age else None
        clock_BT = start_B[:, None] + torch.arange(inputs_BTW.shape[1], device=inputs_BTW.device)
        previous = torch.where(inputs_BTW == PAD, self.shape.vocabulary, inputs_BTW)
        context_BTD = self.trunk(self.step_input(previous, clock_BT, ages_BTW))
        logits_BTWV = self.chain(context_BTD, previous, targets_BTW.clamp(min=0))
        nats = F.cross_entropy(
            logits_BTWV.reshape(-1, self.shape.vocabulary).float(),
            targets_BTW.reshape(-1),
            ignore_index=PAD,
            reduction="none",
        )
        return nats.view_as(targets_BTW)

    def score(self, tokens_BTW: Tensor) -> Tensor:
        """Nats of every sub-token of whole pieces, PAD after the ends: the way to a likelihood."""
        inputs = F.pad(tokens_BTW[:, :-1], (0, 0, 1, 0), value=PAD)
        starts = torch.zeros(len(tokens_BTW), dtype=torch.long, device=tokens_BTW.device)
        return self(inputs, tokens_BTW, starts)

    def start(self, batch: int, length: int) -> State:
        """The state before the first sub-token of `batch` pieces of about `length` positions."""
        device = next(self.parameters()).device
        blank = torch.full((batch, self.shape.width), self.shape.vocabulary, device=device)
        ages = torch.zeros_like(blank)
        state = State(
            0, 0, blank.clone(), blank, ages, torch.empty(0), self.trunk_cache(batch, length)
        )
        self._open_position(state)
        return state

    def next_logits(self, state: State) -> Tensor:
        """Logits of the next sub-token, of shape (B, V)."""
        return self.chain.step(state.context_BWH, state.filled)

    def push(self, state: State, subtoken_B: Tensor) -> None:
        """Append one sub-token to every sequence."""
        column = self.order[state.filled]
        state.row_BW[:, column] = subtoken_B
        state.filled += 1
        if state.filled < self.shape.width:
            self.chain.choose(state.context_BWH, column, subtoken_B)
            return
        if self.max_age:
            same = state.row_BW == state.previous_BW
            state.age_BW = torch.where(same, state.age_BW + 1, 0).clamp(max=self.max_age)
        state.position, state.filled = state.position + 1, 0
        state.previous_BW = state.row_BW.clone()
        self._open_position(state)

    def _open_position(self, state: State) -> None:
        x_BD = self.step_input.step(state.previous_BW, state.position, state.age_BW)
        context_BD = self.trunk_step(x_BD, state.cache)
        state.context_BWH = self.chain.open(context_BD, state.previous_BW)


def running_ages(rows_BTW: Tensor, max_age: int) -> Tensor:
    """For how many positions before this each sub-token has been what it is, up to `max_age`."""
    changed = torch.ones_like(rows_BTW, dtype=torch.bool)
    changed[:, 1:] = rows_BTW[:, 1:] != rows_BTW[:, :-1]
    steps_T1 = torch.arange(rows_BTW.shape[1], device=rows_BTW.device)[:, None]
    last_change = torch.where(changed, steps_T1, 0).cummax(dim=1).values
    return (steps_T1 - last_change).clamp(max=max_age)


class StepInput(nn.Module):
    """The previous position, the clocks and the ages as one vector."""

    offsets_W: Tensor
    age_offsets_W: Tensor

    def __init__(self, config: StepConfig, shape: TokenShape) -> None:
        super().__init__()
        self.periods = config.periods
        stride = shape.vocabulary + 1
        self.rows = nn.Embedding(shape.width * stride, config.width)
        self.register_buffer("offsets_W", torch.arange(shape.width) * stride, persistent=False)
        self.clocks = nn.ModuleList(nn.Embedding(period, config.width) for period in config.periods)
        self.ages = (
            nn.Embedding(shape.width * (config.ages + 1), config.width) if config.ages else None
        )
        self.register_buffer(
            "age_offsets_W", torch.arange(shape.width) * (config.ages + 1), persistent=False
        )
        for table in (self.rows, *self.clocks, *([self.ages] if self.ages else [])):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, rows_BTW: Tensor, clock_BT: Tensor, ages_BTW: Tensor | None) -> Tensor:
        """Shape (B, T, D)."""
        x_BTD = self.rows(rows_BTW + self.offsets_W).sum(dim=2)
        for period, table in zip(self.periods, self.clocks, strict=True):
            x_BTD = x_BTD + table(clock_BT % period)
        if self.ages is not None and ages_BTW is not None:
            x_BTD = x_BTD + self.ages(ages_BTW + self.age_offsets_W).sum(dim=2)
        return x_BTD

    def step(self, rows_BW: Tensor, position: int, ages_BW: Tensor) -> Tensor:
        """The same for one position, of the same number in all sequences: shape (B, D)."""
        x_BD = F.embedding_bag(rows_BW + self.offsets_W, self.rows.weight, mode="sum")
        for period, table in zip(self.periods, self.clocks, strict=True):
            x_BD += cast(nn.Embedding, table).weight[position % period]
        if self.ages is not None:
            x_BD += F.embedding_bag(ages_BW + self.age_offsets_W, self.ages.weight, mode="sum")
        return x_BD


class Chain(nn.Module):
    """Predicts a position's sub-tokens in their order, each from the trunk and those before it.

    Sub-token k sees
    hidden_k = gelu(P_k context + Σ_j F_jk[previous_j] + Σ_{j before k} E_jk[chosen_j])
    and gives logits U_k hidden_k. With head = 0 and W = 1 this is one linear layer.
    """

    offsets_W: Tensor
    sees_WW1: Tensor

    def __init__(self, config: StepConfig, shape: TokenShape, order: tuple[int, ...]) -> None:
        super().__init__()
        if shape.width > 1 and not config.head:
            raise ValueError(
                f"head=0 predicts one sub-token only, the representation has {shape.width}"
            )
        self.shape, self.head = shape, config.head
        W, H, stride = shape.width, config.head or config.width, shape.vocabulary + 1
        self.order = order
        self.project = nn.Linear(config.width, W * H) if config.head else nn.Identity()
        self.out_WHV = nn.Parameter(torch.empty(W, H, shape.vocabulary))
        self.bias_WV = nn.Parameter(torch.zeros(W, shape.vocabulary))
        nn.init.normal_(self.out_WHV, std=H**-0.5)
        if config.head:
            self.previous = nn.Embedding(W * stride, W * H)
            self.chosen = nn.Embedding(W * stride, W * H) if W > 1 else None
            for table in (self.previous, *([self.chosen] if self.chosen else [])):
                nn.init.normal_(table.weight, std=0.05)
        self.register_buffer("offsets_W", torch.arange(W) * stride, persistent=False)
        place = {column: rank for rank, column in enumerate(order)}
        sees = torch.tensor([[float(place[j] < place[k]) for k in range(W)] for j in range(W)])
        self.register_buffer("sees_WW1", sees[:, :, None], persistent=False)

    def forward(self, context_BTD: Tensor, previous_BTW: Tensor, targets_BTW: Tensor) -> Tensor:
        """Logits of shape (B, T, W, V), with the true sub-tokens as those already chosen."""
        B, T, W = targets_BTW.shape
        hidden_BTWH = self.open(context_BTD, previous_BTW)
        if self.head and self.chosen is not None:
            weight = (
                self.chosen.weight.view(W, -1, W, hidden_BTWH.shape[-1]) * self.sees_WW1[:, None]
            )
            flat = weight.view(self.chosen.num_embeddings, -1)
            indices = (targets_BTW + self.offsets_W).view(B * T, W)
            chosen = F.embedding_bag(indices, flat, mode="sum")
            hidden_BTWH = hidden_BTWH + chosen.view(B, T, W, -1)
        active = F.gelu(hidden_BTWH) if self.head else hidden_BTWH
        if W == 1:
            return (active[:, :, 0] @ self.out_WHV[0] + self.bias_WV[0])[:, :, None]
        logits_WNV = torch.bmm(active.reshape(B * T, W, -1).transpose(0, 1), self.out_WHV)
        return (logits_WNV + self.bias_WV[:, None]).transpose(0, 1).reshape(B, T, W, -1)

    def open(self, context: Tensor, previous: Tensor) -> Tensor:
        """What all sub-tokens of a position know before the first is chosen, (…, W, H)."""
        W = self.shape.width
        hidden = self.project(context)
        if self.head:
            indices = (previous + self.offsets_W).view(-1, W)
            bag = F.embedding_bag(indices, self.previous.weight, mode="sum")
            hidden = hidden + bag.view(*previous.shape[:-1], -1)
        return hidden.view(*context.shape[:-1], W, -1)

    def choose(self, hidden_BWH: Tensor, column: int, subtoken_B: Tensor) -> None:
        """Let the sub-tokens that come after `column` see what was chosen for it, in place."""
        if self.chosen is not None:
            seen = self.chosen(subtoken_B + self.offsets_W[column]).view_as(hidden_BWH)
            hidden_BWH += seen * self.sees_WW1[column]

    def step(self, hidden_BWH: Tensor, filled: int) -> Tensor:
        """Logits of the next sub-token, (B, V)."""
        column = self.order[filled]
        hidden_BH = hidden_BWH[:, column]
        active = F.gelu(hidden_BH) if self.head else hidden_BH
        return torch.addmm(self.bias_WV[column], active, self.out_WHV[column])
