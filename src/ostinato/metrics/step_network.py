"""A small network that tells two sets of pieces apart by what happens at every step.

Its input is the same in every key: intervals between lanes, the moves of each lane, and all pitch
classes above the lowest pitch, sixteenth by sixteenth. Two convolutions over time see seven steps
at once; their evidence is averaged over the piece, so the network sees how voices move and chords
follow each other, not the form of a piece.
"""

# B batch, C channels, T steps, N pieces

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.metrics.lanes import Bools, lanes, roll
from ostinato.metrics.two_sample import Index, Learner, Values
from ostinato.music.piece import Piece

Channels = npt.NDArray[np.float32]
MOST_LANES = 4  # of more, the two highest and the two lowest
FARTHEST = 12  # semitones; larger moves of a lane count as this


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """steps: of training, on `batch` excerpts of `window` time steps, half of them samples."""

    width: int = 32
    steps: int = 120
    batch: int = 16
    window: int = 64
    rate: float = 3e-3
    dropout: float = 0.3


class StepNetwork(nn.Module):
    """Mean over time of local evidence, as log-odds."""

    def __init__(self, channels: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.near = nn.Conv1d(channels, settings.width, 3, padding=1)
        self.norm = nn.BatchNorm1d(settings.width)
        self.far = nn.Conv1d(settings.width, settings.width, 5, padding=2)
        self.evidence = nn.Conv1d(settings.width, 1, 1)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Log-odds that each excerpt is a sample, (B,)."""
        x = self.dropout(F.relu(self.norm(self.near(x_BCT))))
        x = self.dropout(F.relu(self.far(x)))
        return 8 * self.evidence(x).mean(dim=2)[:, 0]


def step_channels(pieces: Sequence[Piece]) -> Channels:
    """What the network sees of every piece, (N, C, T); shorter pieces are silent at their end."""
    found = [_channels(piece) for piece in pieces]
    shape = [max((part.shape[axis] for part in found), default=0) for axis in (0, 1)]
    joined = np.zeros((len(found), shape[1], shape[0]), dtype=np.float32)
    for row, part in zip(joined, found, strict=True):
        row[: part.shape[1], : part.shape[0]] = part.T
    return joined


def _channels(piece: Piece) -> Channels:
    """(T, C): first what does not depend on the number of lanes."""
    voices = lanes(piece)
    count = voices.pitch.shape[1]
    kept = range(count) if count <= MOST_LANES else (0, 1, count - 2, count - 1)
    pitch, begins = voices.pitch[:, list(kept)], voices.begins[:, list(kept)]
    parts = [voices.bars[:, None], *_classes(roll(piece), voices.pitch)]
    for lane in range(MOST_LANES):
        moves = np.zeros((len(pitch), 2 * FARTHEST + 1), dtype=bool)
        starts = np.zeros((len(pitch), 2), dtype=bool)
        if lane < pitch.shape[1]:
            at = np.flatnonzero(begins[:, lane])
            move = np.clip(np.diff(pitch[at, lane]), -FARTHEST, FARTHEST)
            moves[at[1:], move + FARTHEST] = True
            starts[:, 0], starts[:, 1] = begins[:, lane], pitch[:, lane] >= 0
        parts += [moves, starts]
    for high, low in combinations(range(MOST_LANES), 2):
        between = np.zeros((len(pitch), 12), dtype=bool)
        if low < pitch.shape[1]:
            rows = np.flatnonzero((pitch[:, [high, low]] >= 0).all(axis=1))
            between[rows, (pitch[rows, high] - pitch[rows, low]) % 12] = True
        parts.append(between)
    return np.concatenate(parts, axis=1).astype(np.float32)


def _classes(sounds: Bools, pitch: npt.NDArray[np.int64]) -> list[Bools]:
    """Pitch classes above the lowest lane's pitch that sound, and that begin; (T, 12) each."""
    lowest = np.where(pitch < 0, 128, pitch).min(axis=1, initial=128)
    found = []
    for what in sounds:
        classes = np.zeros((len(pitch), 12), dtype=bool)
        rows, pitches = np.nonzero(what)
        classes[rows, (pitches - lowest[rows]) % 12] = True
        found.append(classes)
    return found


def network(channels: Channels, settings: NetworkSettings | None = None) -> Learner:
    """A learner on `step_channels`; the same seed gives the same network on one kind of machine."""
    chosen = settings or NetworkSettings()
    x_NCT = torch.from_numpy(channels)

    def learn(rows: Index, is_sample: Bools, seed: int) -> Callable[[Index], Values]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = StepNetwork(channels.shape[1], chosen)
            _train(model, x_NCT, rows, is_sample, np.random.default_rng(seed), chosen)

        def ask(asked: Index) -> Values:
            with torch.inference_mode():
                return model(x_NCT[torch.from_numpy(asked)]).double().numpy()

        return ask

    return learn


def _train(
    model: StepNetwork,
    x_NCT: Tensor,
    rows: Index,
    is_sample: Bools,
    generator: np.random.Generator,
    settings: NetworkSettings,
) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), settings.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, total_steps=settings.steps, pct_start=0.2
    )
    half, window = settings.batch // 2, min(settings.window, x_NCT.shape[2])
    target = torch.cat([torch.ones(half), torch.zeros(half)])
    for _ in range(settings.steps):
        chosen = [generator.choice(rows[is_sample == kind], half) for kind in (True, False)]
        starts = generator.integers(0, x_NCT.shape[2] - window + 1, 2 * half)
        excerpts = [
            x_NCT[row, :, start : start + window]
            for row, start in zip(np.concatenate(chosen).tolist(), starts.tolist(), strict=True)
        ]
        loss = F.binary_cross_entropy_with_logits(model(torch.stack(excerpts)), target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    model.eval()
