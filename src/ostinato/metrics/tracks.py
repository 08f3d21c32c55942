"""MuseGAN's measures of several tracks (Dong et al. 2018, section 6.1), as written and as coded.

A track is known by its role; drums are left out. MuseGAN's released code, in all its versions,
folds pitches into twelve by blocks of seven neighbours (`reshape(12, 7)` of 84 pitches), where the
paper says pitch classes. Both are here: `pitch_classes` and `tonal_distances` fold modulo 12;
`released` follows the code, for comparison with the published tables.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ostinato.metrics.counts import Count, Counted
from ostinato.metrics.steps import CLASSES, PER_QUARTER, Numbers, Steps, steps_of
from ostinato.music.piece import Piece

LOWEST, BLOCK = 24, 7  # MuseGAN's 84 pitches from C1 up, in blocks
SHORTEST = 8  # a qualified note lasts at least 1/8 quarter: 3 of 96 steps of a bar
_ANGLES = np.arange(CLASSES)[None] * np.pi * np.array([[7 / 6], [3 / 2], [2 / 3]])
_RADII = np.array([[1.0], [1.0], [0.5]])
# (6, 12): circles of fifths, minor and major thirds (Harte, Sandler & Gasser 2006)
TONAL = np.concatenate([_RADII * np.sin(_ANGLES), _RADII * np.cos(_ANGLES)])
Chroma = npt.NDArray[np.float64]

TRACK_MEASURES: Mapping[str, Counted] = {
    "empty_bars": Counted("Empty bars"),
    "pitch_classes": Counted("Pitch classes a bar", "pitch classes"),
    "pitch_classes_released": Counted("Pitch classes a bar, MuseGAN's code", "blocks"),
    "qualified_notes": Counted("Notes of a thirty-second or more"),
}


def track_measures(piece: Piece) -> dict[str, Count]:
    """Counts of TRACK_MEASURES for every role of one piece, by `<measure>_<role>`.

    A bar is empty where no note of the role sounds; pitch classes are counted in bars that are not
    empty.
    """
    steps = steps_of(piece)
    last_bar = np.searchsorted(steps.bars, steps.end_N - 1, side="right") - 1
    first_bar = np.maximum(np.searchsorted(steps.bars, steps.start_N, side="right") - 1, 0)
    spans = np.maximum(last_bar - first_bar + 1, 1)
    note = np.repeat(np.arange(len(spans)), spans)
    bar = first_bar[note] + np.arange(len(note)) - np.repeat(np.cumsum(spans) - spans, spans)
    found: dict[str, Count] = {}
    bars = len(steps.bars)
    for role in dict.fromkeys(steps.roles):
        mine = np.isin(steps.voice_N[note], _of_role(steps, role))
        full = len(np.unique(bar[mine]))
        found[f"empty_bars_{role}"] = Count(float(bars - full), float(bars))
        for name, classes in _folded(steps.note_N).items():
            used = len(np.unique(bar[mine] * CLASSES + classes[note[mine]]))
            found[f"pitch_classes{name}_{role}"] = Count(float(used), float(full))
        durations = piece.voice(role)["duration"].astype(np.int64)
        long = np.count_nonzero(SHORTEST * durations >= piece.ticks_per_quarter)
        found[f"qualified_notes_{role}"] = Count(float(long), float(len(durations)))
    return found


def tonal_distances(
    pieces: Sequence[Piece],
    roles: Sequence[str],
    *,
    shuffled: bool = False,
    released: bool = False,
) -> dict[tuple[str, str], list[Count]]:
    """Distance of two roles' tonal centroids in each quarter where both sound, a count a piece.

    In [0, 2.83]; lower is more consonant. Of every pair of roles, in their order. shuffled: the
    second role is taken from the next other piece that has it (after the last comes the first), so
    it says what tracks get that do not hear each other. released: with pitches folded as in
    MuseGAN's code.
    """
    chromas = [_chroma(steps_of(piece), released=released) for piece in pieces]
    found: dict[tuple[str, str], list[Count]] = {}
    for first, second in combinations(roles, 2):
        counts = []
        for number, chroma in enumerate(chromas):
            order = [number] if not shuffled else range(number + 1, number + len(chromas))
            others = (chromas[at % len(chromas)].get(second) for at in order)
            other = next((c for c in others if c is not None), None)
            counts.append(_distance(chroma.get(first), other))
        found[first, second] = counts
    return found


def _distance(first: Chroma | None, second: Chroma | None) -> Count:
    if first is None or second is None:
        return Count(0.0, 0.0)
    length = min(len(first), len(second))
    sums = np.stack([first[:length].sum(axis=1), second[:length].sum(axis=1)])
    both = (sums > 0).all(axis=0)
    a, b = (c[:length][both] / s[both, None] for c, s in zip((first, second), sums, strict=True))
    return Count(float(np.linalg.norm((a - b) @ TONAL.T, axis=1).sum()), float(both.sum()))


def _chroma(steps: Steps, *, released: bool) -> dict[str, Chroma]:
    """Sounding steps of each class in each quarter, by role: arrays (quarters, 12)."""
    lasts = steps.end_N - steps.start_N
    note = np.repeat(np.arange(len(lasts)), lasts)
    step = steps.start_N[note] + np.arange(len(note)) - np.repeat(np.cumsum(lasts) - lasts, lasts)
    classes = _folded(steps.note_N)["_released" if released else ""][note]
    quarters = -(-steps.length // PER_QUARTER)
    place = step // PER_QUARTER * CLASSES + classes
    found = {}
    for role in dict.fromkeys(steps.roles):
        mine = np.isin(steps.voice_N[note], _of_role(steps, role))
        counts = np.bincount(place[mine], minlength=quarters * CLASSES)
        found[role] = counts.reshape(quarters, CLASSES).astype(np.float64)
    return found


def _folded(pitches: Numbers) -> dict[str, Numbers]:
    """Pitches folded into twelve, modulo 12 and as MuseGAN's code does."""
    return {"": pitches % 12, "_released": np.clip((pitches - LOWEST) // BLOCK, 0, CLASSES - 1)}


def _of_role(steps: Steps, role: str) -> list[int]:
    return [voice for voice, name in enumerate(steps.roles) if name == role]
