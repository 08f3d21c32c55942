"""Training batches as a pure function of (seed, step): random crops of transposed pieces.

No state, no epoch, no worker number enters, so a killed run resumes exactly and any number of
workers or ranks sees the same batches. A crop carries the position before it, so only a piece's
true beginning looks like one. Starts reach half a crop over both ends and are moved back in:
beginnings and ends are seen as often as middles.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ostinato.data.tokens import Split, TokenSet

PAD = -1
Batch = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class CropSettings:
    """batch: pieces in a global batch; crop: positions; transpose: range of semitones, both
    included.
    """

    batch: int
    crop: int
    transpose: tuple[int, int] = (0, 0)
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
    """Item `step` is the batch of that step; a rank takes its share of the rows."""

    def __init__(
        self, tokens: TokenSet, settings: CropSettings, *, rank: int = 0, world: int = 1
    ) -> None:
        if settings.batch % world:
            raise ValueError(
                f"batch={settings.batch} cannot be shared equally by {world} devices; "
                f"choose a multiple of {world} or other devices"
            )
        self._split = tokens.splits["train"]
        if not len(self._split):
            raise ValueError(f"encoding {tokens.name} has no piece to train on")
        self._settings, self._rank, self._world = settings, rank, world
        shifts = tokens.shifts
        self._tables = np.stack([shifts[k] for k in range(-11, 12)])
        weights = self._split.length / self._split.length.sum()
        self._cumulative = np.cumsum(weights)

    def __getitem__(self, step: int) -> Batch:
        """inputs, targets (b, T, W) of this rank's rows; start (b,); count: sub-tokens of all
        rows.
        """
        settings = self._settings
        rng = np.random.default_rng([settings.seed, step])
        rows = np.searchsorted(self._cumulative, rng.random(settings.batch))
        rows = np.minimum(rows, len(self._split) - 1)
        width = self._split.tokens.shape[1]
        inputs = np.full((settings.batch, settings.crop, width), PAD, np.int64)
        targets = inputs.copy()
        starts = np.zeros(settings.batch, np.int64)
        for row, piece in enumerate(rows):
            length = int(self._split.length[piece])
            start = self._start(rng.random(), length)
            shifted = self._transpose(piece, max(0, start - 1), start + settings.crop, rng.random())
            before, now = (shifted[:1], shifted[1:]) if start else (shifted[:0], shifted)
            targets[row, : len(now)] = now
            inputs[row, int(not start) : len(now)] = np.concatenate([before, now[:-1]])
            starts[row] = start
        mine = slice(self._rank, None, self._world)
        return {
            "inputs": torch.from_numpy(inputs[mine]),
            "targets": torch.from_numpy(targets[mine]),
            "start": torch.from_numpy(starts[mine]),
            "count": torch.tensor((targets != PAD).sum()),
        }

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


def whole_pieces(
    tokens: TokenSet, split: str, *, positions: int = 16384
) -> list[tuple[list[int], Tensor]]:
    """A split in padded batches of whole pieces of like length, at most `positions` positions each.

    Returns:
        (numbers of the pieces in the split, tokens of shape (B, T, W) with PAD after their ends).
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


def _pad(part: Split, group: list[int]) -> Tensor:
    longest = max(int(part.length[number]) for number in group)
    out = np.full((len(group), longest, part.tokens.shape[1]), PAD, np.int64)
    for row, number in enumerate(group):
        out[row, : part.length[number]] = part.tokens_of(number)
    return torch.from_numpy(out)
