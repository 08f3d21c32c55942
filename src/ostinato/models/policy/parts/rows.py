"""What whole rows of a grid are expected to be: chords, and how many voices begin together.

A row's voices are chosen one after the other. After each choice a short summary of the row so far
(the classes above its lowest pitch, or how many voices have begun) tells what the row will be: its
mean over all rows of the study's clips with this summary is the value of the choice, and the
probabilities of all choices, weighted by their values, give the gradient (expected policy
gradients: Ciosek & Whiteson 2018). For the last voice the value is known exactly; the expected
count itself is taken from there.
"""

# N clips, T positions, K voices, V symbols of the next voice (1: the true one), S summaries

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

CLASSES, SETS = 12, 1 << 12
FOURTH = 5  # semitones from a dominant's bass up to the tonic, modulo 12
NOTHING = 1 << 10  # above all pitches


@dataclass(frozen=True)
class Chords:
    """Tables over the 4,096 sets of pitch classes.

    triad, dominant, root_triad: as in metrics.sonorities; root: a chord's root, -1 for no chord.
    """

    triad: Tensor
    dominant: Tensor
    root_triad: Tensor
    root: Tensor


class Row(NamedTuple):
    """A row so far, (N, T, V) each: pitch classes, voices that have begun, the lowest pitch."""

    classes: Tensor
    begun: Tensor
    lowest: Tensor

    def with_voice(self, pitch: Tensor, before: Tensor) -> "Row":
        """One voice more; pitch: -1 for none. before: what the voice sounded in the last row."""
        sounds = pitch >= 0
        bit = torch.where(sounds, 1 << (pitch.clamp(min=0) % CLASSES), 0)
        return Row(
            self.classes | bit,
            self.begun + (sounds & (pitch != before)),
            torch.where(sounds, torch.minimum(self.lowest, pitch), self.lowest),
        )

    def above(self, bass: Tensor) -> Tensor:
        """The classes above a bass, as sets."""
        shift = bass % CLASSES
        return ((self.classes >> shift) | (self.classes << (CLASSES - shift))) & (SETS - 1)

    def above_lowest(self) -> Tensor:
        """The classes above the lowest pitch; the empty set where nothing sounds."""
        return self.above(torch.where(self.lowest < NOTHING, self.lowest, 0))


@dataclass(frozen=True)
class Context:
    """What is known before each row.

    beat_NT1: the row is on a beat; upbeat_NT1: the next one is. last: the last row of each, without
    the voices' begun. chords: the tables.
    """

    real_NT1: Tensor
    beat_NT1: Tensor
    upbeat_NT1: Tensor
    last: Row
    chords: Chords

    @property
    def root(self) -> Tensor:
        """Of the last row, -1 for no chord."""
        return self.chords.root[self.last.classes]

    @property
    def falls(self) -> Tensor:
        """The row is on a beat, and the last one was a dominant in root position."""
        return self.beat_NT1 & self.chords.dominant[self.last.above_lowest()]


Summary = Callable[[Context, Row, bool], Tensor]  # the last argument: the row is complete


def _sonority(context: Context, row: Row, complete: bool) -> Tensor:
    return row.above_lowest()


def _begun(context: Context, row: Row, complete: bool) -> Tensor:
    return row.begun * 2 + context.beat_NT1


def _stays(context: Context, row: Row, complete: bool) -> Tensor:
    """Complete: 0 nothing begins or no chord, 1 another root, 2 the same."""
    root = context.root
    if complete:
        now = context.chords.root[row.classes]
        return torch.where((row.begun > 0) & (now >= 0), 1 + (now == root).long(), 0)
    fits = (row.classes & ~context.last.classes) == 0
    same_bass = row.lowest % CLASSES == context.last.lowest % CLASSES
    has_root = (row.classes >> root.clamp(min=0)) & 1
    return (row.begun > 0) + 2 * fits + 4 * same_bass + 8 * has_root


def _resolved(context: Context, row: Row, complete: bool) -> Tensor:
    goal = (context.last.lowest + FOURTH) % CLASSES
    return row.above(goal) + SETS * (row.lowest % CLASSES == goal)


@dataclass(frozen=True)
class Statistic:
    """A share of rows. where: the rows that may count. above, below: by a complete row's summary,
    whether it counts above and below the line.
    """

    summary: Summary
    where: Callable[[Context], Tensor]
    above: Callable[[Chords], Tensor]
    below: Callable[[Chords], Tensor]


def _sounds(chords: Chords) -> Tensor:
    return torch.arange(SETS) > 0


def _one_third(chords: Chords) -> Tensor:
    sets = torch.arange(SETS)
    return (sets >> 3 & 1) != (sets >> 4 & 1)


STATISTICS: Mapping[str, Statistic] = {
    "triads": Statistic(_sonority, lambda c: c.beat_NT1, lambda t: t.triad, _sounds),
    "dominants": Statistic(_sonority, lambda c: c.upbeat_NT1, lambda t: t.dominant, _sounds),
    "minor_thirds": Statistic(
        _sonority,
        lambda c: c.real_NT1,
        lambda t: _one_third(t) & (torch.arange(SETS) >> 3 & 1 == 1),
        _one_third,
    ),
    "alone": Statistic(
        _begun,
        lambda c: c.real_NT1,
        lambda t: torch.arange(2 * (CLASSES + 1)) // 2 == 1,
        lambda t: torch.arange(2 * (CLASSES + 1)) // 2 > 0,
    ),
    "same_root": Statistic(
        _stays,
        lambda c: c.root >= 0,
        lambda t: torch.arange(16) == 2,
        lambda t: (torch.arange(16) > 0) & (torch.arange(16) < 3),
    ),
    "resolved": Statistic(
        _resolved,
        lambda c: c.falls,
        lambda t: torch.cat([torch.zeros(SETS, dtype=torch.bool), t.root_triad]),
        lambda t: torch.arange(2 * SETS) % SETS > 0,
    ),
}


class RowCounts:
    """Expected counts of some STATISTICS under a model, from the clips that values are fitted on.

    pitch_V: of every symbol from the lowest, -1 for none. order: of the K voices.
    """

    def __init__(
        self, names: Sequence[str], chords: Chords, pitch_V: Tensor, order: Sequence[int]
    ) -> None:
        self.names, self.chords, self.pitch_V, self.order = tuple(names), chords, pitch_V, order
        self.values: dict[str, list[Tensor]] = {}

    def context(self, pitch_NTK: Tensor, beat_NT: Tensor, real_NT: Tensor) -> Context:
        """pitch_NTK: what sounds, -1 for nothing."""
        before_NTK = F.pad(pitch_NTK[:, :-1], (0, 0, 1, 0), value=-1)
        rows = _empty(before_NTK)
        for voice in self.order:
            rows = rows.with_voice(before_NTK[..., voice, None], before_NTK[..., voice, None])
        upbeat_NT = F.pad(beat_NT[:, 1:], (0, 1))
        real = real_NT[..., None]
        return Context(real, beat_NT[..., None] & real, upbeat_NT[..., None], rows, self.chords)

    def fit(self, pitch_NTK: Tensor, beat_NT: Tensor, real_NT: Tensor) -> Tensor:
        """Learn the values of choices; the clips' own counts, (statistics, 2)."""
        context = self.context(pitch_NTK, beat_NT, real_NT)
        places = list(self._places(pitch_NTK))
        counts = []
        for name in self.names:
            statistic = STATISTICS[name]
            where = context.real_NT1 & statistic.where(context)
            tables = torch.stack([statistic.above(self.chords), statistic.below(self.chords)])
            row, voice = places[-1]
            last = self._chosen(row, pitch_NTK, voice)
            found_2R = tables[:, statistic.summary(context, last, True)[where]].double()
            counts.append(found_2R.sum(dim=1))
            self.values[name] = [
                _means(
                    statistic.summary(context, self._chosen(row, pitch_NTK, voice), False)[where],
                    found_2R,
                )
                for row, voice in places[:-1]
            ] + [tables.float()]
        return torch.stack(counts)

    def expected(
        self, probs_NTKV: Tensor, pitch_NTK: Tensor, beat_NT: Tensor, real_NT: Tensor
    ) -> dict[str, Tensor]:
        """By statistic, what is expected above and below the line, (2,); differentiable.

        probs_NTKV: of every symbol of each voice, after the true ones before it.
        """
        context = self.context(pitch_NTK, beat_NT, real_NT)
        totals = {name: probs_NTKV.new_zeros(2) for name in self.names}
        places = list(self._places(pitch_NTK))
        before_NTK = F.pad(pitch_NTK[:, :-1], (0, 0, 1, 0), value=-1)
        for place, (row, voice) in enumerate(places):
            complete = place == len(places) - 1
            choices = row.with_voice(self.pitch_V, before_NTK[..., voice, None])
            for name in self.names:
                statistic = STATISTICS[name]
                where = context.real_NT1 & statistic.where(context)
                values_2S = self.values[name][place]
                summary_NTV = statistic.summary(context, choices, complete)
                weight_NTV = probs_NTKV[..., voice, :] * where
                found_2 = torch.stack(
                    [(values_S[summary_NTV] * weight_NTV).sum() for values_S in values_2S]
                )
                totals[name] = totals[name] + (found_2 if complete else found_2 - found_2.detach())
        return totals

    def _places(self, pitch_NTK: Tensor) -> list[tuple[Row, int]]:
        """For each voice in its turn, the true row before it is chosen."""
        before_NTK = F.pad(pitch_NTK[:, :-1], (0, 0, 1, 0), value=-1)
        found, row = [], _empty(pitch_NTK)
        for voice in self.order:
            found.append((row, voice))
            row = row.with_voice(pitch_NTK[..., voice, None], before_NTK[..., voice, None])
        return found

    @staticmethod
    def _chosen(row: Row, pitch_NTK: Tensor, voice: int) -> Row:
        before_NT = F.pad(pitch_NTK[:, :-1, voice], (1, 0), value=-1)
        return row.with_voice(pitch_NTK[..., voice, None], before_NT[..., None])


def _empty(pitch_NTK: Tensor) -> Row:
    zero = torch.zeros_like(pitch_NTK[..., :1])
    return Row(zero, zero, zero + NOTHING)


def _means(summary_R: Tensor, found_2R: Tensor) -> Tensor:
    """Mean counts by summary, (2, S); those of all rows where a summary did not occur."""
    size = 2 * SETS
    count = torch.bincount(summary_R, minlength=size)
    sums = torch.stack([torch.bincount(summary_R, one, minlength=size) for one in found_2R])
    mean = found_2R.mean(dim=1, keepdim=True).nan_to_num()
    return ((sums + mean) / (count + 1)).float()
