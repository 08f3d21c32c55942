"""Relative attention: distance in positions, place in the bar, distance in musical time, and the
interval between the pitches of each voice (Huang et al. 2018; Shaw et al. 2018).

One head's score of key s for query t, s <= t, is

    ( q_t · k_s  +  (q_t + c) · ( R[t - s] + M[τ_t - τ_s] + Σ_w P_w[p_tw - p_sw] ) ) / √E
    R[d] = near[min(d, F - 1)] + Σ_j metrical_j[d mod period_j]

p_tw is the pitch of voice w in the input of position t; a voice without a pitch in one of the rows
adds nothing. τ_t is the musical time after that row, for events only; M is constant beyond G - 1
steps. `c` makes relations independent of the query (Dai et al. 2019). No tensor has size (T, T, E).
R: queries times all distances, then each row is shifted, which is a view (the skewing of Huang et
al.). M: queries times all time distances, (T, G), then a gather. P: for each query the score of
every pitch of every voice, (T, W · P), times the keys' pitches as zeros and ones, (W · P, S).
"""

# B batch, T positions, N heads, E width of a head, W voices, C queries of a chunk, S its keys,
# F distances, G time distances, P pitches, I intervals

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

SPREAD = 0.2
AMPLITUDE = 1.0
LONGEST = 1000.0


class Pitches(NamedTuple):
    """Data of all rows for relations in intervals, shared by all layers.

    keys_BTX: X = W · P zeros and ones, the pitch of each voice. lookup_BTX: for each of these
    pitches the number of its interval from the query's pitch, from 1; 0 without a pitch.
    """

    keys_BTX: Tensor
    lookup_BTX: Tensor


class PitchScale(NamedTuple):
    """The symbols that are pitches: `number` of them from `first`; intervals up to `widest`."""

    first: int
    number: int
    widest: int

    def pitch(self, rows: Tensor) -> Tensor:
        """Pitch of each symbol, from 0; -1: no pitch."""
        pitch = rows - self.first
        return torch.where((pitch >= 0) & (pitch < self.number), pitch, -1)

    def intervals(self, upper: Tensor, lower: Tensor) -> Tensor:
        """Number of each voice's interval, from 1; 0 if one of the rows has no pitch.

        Voices are the last dimension, with I = 2 widest + 1 numbers each.
        """
        W = upper.shape[-1]
        offsets_W = torch.arange(W, device=upper.device) * (2 * self.widest + 1) + 1
        number = (upper - lower).clamp(-self.widest, self.widest) + self.widest + offsets_W
        return torch.where((upper >= 0) & (lower >= 0), number, 0)

    def relate(self, rows_BTW: Tensor) -> Pitches:
        """For whole sequences."""
        pitch_BTW = self.pitch(rows_BTW)
        any_P = torch.arange(self.number, device=rows_BTW.device)
        lookup_BTPW = self.intervals(pitch_BTW[:, :, None], any_P[:, None])
        keys_BTPW = pitch_BTW[:, :, None] == any_P[:, None]
        return Pitches(keys_BTPW.flatten(2), lookup_BTPW.flatten(2))


class Relations(nn.Module):
    """Parameters c, R, M and P of one layer, separate for each head."""

    def __init__(
        self,
        heads: int,
        width: int,
        max_distance: int,
        periods: Sequence[int],
        intervals: int,
        max_time_distance: int = 0,
    ) -> None:
        super().__init__()
        self.query_N1E = nn.Parameter(torch.zeros(heads, 1, width))
        self.near_NFE = nn.Parameter(waves(max_distance, width).repeat(heads, 1, 1) * AMPLITUDE)
        self.metrical = nn.ParameterList(
            torch.randn(heads, period, width) * SPREAD for period in periods
        )
        self.interval_NEI = (
            nn.Parameter(torch.randn(heads, width, intervals) * SPREAD) if intervals else None
        )
        self.moments_NGE = (
            nn.Parameter(waves(max_time_distance, width).repeat(heads, 1, 1) * AMPLITUDE)
            if max_time_distance
            else None
        )

    def distances(self, count: int) -> Tensor:
        """R of the distances count - 1, …, 1, 0, shape (N, count, E)."""
        d = torch.arange(count - 1, -1, -1, device=self.near_NFE.device)
        table_NFE = self.near_NFE[:, d.clamp(max=self.near_NFE.shape[1] - 1)]
        for part in self.metrical:
            table_NFE = table_NFE + part[:, d % part.shape[1]]
        return table_NFE

    def intervals(self) -> Tensor:
        """P of each voice's intervals by their numbers, zero for number 0, (N, E, 1 + W I)."""
        assert self.interval_NEI is not None
        return nn.functional.pad(self.interval_NEI, (1, 0))

    def times(self) -> Tensor:
        """M by the time that has passed, (N, E, G)."""
        assert self.moments_NGE is not None
        return self.moments_NGE.transpose(1, 2)

    def by_time(self, q_NBCE: Tensor, passed_BCS: Tensor) -> Tensor:
        """q_t · M of the time passed since every key, (B, N, C, S)."""
        N, B, C, _ = q_NBCE.shape
        earned = torch.bmm(q_NBCE.reshape(N, B * C, -1), self.times())
        earned_BNCG = earned.view(N, B, C, -1).transpose(0, 1)
        return earned_BNCG.gather(3, passed_BCS[:, None].expand(B, N, C, -1))

    def earned(self, q_NBTE: Tensor, pitches: Pitches) -> Tensor:
        """Score of every pitch of every voice for each query, shape (B, N, T, X)."""
        N, B, T, _ = q_NBTE.shape
        by_interval = torch.bmm(q_NBTE.flatten(1, 2), self.intervals()).view(N, B, T, -1)
        lookup = pitches.lookup_BTX[:, None].expand(B, N, T, -1)
        return by_interval.transpose(0, 1).gather(3, lookup)


def time_passed(later_BC: Tensor, earlier_BS: Tensor, max_time_distance: int) -> Tensor:
    """Time between positions as an index into M, (B, C, S)."""
    return (later_BC[:, :, None] - earlier_BS[:, None]).clamp(0, max_time_distance - 1)


def waves(count: int, width: int) -> Tensor:
    """Cosines and sines of distances, (count, width): initial values of R and M.

    Frequencies from 1 to 1 / LONGEST radians per position or step (Vaswani et al. 2017).
    """
    half = (width + 1) // 2
    angles = torch.arange(count)[:, None] * LONGEST ** -(torch.arange(half) / half)
    return torch.cat([angles.cos(), angles.sin()], dim=1)[:, :width]


def by_distance(q_NBCE: Tensor, table_NFE: Tensor, keys: int) -> Tensor:
    """q_t · R[t - s] of a chunk for its keys, the last of which is its last query; (B, N, C, S).

    table_NFE: from `distances`. Skewing: each row has the distances keys - 1 to 0 and a padding
    column; read from entry C - 1 with one column less, each row begins one place earlier than the
    row before. Entries with s > t belong to the next row and are masked.
    """
    N, B, C, E = q_NBCE.shape
    table_NSE = nn.functional.pad(table_NFE[:, -keys:], (0, 0, 0, 1))
    flat = torch.bmm(q_NBCE.reshape(N, B * C, E), table_NSE.transpose(1, 2)).view(N, B, -1)
    return flat[..., C - 1 : C - 1 + C * keys].view(N, B, C, keys).transpose(0, 1)
