"""Music Transformer: relative self-attention (Huang et al. 2018), over rows of voices.

Attention uses the distance between positions, their place in the bar, the musical time between
events, and the interval between the pitches of each voice; parts/relative.py has the formula,
parts/transformer.py the body. A position sees itself and the `context` - 1 before it, in training
and in sampling.
"""

# B batch, T positions, D width, N heads, E width of a head, W voices, S slots of the ring,
# G times told apart

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.musical_time import Clock, TimeState
from ostinato.models.autoregressive.parts.relative import (
    Pitches,
    PitchScale,
    Relations,
    by_distance,
    time_passed,
)
from ostinato.models.autoregressive.parts.transformer import Stack, StackConfig, Weights, step
from ostinato.models.layers.attention import CHUNK, Chunk, Ring, Slot, query_chunks
from ostinato.models.layers.blocks import matrix
from ostinato.models.spec import ArraySpec


@dataclass(frozen=True, kw_only=True)
class Config(StackConfig):
    """Settings of the family.

    max_distance: distances in positions that have a relation of their own, 0 being the position
        itself; longer ones share the last one's, except for their place in the `periods`.
    max_time_distance: the same in musical time, in steps of a representation of events; 0: no
        relations in time.
    pitch_range: first and last of the symbols that are consecutive pitches; empty: no relations in
        intervals.
    intervals: widest interval that has a relation of its own, in semitones.
    """

    max_distance: int = 128
    max_time_distance: int = 0
    pitch_range: tuple[int, ...] = ()
    intervals: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.max_distance <= self.context:
            raise ValueError(
                f"max_distance={self.max_distance} must lie in 1 to context={self.context}"
            )
        if self.max_time_distance < 0:
            raise ValueError(
                f"max_time_distance={self.max_time_distance} cannot be negative; 0 switches it off"
            )
        if self.pitch_range and (
            len(self.pitch_range) != 2 or self.pitch_range[0] >= self.pitch_range[1]
        ):
            raise ValueError(
                f"pitch_range={list(self.pitch_range)} must be a first and a last symbol"
            )
        if self.intervals < 1:
            raise ValueError(
                f"intervals={self.intervals} must be at least 1; or leave out pitch_range"
            )


class Tables(NamedTuple):
    """Tables of one layer's relations for steps.

    query_N1E: c. around: R in order of the ring, twice, so that any rotation is one slice,
    (N, E, 2S). intervals: P by number, (N, E, 1 + W I). times: M, (N, E, G).
    """

    query_N1E: Tensor
    around: Tensor
    intervals: Tensor | None
    times: Tensor | None


class KeyRelations(NamedTuple):
    """Relations of the newest position to each that it sees.

    intervals: numbers of the voices' intervals, (B, S, W). passed: numbers of the time between
    them, (B, S). None if not asked for.
    """

    intervals: Tensor | None
    passed: Tensor | None


@dataclass
class Cache:
    """The ring, its positions' pitches (B, S, W) and times (B, S), the current time, and the
    blocks' weights and tables.
    """

    ring: Ring
    pitches: Tensor
    times: Tensor
    time: TimeState | None
    weights: list[Weights]
    tables: list[Tables]


class Model(Stack):
    """Stack of relative attention and feed-forward blocks."""

    config: Config
    recordable = True

    def __init__(self, config: Config, shape: ArraySpec) -> None:
        clock, scale = event_clock(config, shape), pitch_scale(config, shape)
        intervals = shape.width * (2 * config.intervals + 1) if scale else 0
        attention = partial(Attention, config, intervals)
        super().__init__(config, shape, attention)
        self.scale, self.clock = scale, clock

    def trunk(self, x_BTD: Tensor, rows_BTW: Tensor) -> Tensor:
        """Outputs of shape (B, T, D)."""
        pitches = self.scale.relate(rows_BTW) if self.scale else None
        times_BT = self.clock(rows_BTW[:, :, 0]) if self.clock else None
        length, context = x_BTD.shape[1], self.config.context
        # one large chunk is faster on a GPU
        one_chunk = x_BTD.device.type != "cpu" and length <= context
        size = length if one_chunk else CHUNK
        chunks = query_chunks(length, context, x_BTD.device, size)
        return self.run(x_BTD, pitches, chunks, self._passed(times_BT, chunks))

    def _passed(self, times_BT: Tensor | None, chunks: list[Chunk]) -> list[Tensor] | None:
        """Time distances of every chunk, for all layers, (B, C, S)."""
        if times_BT is None:
            return None
        return [
            time_passed(
                times_BT[:, start:end], times_BT[:, first:end], self.config.max_time_distance
            )
            for first, start, end, _ in chunks
        ]

    def trunk_cache(self, batch: int, length: int, fixed: bool = False) -> Cache:
        """State for the last `context` positions, or for all of a shorter sequence."""
        ring = self.ring(batch, length, fixed)
        size = (batch, ring.slots, self.shape.width)
        pitches = torch.full(size, -1, device=ring.kept.device)
        times = pitches.new_zeros(size[:2])
        time = self.clock.begin(batch) if self.clock else None
        return Cache(ring, pitches, times, time, self.weights(), self._tables(ring.slots))

    def trunk_step(self, x_BD: Tensor, rows_BW: Tensor, cache: Cache) -> Tensor:
        """One more position."""
        ring = cache.ring
        before = ring.slots
        if ring.grow():
            cache.pitches = F.pad(cache.pitches, (0, 0, 0, ring.slots - before), value=-1)
            cache.times = F.pad(cache.times, (0, ring.slots - before))
            cache.tables = self._tables(ring.slots)
        slots = ring.open()
        related = self._relate_newest(rows_BW, cache, slots[0].seen.shape[3])
        for weights, tables, slot in zip(cache.weights, cache.tables, slots, strict=True):
            attend = partial(attend_step, tables, ring, related, slot)
            x_BD = step(x_BD, weights, attend)
        ring.close()
        return self.norm(x_BD)

    def _relate_newest(self, rows_BW: Tensor, cache: Cache, seen: int) -> KeyRelations:
        """Relations of the newest position to the `seen` ones; stores its pitches and its time."""
        intervals = passed = None
        if self.scale:
            pitch_BW = self.scale.pitch(rows_BW)
            cache.ring.note(cache.pitches, pitch_BW)
            intervals = self.scale.intervals(pitch_BW[:, None], cache.pitches[:, :seen])
        if self.clock and cache.time:
            time_B = self.clock.step(rows_BW[:, 0], cache.time)
            cache.ring.note(cache.times, time_B)
            passed = time_passed(
                time_B[:, None], cache.times[:, :seen], self.config.max_time_distance
            )[:, 0]
        return KeyRelations(intervals, passed)

    def trunk_select(self, cache: Cache, index_B: Tensor) -> None:
        """Keep these sequences."""
        cache.ring.select(index_B)
        cache.pitches = cache.pitches.index_select(0, index_B)
        cache.times = cache.times.index_select(0, index_B)
        if cache.time:
            cache.time.select(index_B)

    def _tables(self, slots: int) -> list[Tables]:
        """Column z of R is the distance -z mod slots: slot s is (position - s) mod slots back."""
        tables = []
        for block in self.blocks:
            relations = cast(Relations, block.get_submodule("attention.relations"))
            down_NSE = relations.distances(slots)  # slots - 1, … 1, 0
            around = down_NSE.roll(1, dims=1).transpose(1, 2)  # 0, slots - 1, … 1
            intervals = relations.intervals() if self.scale else None
            times = None if self.clock is None else relations.times()
            around = torch.cat([around, around], dim=2)
            tables.append(Tables(relations.query_N1E, around, intervals, times))
        return tables


def pitch_scale(config: Config, shape: ArraySpec) -> PitchScale | None:
    """The symbols that are pitches; None if no relations in intervals are used."""
    if not config.pitch_range:
        return None
    first, last = config.pitch_range
    if first < 0 or last >= shape.vocabulary:
        raise ValueError(
            f"pitch_range={[first, last]} must be symbols, and the representation has "
            f"{shape.vocabulary}: 0 to {shape.vocabulary - 1}; choose the encoding that they "
            "are of (encoding=…), or leave pitch_range out"
        )
    return PitchScale(first, last - first + 1, config.intervals)


def event_clock(config: Config, shape: ArraySpec) -> Clock | None:
    """The clock of a stream of events; None if no relations in time are used."""
    if not config.max_time_distance:
        return None
    if shape.timing is None:
        raise ValueError(
            f"max_time_distance={config.max_time_distance} needs the times of events, and this "
            "representation has none: its positions are equally far apart, or it was encoded by an "
            "earlier version (encode it again); choose an encoding of events (encoding=…), or "
            "leave max_time_distance out: `max_distance` counts positions"
        )
    return Clock(shape.timing)


class Attention(nn.Module):
    """Causal self-attention with relations."""

    def __init__(self, config: Config, intervals: int) -> None:
        super().__init__()
        self.heads, self.head_width = config.heads, config.head_width
        self.side_by_side = {"qkv": 3}
        self.qkv = matrix(config.width, 3 * config.width)
        self.out = matrix(config.width, config.width, config.gain)
        self.relations = Relations(
            config.heads,
            self.head_width,
            config.max_distance,
            config.periods,
            intervals,
            config.max_time_distance,
        )

    def forward(
        self,
        x_BTD: Tensor,
        pitches: Pitches | None,
        chunks: list[Chunk],
        passed: list[Tensor] | None = None,
    ) -> Tensor:
        """Every position attends to itself and those before it, within the context."""
        B, T, D = x_BTD.shape
        N, E = self.heads, self.head_width
        q, k, v = (x_BTD @ self.qkv).view(B, T, 3, N, E).permute(2, 0, 3, 1, 4).unbind(0)
        q = q * E**-0.5
        q_ATE, k_ATE, v_ATE = (part.reshape(B * N, T, E) for part in (q, k, v))
        whatever_N11E = (self.relations.query_N1E * E**-0.5)[:, None].to(q.dtype)
        asks_NBTE = q.transpose(0, 1) + whatever_N11E
        table_NFE = self.relations.distances(max(chunk.end - chunk.first for chunk in chunks))
        earned_BNTX = self.relations.earned(asks_NBTE, pitches) if pitches else None
        # split instead of slices: the gradient is concatenated once, not padded for each chunk
        sizes = [chunk.end - chunk.start for chunk in chunks]
        asks = torch.split(asks_NBTE, sizes, dim=2)
        queries = torch.split(q_ATE, sizes, dim=1)
        earned = torch.split(earned_BNTX, sizes, dim=2) if earned_BNTX is not None else []
        parts = []
        for i, (first, start, end, mask) in enumerate(chunks):
            scores = by_distance(asks[i], table_NFE, end - first) + mask.to(q.dtype)
            if passed:
                scores = scores + self.relations.by_time(asks[i], passed[i])
            if pitches:
                keys = pitches.keys_BTX[:, first:end].transpose(1, 2).to(q.dtype)
                scores = torch.baddbmm(scores.flatten(1, 2), earned[i].flatten(1, 2), keys)
            scores = scores.reshape(B * N, end - start, end - first)
            parts.append(attend(scores, queries[i], k_ATE[:, first:end], v_ATE[:, first:end]))
        y_BNTE = torch.cat(parts, dim=1).view(B, N, T, E)
        return y_BNTE.transpose(1, 2).reshape(B, T, D) @ self.out


def attend(bias_ACS: Tensor, q_ACE: Tensor, k_ASE: Tensor, v_ASE: Tensor) -> Tensor:
    """Attention with softmax of q · k + bias, (A, C, E); on a GPU torch's fused kernel."""
    if q_ACE.device.type == "cpu":
        scores_ACS = torch.baddbmm(bias_ACS, q_ACE, k_ASE.transpose(1, 2))
        return torch.bmm(scores_ACS.softmax(dim=-1), v_ASE)
    q, k, v, bias = q_ACE[None], k_ASE[None], v_ASE[None], bias_ACS[None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)[0]


def attend_step(
    tables: Tables, ring: Ring, related: KeyRelations, slot: Slot, qkv_BX: Tensor
) -> Tensor:
    """One position, (B, D): stores its key and value in the slot and attends."""
    _, B, N, S, E = slot.seen.shape
    qkv_3BNE = qkv_BX.view(B, 3, N, E).transpose(0, 1)
    slot.put(qkv_3BNE[1:])
    q_BNE = qkv_3BNE[0]
    asks_NBE = (q_BNE.transpose(0, 1) + tables.query_N1E) * E**-0.5
    bias_BNS = distance_bias(tables.around, asks_NBE, ring, S).transpose(0, 1)
    if related.passed is not None and tables.times is not None:
        by_time = torch.bmm(asks_NBE, tables.times).transpose(0, 1)
        bias_BNS = bias_BNS + by_time.gather(2, related.passed[:, None].expand(B, N, S))
    if related.intervals is not None and tables.intervals is not None:
        by_interval = torch.bmm(asks_NBE, tables.intervals).transpose(0, 1)
        numbers = related.intervals.view(B, 1, -1).expand(B, N, -1)
        earned = by_interval.gather(2, numbers).view(B, N, S, -1)
        bias_BNS = bias_BNS + earned.sum(dim=-1)
    return slot.attend(q_BNE, bias_BNS).reshape(B, N * E)


def distance_bias(around_NEZ: Tensor, asks_NBE: Tensor, ring: Ring, seen: int) -> Tensor:
    """Bias of every slot for the newest position, (N, B, S): R rotated by that position."""
    slots = ring.slots
    if ring.clock is None:
        return torch.bmm(asks_NBE, around_NEZ.narrow(2, -ring.position % slots, seen))
    turned_S = (torch.arange(slots, device=ring.clock.device) - ring.clock) % slots
    return torch.bmm(asks_NBE, around_NEZ[:, :, :slots]).index_select(2, turned_S)
