"""A generator for each role, and a coordinator: several roles that hear each other.

Every bar has a part of each role, in an order. The coordinator, a transformer over the parts of all
roles and bars so far, gives each part its context, and predicts the meter of the next bar or the
end. A role's generator, a transformer over all that this role has played, hears that context, and
around the present step what the roles before it play in this bar and all roles played in the bars
before. The hierarchy is that of MuseGAN's hybrid model (Dong 2018) and of bars as units in MMM
(Ens & Pasquier 2020), with exact likelihoods:

    p(piece) = p(roles) Π_bars p(meter or end | bars before) Π_roles p(part | role's past, heard)

In training rows get a random order of their roles now and then (`shuffle`), so that any role can be
made for any others. The likelihood is that of the encoding's order.
"""

# B batch, T positions, N = T + 1, I bars, R roles, D width, L symbols of a role, V vocabulary

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive import gpt
from ostinato.models.autoregressive.parts.musical_time import latest
from ostinato.models.ensemble.parts.hearing import Hearing, rolls_of, sounding_at
from ostinato.models.ensemble.parts.intervals import Intervals
from ostinato.models.ensemble.parts.layout import (
    BAR,
    CLOSE,
    END,
    OPEN,
    PITCH,
    POSITION,
    WITH,
    Layout,
)
from ostinato.models.ensemble.parts.names import Names
from ostinato.models.ensemble.parts.reading import Reading, read
from ostinato.models.ensemble.parts.steps import Line, State
from ostinato.models.ensemble.parts.summaries import Summaries
from ostinato.models.ensemble.parts.voice import Voice
from ostinato.models.layers.conditions import ConditionInput
from ostinato.models.spec import NOT_GIVEN, PAD, ArraySpec, ConditionSpec, Given


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the family.

    width, layers, heads, memory: of every role's generator; memory counts its own symbols.
    coordinator_layers, coordinator_memory: of the coordinator, which has the same width and heads;
        its memory counts parts of bars.
    hears: steps around the present one at which a role hears the others. heard: width of what it
        hears of one role at one of them.
    motion_speed: how much faster than other weights the tables learn that tell how the other roles
        moved (parts/intervals.py); 0: there are none.
    shuffle: share of training rows with a random order of roles.
    alone: the coordinator gives nothing and nothing is heard: roles that only share the meters, for
        comparison.
    conditions: those that the coordinator and every role's generator are given.
        condition_dropout: mean share of them that is hidden in training; each row draws a share of
        its own, from none to all, so that any number of them can be asked for.
    """

    width: int = 96
    layers: int = 2
    heads: int = 4
    memory: int = 256
    coordinator_layers: int = 2
    coordinator_memory: int = 512
    hears: tuple[int, ...] = (-4, -2, -1, 0, 1, 2, 4, 8)
    heard: int = 24
    motion_speed: float = 0.0
    shuffle: float = 0.3
    alone: bool = False
    dropout: float = 0.1
    expansion: int = 4
    conditions: tuple[str, ...] = ()
    condition_dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.shuffle <= 1:
            raise ValueError(f"shuffle={self.shuffle} must lie in [0, 1]")
        if not 0 <= self.condition_dropout < 1:
            raise ValueError(f"condition_dropout={self.condition_dropout} must lie in [0, 1)")
        if self.motion_speed < 0:
            raise ValueError(f"motion_speed={self.motion_speed} cannot be negative; 0: no tables")
        if not self.hears or len(set(self.hears)) != len(self.hears):
            raise ValueError(f"hears={list(self.hears)} must name one or more steps, each once")
        if self.heard < 1:
            raise ValueError(f"heard={self.heard} must be at least 1")
        self.transformer(self.layers, self.memory)
        self.transformer(self.coordinator_layers, self.coordinator_memory)

    def transformer(self, layers: int, context: int) -> gpt.Config:
        """Settings of one of the transformers; raises ValueError where they contradict."""
        return gpt.Config(
            width=self.width,
            layers=layers,
            heads=self.heads,
            context=context,
            dropout=self.dropout,
            expansion=self.expansion,
        )


class Model(nn.Module):
    """The family; it has the methods of an autoregressive one, and those of `parts/steps.py`."""

    recordable = False
    order = (0,)

    def __init__(self, config: Config, spec: ArraySpec) -> None:
        super().__init__()
        self.config, self.shape = config, spec
        self.layout = Layout(spec)
        roles = len(self.layout.blocks)
        self.coordinator = Voice(
            config.transformer(config.coordinator_layers, config.coordinator_memory),
            self.layout.meters + 1,
        )
        voice = config.transformer(config.layers, config.memory)
        self.voices = nn.ModuleList(Voice(voice, block.size) for block in self.layout.blocks)
        self.summaries = Summaries(self.layout, config.width)
        told = 1 + bool(config.conditions)
        self.context = nn.ModuleList(
            nn.Linear(told * config.width, config.width, bias=False) for _ in range(roles)
        )
        self.intervals = nn.ModuleList(
            Intervals(self.layout, role, config.motion_speed) for role in range(roles)
        )
        self.hearing = Hearing(self.layout, config.hears, config.heard, config.width)
        self.place = nn.Embedding(self.layout.longest * 2, config.width)
        nn.init.normal_(self.place.weight, std=0.1)
        self.condition_input = (
            ConditionInput(config.conditions, spec.conditions, config.width, 0.0)
            if config.conditions
            else None
        )
        self.names = Names(roles, config.width)

    def forward(
        self,
        inputs_BTW: Tensor,
        targets_BTW: Tensor,
        start_B: Tensor,
        given: Given | None = None,
        *,
        predict: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Nats of every target, 0 where it is PAD, (B, T, 1); arguments as of `Autoregressive`."""
        tokens_BN = torch.cat([inputs_BTW[:, :1, 0], targets_BTW[:, :, 0]], dim=1)
        reading = read(self.layout, tokens_BN)
        order_BR = self._orders(len(tokens_BN), tokens_BN.device)
        nats_BT, right_BT = self._nats(reading, order_BR, given)
        known_BT = targets_BTW[:, :, 0] != PAD
        nats = torch.where(known_BT, nats_BT, 0.0)[..., None]
        if not predict:
            return nats
        wrong = (targets_BTW + 1) % self.layout.vocabulary
        return nats, torch.where(right_BT[..., None], targets_BTW, wrong)

    def score(self, tokens_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every sub-token of whole pieces, with PAD after their ends."""
        nats = self.forward(*self._shifted(tokens_BTW), given)
        assert isinstance(nats, Tensor)
        return nats

    def predict(self, tokens_BTW: Tensor, given: Given | None = None) -> tuple[Tensor, Tensor]:
        """As `score`, and the most probable sub-token of each; where it is not the true one, any
        other.
        """
        found = self.forward(*self._shifted(tokens_BTW), given, predict=True)
        assert isinstance(found, tuple)
        return found

    def given(self, codes_BK: Tensor) -> Given | None:
        """The conditions that the model uses, from all of a batch in the encoding's order."""
        return Given(self.condition_input.pick(codes_BK)) if self.condition_input else None

    @property
    def conditions(self) -> tuple[ConditionSpec, ...]:
        """The conditions that the model uses."""
        return self.condition_input.specs if self.condition_input else ()

    def start(
        self, batch: int, length: int, fixed: bool = False, given: Given | None = None
    ) -> State:
        """The state before the first token of `batch` pieces."""
        vectors_BD = self.condition(batch, given)
        return State([Line(self, vectors_BD[number]) for number in range(batch)])

    def next_logits(self, state: State) -> Tensor:
        """Log-probabilities of the next token, (B, V)."""
        return torch.stack([line.log_probabilities() for line in state.lines])

    def push(self, state: State, subtoken_B: Tensor) -> None:
        """Append one token to every sequence."""
        for line, token in zip(state.lines, subtoken_B.tolist(), strict=True):
            line.push(token)

    def select(self, state: State, index_B: Tensor) -> None:
        """Keep these sequences, in this order; an index may occur twice."""
        state.lines = [state.lines[number].copy() for number in index_B.tolist()]

    def condition(self, batch: int, given: Given | None) -> Tensor:
        """What conditions add to the coordinator's input, (B, D); in training, of what dropout
        leaves.
        """
        if self.condition_input is None:
            return self.place.weight.new_zeros(batch, self.config.width)
        codes_BC = given.codes_BC if given else None
        if codes_BC is None:
            codes_BC = self.condition_input.not_given(batch)
        if self.training and self.config.condition_dropout:
            power = 1 / self.config.condition_dropout - 1  # the mean of rand ** power is the share
            hidden_B1 = torch.rand(batch, 1, device=codes_BC.device) ** power
            kept_BC = torch.rand(codes_BC.shape, device=codes_BC.device) >= hidden_B1
            codes_BC = torch.where(kept_BC, codes_BC, NOT_GIVEN)
        vectors: Tensor = self.condition_input(codes_BC)
        return vectors

    def told(self, context: Tensor, condition: Tensor) -> Tensor:
        """What a role's generator is told: the coordinator's context, (…, D), and the conditions,
        which can be broadcast to it.
        """
        if self.condition_input is None:
            return context
        return torch.cat([context, condition.expand_as(context)], dim=-1)

    def _orders(self, batch: int, device: torch.device) -> Tensor:
        """The order of the roles of every row, (B, R)."""
        roles = len(self.layout.blocks)
        fixed_BR = torch.arange(roles, device=device).expand(batch, roles)
        if not self.training or not self.config.shuffle:
            return fixed_BR
        shuffled_BR = torch.rand(batch, roles, device=device).argsort(dim=1)
        chosen_B1 = torch.rand(batch, 1, device=device) < self.config.shuffle
        return torch.where(chosen_B1, shuffled_BR, fixed_BR)

    def _nats(
        self, reading: Reading, order_BR: Tensor, given: Given | None
    ) -> tuple[Tensor, Tensor]:
        """Nats of the tokens after the first, (B, T), and whether each was the most probable."""
        condition_BD = self.condition(len(order_BR), given)
        slots_BIRD, structure = self._coordinate(reading, order_BR, condition_BD)
        nats_BN = reading.tokens.new_zeros(reading.tokens.shape, dtype=slots_BIRD.dtype)
        right_BN = torch.ones_like(reading.tokens, dtype=torch.bool)
        sounds = rolls_of(self.layout, reading.notes, reading.ends)
        rolls = (sounds, self.hearing.vectors(sounds))
        slot_BR = order_BR.argsort(dim=1)
        for role in range(len(self.layout.blocks)):
            self._role(role, reading, slots_BIRD, slot_BR, rolls, (nats_BN, right_BN))
        self._structure(reading, structure, (nats_BN, right_BN))
        named = self.names.nats(self.layout, reading, condition_BD)
        return nats_BN[:, 1:] + named, right_BN[:, 1:]

    def _coordinate(
        self, reading: Reading, order_BR: Tensor, condition_BD: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What every part is told, by bar and place in the order, (B, I, R, D or 2 D), and logits
        what follows every bar, (B, I, M + 1).
        """
        B, bars, R = reading.present.shape
        summary_BIRD = self.summaries(reading)
        index = order_BR[:, None, :, None].expand(B, bars, R, summary_BIRD.shape[-1])
        ordered = summary_BIRD.gather(2, index)
        x_BISD = self.summaries.slots(ordered, order_BR)
        x_BSD = x_BISD.flatten(1, 2) + condition_BD[:, None]
        rows_BS = reading.meters.repeat_interleave(R + 1, dim=1)
        context_BSD, rows = self.coordinator.contexts(rows_BS, Given(memory_BSD=x_BSD))
        context = context_BSD.view(B, bars, R + 1, -1)
        last = context[:, :, R], rows.view(B, bars, R + 1, 1)[:, :, R]
        told = self.told(context[:, :, :R], condition_BD[:, None, None])
        return told, self.coordinator.logits(*last)

    def _role(
        self,
        role: int,
        reading: Reading,
        slots_BIRD: Tensor,
        slot_BR: Tensor,
        rolls: tuple[Tensor, Tensor],
        out: tuple[Tensor, Tensor],
    ) -> None:
        """Add the nats of one role's own symbols, each at the token that it is."""
        mine_BT = (reading.roles == role)[:, :-1] & (reading.kinds != WITH)[:, :-1]
        count_B = mine_BT.sum(dim=1)
        length = int(count_B.max())
        if not length:
            return
        at_BL = mine_BT.int().argsort(dim=1, descending=True, stable=True)[:, :length]
        inside_BL = torch.arange(length, device=at_BL.device) < count_B[:, None]

        def pick(values: Tensor) -> Tensor:
            return values.gather(1, at_BL)

        bar_BL = pick(reading.bars)
        first = pick(reading.kinds)[:, :1] == OPEN
        inputs_BL = torch.where(inside_BL, self.layout.symbols[pick(reading.tokens)], PAD)
        inputs_BL[:, :1] = torch.where(first, PAD, inputs_BL[:, :1])
        after_BL = pick(reading.tokens[:, 1:])
        own_BL = (self.layout.roles[after_BL] == role) & (self.layout.kinds[after_BL] != OPEN)
        targets_BL = torch.where(own_BL, self.layout.symbols[after_BL], CLOSE)
        targets_BL = torch.where(inside_BL & (after_BL != self.layout.vocabulary), targets_BL, PAD)
        bounds = (reading.starts.gather(1, bar_BL), reading.ends.gather(1, bar_BL))
        now_BL = pick(reading.now)
        rows_B1 = torch.arange(len(at_BL), device=at_BL.device)[:, None]
        heard = slots_BIRD[rows_B1, bar_BL, slot_BR[:, role : role + 1]]
        memory = self.memory(role, heard, now_BL, bounds, rolls[1], slot_BR)
        voice = cast(Voice, self.voices[role])
        logits_BLV = voice.logits(*voice.contexts(inputs_BL, Given(memory_BSD=memory)))
        kinds_BL, pitches_BL = pick(reading.kinds), self.layout.values[pick(reading.tokens)]
        last_BL = latest(pitches_BL, (kinds_BL == PITCH) & inside_BL, -1)
        chooses_BL = (kinds_BL == POSITION) & inside_BL
        sounding = self.sounding(role, rolls[0], now_BL, bounds[0], slot_BR)
        logits_BLV = self.intervals[role](logits_BLV, *sounding, last_BL, chooses_BL)
        nats_BL = F.cross_entropy(
            logits_BLV.flatten(0, 1).float(),
            targets_BL.flatten(),
            ignore_index=PAD,
            reduction="none",
        ).view_as(targets_BL)
        nats_BN, right_BN = out
        nats_BN.scatter_add_(1, at_BL + 1, nats_BL * inside_BL)
        wrong = inside_BL & (logits_BLV.argmax(dim=-1) != targets_BL)
        right_BN[rows_B1.expand_as(at_BL)[wrong], (at_BL + 1)[wrong]] = False

    def memory(
        self,
        role: int,
        context: Tensor,
        now: Tensor,
        bounds: tuple[Tensor, Tensor],
        vectors: Tensor,
        slot_BR: Tensor,
    ) -> Tensor:
        """What a role's generator is given at some of its positions, (B, L, D)."""
        place = (now - bounds[0]).clamp(0, self.place.num_embeddings - 1)
        memory: Tensor = self.place(place)
        if self.config.alone:
            return memory
        before_BR = slot_BR < slot_BR[:, role : role + 1]
        heard: Tensor = self.hearing(vectors, role, now, bounds, before_BR)
        return memory + self.context[role](context) + heard

    def sounding(
        self, role: int, rolls: Tensor, now: Tensor, starts: Tensor, slot_BR: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What sounds in every role that a role hears at its present steps, and a step before, (B,
        L, R, P) each.
        """
        before_BR = slot_BR < slot_BR[:, role : role + 1]
        heard = sounding_at(rolls, now, starts, before_BR)
        if self.config.alone:
            return torch.zeros_like(heard), torch.zeros_like(heard)
        earlier = sounding_at(rolls, now - 1, starts, before_BR)
        return heard, earlier * (now > 0)[..., None, None]

    def _structure(self, reading: Reading, logits_BIM: Tensor, out: tuple[Tensor, Tensor]) -> None:
        """Add the nats of meters and of the end."""
        after = reading.tokens[:, 1:]
        kinds = self.layout.kinds[after]
        rows, places = ((kinds == BAR) | (kinds == END)).nonzero(as_tuple=True)
        tokens = after[rows, places]
        symbols = torch.where(
            self.layout.kinds[tokens] == BAR, self.layout.values[tokens], self.layout.meters
        )
        logits = logits_BIM[rows, reading.bars[rows, places]]
        nats_BN, right_BN = out
        costs = F.cross_entropy(logits.float(), symbols, reduction="none")
        nats_BN.index_put_((rows, places + 1), costs, accumulate=True)
        right_BN[rows, places + 1] &= logits.argmax(dim=-1) == symbols

    def _shifted(self, tokens_BTW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets and starts of whole pieces."""
        if tokens_BTW.numel() and int(tokens_BTW.max()) >= self.layout.vocabulary:
            raise ValueError(
                f"token {int(tokens_BTW.max())} is not in the model's vocabulary, 0 to "
                f"{self.layout.vocabulary - 1}: these tokens have another encoding"
            )
        inputs = F.pad(tokens_BTW[:, :-1], (0, 0, 1, 0), value=PAD)
        starts = torch.zeros(len(tokens_BTW), dtype=torch.long, device=tokens_BTW.device)
        return inputs, tokens_BTW, starts
