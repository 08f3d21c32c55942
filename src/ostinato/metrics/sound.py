"""Features of log-mel frames that need no download, and how near two sounds are.

The Fréchet audio distance is usually taken on embeddings of a trained network (Kilgour 2019), which
must be downloaded and knows little of short piano chords. Two kinds of rows, one for every second,
take its place, and the report gives both distances. `cepstra`: means and deviations of the first
cepstral coefficients, the classic description of timbre, loudness and their changes (Davis &
Mermelstein 1980; as rows of a distance: Logan & Salomon 2001). `random_rows`: means of random
Fourier features of patches of 0.26 seconds, in which pitches and the order of frames count, too;
they stand for the mean of a Gaussian kernel over all patches (Rahimi & Recht 2007, algorithm 1).
"""

# R rows, T frames, M bands, K coefficients, U units, L positions of a passage, P passages

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.fft import dct

from ostinato.music.recording import OFFSET, Recording

Rows = npt.NDArray[np.float64]
COEFFICIENTS = 16  # K
UNITS, PATCH, HOP = 32, 8, 4  # U; frames of a patch and from patch to patch
SEED = 0  # of the random features
DECIBELS = 20.0  # of one unit of a frame
PASSAGE = 2.0  # seconds
MERGED = (4, 2)  # so many frames and bands are averaged before passages are searched
DIGITS = 6  # of a distance in dB
RISE = 0.25  # mean rise of the bands, above which an onset begins: 5 dB


def seconds_of(recording: Recording) -> npt.NDArray[np.float64]:
    """The whole seconds of a recording, (R, T, M)."""
    length = round(recording.rate)
    count = len(recording.frames) // length
    whole = recording.frames[: count * length].astype(np.float64)
    return whole.reshape(count, length, recording.frames.shape[1])


def cepstra(recording: Recording) -> Rows:
    """Means and standard deviations of K coefficients in every second, (R, 2 K)."""
    found = dct(seconds_of(recording), type=2, norm="ortho", axis=2)[..., :COEFFICIENTS]
    return np.concatenate([found.mean(axis=1), found.std(axis=1)], axis=1)


def random_rows(recording: Recording) -> Rows:
    """Means of U random Fourier features over the patches of every second, (R, U)."""
    seconds = seconds_of(recording)
    patches = np.lib.stride_tricks.sliding_window_view(seconds, PATCH, axis=1)[:, ::HOP]
    size = PATCH * seconds.shape[2]
    random = np.random.default_rng(SEED)
    weights = random.standard_normal((size, UNITS)) / np.sqrt(size)
    phases = 2 * np.pi * random.random(UNITS)
    flat = patches.transpose(0, 1, 3, 2).reshape(*patches.shape[:2], size)
    return np.asarray(np.cos(flat @ weights + phases).mean(axis=1))


def level(recording: Recording) -> float:
    """Mean loudness of the frames, in dB below full scale: of the summed power of their bands."""
    power = (10 ** (2 * (recording.frames.astype(np.float64) - OFFSET))).sum(axis=1)
    return float(10 * np.log10(power).mean())


def contrast(recording: Recording) -> float:
    """How far bands of one frame lie apart, in dB: notes stand out, noise is even."""
    return float(DECIBELS * recording.frames.astype(np.float64).std(axis=1).mean())


def onsets(recording: Recording) -> float:
    """How often a second the bands rise together: where the mean rise peaks above RISE."""
    rises = np.maximum(np.diff(recording.frames.astype(np.float64), axis=0), 0).mean(axis=1)
    peaks = (rises[1:-1] > RISE) & (rises[1:-1] >= rises[:-2]) & (rises[1:-1] > rises[2:])
    return float(peaks.sum() / recording.seconds)


def nearest(recordings: Sequence[Recording], others: Sequence[Recording]) -> Rows:
    """For each recording, how near the nearest passages of others are, in dB.

    The root of the mean squared difference between a passage of two seconds and the one most like
    it in the others, at any place; the mean over the passages of a recording. 0: all was copied.

    In 64 bits and rounded to a millionth of a dB: in 32 bits, one build in three had other last
    bits than the others on the same machine.
    """
    length = round(PASSAGE * recordings[0].rate / MERGED[0]) if len(recordings) else 1
    passages = [_passages(_coarse(recording), length) for recording in recordings]
    counts = [len(of_one) for of_one in passages]
    coarse = [frames for frames in map(_coarse, others) if len(frames) >= length]
    if not coarse or not sum(counts):
        return np.full(len(recordings), np.nan)
    passages_PLM = torch.from_numpy(np.concatenate(passages))
    best_P = torch.full((len(passages_PLM),), torch.inf, dtype=torch.float64)
    for frames in coarse:
        squares_PT = _squares(passages_PLM, torch.from_numpy(frames))
        best_P = torch.minimum(best_P, squares_PT.amin(dim=1))
    root_P = (best_P.clamp(min=0) / passages_PLM[0].numel()).sqrt()
    means = [of_one.mean() if len(of_one) else torch.nan for of_one in torch.split(root_P, counts)]
    return np.array([round(float(mean) * DECIBELS, DIGITS) for mean in means])


def _squares(passages_PLM: torch.Tensor, frames_TM: torch.Tensor) -> torch.Tensor:
    """Squared distances of passages from every place of frames, (P, T - L + 1)."""
    length = passages_PLM.shape[1]
    kernel = passages_PLM.transpose(1, 2)
    products = torch.nn.functional.conv1d(frames_TM.T[None], kernel)[0]
    power_T = frames_TM.square().sum(dim=1).cumsum(dim=0)
    ends = power_T[length - 1 :]
    starts = torch.nn.functional.pad(power_T[:-length], (1, 0)) if len(power_T) > length else 0
    return passages_PLM.square().sum(dim=(1, 2))[:, None] + (ends - starts) - 2 * products


def _passages(frames: npt.NDArray[np.float64], length: int) -> npt.NDArray[np.float64]:
    """Frames (T, M) cut into whole passages, (P, L, M)."""
    return frames[: len(frames) // length * length].reshape(-1, length, frames.shape[1])


def _coarse(recording: Recording) -> npt.NDArray[np.float64]:
    """Neighbouring frames and bands averaged."""
    count, bands = (size // n for size, n in zip(recording.frames.shape, MERGED, strict=True))
    whole = recording.frames[: count * MERGED[0], : bands * MERGED[1]].astype(np.float64)
    return whole.reshape(count, MERGED[0], bands, MERGED[1]).mean(axis=(1, 3))
