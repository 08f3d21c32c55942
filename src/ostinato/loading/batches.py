"""Training batches as a pure function of (seed, step): random crops of transposed pieces.

There is no state, epoch or worker number, so a killed run resumes exactly and any number of
workers or ranks sees the same batches. A crop includes the position before it, so that only the
beginning of a piece looks like one. Starts are drawn up to half a crop beyond both ends and
clipped: the first and last positions of a piece are seen about half as often as its middle.

Every row is from one piece: no position sees another piece. If pieces are shorter than a crop,
`bucket_by_length` saves padding: all rows of a batch then come from one bucket of pieces of similar
length. A bucket is drawn in proportion to its number of positions, and a piece to its own, so every
piece is seen in proportion to its length, as without buckets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.loading.tokens import Array, Split, TokenSet
from ostinato.models.spec import PAD

LIKE = 1.2  # maximum ratio of lengths within a bucket: at most 1/6 of a row is padding
Batch = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class CropSettings:
    """batch: pieces in a global batch; crop: positions; transpose: range of semitones, both
    included; bucket_by_length: pad rows to the longest of the batch, else to `crop`.
    """

    batch: int
    crop: int
    transpose: tuple[int, int] = (0, 0)
    bucket_by_length: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        if self.batch < 1 or self.crop < 2:
            raise ValueError(
                f"batch={self.batch} must be at least 1 and crop={self.crop} at least 2"
            )
        low, high = self.transpose
        if not -11 <= low <= 0 <= high <= 11:
            raise ValueError(f"transpose={[low, high]} must be a range around 0 within -11 to 11")


class Crops(torch.utils.data.Dataset[Batch]):
    """Item `step * parts + part` is one of `parts` equal shares of a rank's part of the batch of
    that step.
    """

    def __init__(
        self,
        tokens: TokenSet,
        settings: CropSettings,
        *,
        rank: int = 0,
        world: int = 1,
        parts: int = 1,
    ) -> None:
        if settings.batch % (world * parts):
            raise ValueError(
                f"batch={settings.batch} cannot be divided among {world} devices"
                f"{f' in {parts} parts' if parts > 1 else ''}; "
                f"choose a multiple of {world * parts} or other devices"
            )
        self._split = tokens.splits["train"]
        if not len(self._split):
            raise ValueError(f"encoding {tokens.name} has no piece to train on")
        self._settings, self._rank, self._world, self._parts = settings, rank, world, parts
        shifts = tokens.shifts
        self._tables = np.stack([shifts[k] for k in range(-11, 12)])
        self._buckets = [np.arange(len(self._split))]
        if settings.bucket_by_length:
            self._buckets = buckets(self._split.length, settings.crop, settings.batch)
        self._within = [_cumulative(self._split.length[pieces]) for pieces in self._buckets]
        self._between = _cumulative([self._split.length[pieces].sum() for pieces in self._buckets])

    def __getitem__(self, index: int) -> Batch:
        """inputs, targets (b, T, W) of these rows; start (b,); conditions (b, K), codes of the
        codec's K conditions; count: sub-tokens of the whole global batch.
        """
        step, part = divmod(index, self._parts)
        pieces, draws = self._drawn(step)
        crop, width = self._settings.crop, self._split.tokens.shape[1]
        lengths = self._split.length[pieces]
        starts = [self._start(draws[row, 0], int(lengths[row])) for row in range(len(pieces))]
        sizes = np.minimum(lengths - starts, crop)
        mine = np.arange(part * self._world + self._rank, len(pieces), self._world * self._parts)
        longest = int(sizes[mine].max()) if self._settings.bucket_by_length else crop
        inputs = np.full((len(mine), longest, width), PAD, np.int64)
        targets = inputs.copy()
        for place, row in enumerate(mine):
            start = starts[row]
            shifted = self._transpose(pieces[row], max(0, start - 1), start + crop, draws[row, 1])
            before, now = (shifted[:1], shifted[1:]) if start else (shifted[:0], shifted)
            targets[place, : len(now)] = now
            inputs[place, int(not start) : len(now)] = np.concatenate([before, now[:-1]])
        return {
            "inputs": torch.from_numpy(inputs),
            "targets": torch.from_numpy(targets),
            "start": torch.from_numpy(np.array(starts, np.int64)[mine]),
            "conditions": conditions_of(self._split, pieces[mine]),
            "count": torch.tensor(int(sizes.sum()) * width),
        }

    def _drawn(self, step: int) -> tuple[Array, Array]:
        """The pieces of a step's rows, and two draws for each: its start and its transposition."""
        rng = np.random.default_rng([self._settings.seed, step])
        chosen = 0 if len(self._buckets) == 1 else _pick(self._between, rng.random())
        rows = _pick(self._within[chosen], rng.random(self._settings.batch))
        return self._buckets[chosen][rows], rng.random((self._settings.batch, 2))

    def _start(self, draw: float, length: int) -> int:
        crop = self._settings.crop
        wide = int(draw * length) - crop // 2
        return min(max(0, wide), max(0, length - crop))

    def _transpose(self, piece: int, start: int, end: int, draw: float) -> np.ndarray:
        low = max(self._settings.transpose[0], int(self._split.shift_low[piece]))
        high = min(self._settings.transpose[1], int(self._split.shift_high[piece]))
        shift = low + int(draw * (high - low + 1))
        tokens: np.ndarray = self._tables[shift + 11][self._split.tokens_of(piece)[start:end]]
        return tokens


def buckets(lengths: Array, crop: int, batch: int) -> list[Array]:
    """Indices of pieces grouped by similar length (at most `crop`); each piece occurs once.

    A bucket has at least `batch` pieces if there are that many: repeating one piece in a batch
    gives a poor gradient.
    """
    order = np.lexsort((np.arange(len(lengths)), lengths))
    ends, first = [0], 0
    for place, number in enumerate(order):
        size = min(int(lengths[number]), crop)
        if size > LIKE * min(int(lengths[order[first]]), crop) and place - first >= batch:
            ends.append(place)
            first = place
    if len(ends) > 1 and len(order) - ends[-1] < batch:
        ends.pop()
    return np.split(order, ends[1:])


def _cumulative(lengths: Any) -> Array:
    weights = np.asarray(lengths) / np.sum(lengths)
    return np.cumsum(weights)


def _pick(cumulative: Array, draws: Any) -> Any:
    """Indices for draws from [0, 1); rounding can leave the last entry slightly below 1."""
    return np.minimum(np.searchsorted(cumulative, draws), len(cumulative) - 1)


def whole_pieces(
    tokens: TokenSet, split: str, *, positions: int = 16384
) -> list[tuple[list[int], Tensor]]:
    """A split as padded batches of whole pieces of similar length, at most `positions` each.

    Returns:
        (indices of the pieces in the split, tokens of shape (B, T, W) with PAD after their ends).
    """
    part = tokens.splits[split]
    order = sorted(range(len(part)), key=lambda number: (int(part.length[number]), number))
    batches: list[tuple[list[int], Tensor]] = []
    group: list[int] = []
    for number in order:
        if group and (len(group) + 1) * int(part.length[number]) > positions:
            batches.append((group, _pad(part, group)))
            group = []
        group.append(number)
    if group:
        batches.append((group, _pad(part, group)))
    return batches


def conditions_of(part: Split, numbers: Sequence[int] | Array) -> Tensor:
    """Codes of the conditions of these pieces of a split, shape (B, K), -1 where unknown."""
    return torch.from_numpy(part.conditions[np.asarray(numbers)].astype(np.int64))


def _pad(part: Split, group: list[int]) -> Tensor:
    longest = max(int(part.length[number]) for number in group)
    out = np.full((len(group), longest, part.tokens.shape[1]), PAD, np.int64)
    for row, number in enumerate(group):
        out[row, : part.length[number]] = part.tokens_of(number)
    return torch.from_numpy(out)
