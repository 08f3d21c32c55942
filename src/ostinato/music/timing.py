"""Converts ticks to seconds and to bars."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Meter, Piece

DEFAULT_QPM = 120.0  # the MIDI standard's tempo for files without one


def round_half_up(ticks: npt.NDArray[Any], multiply: int, divide: int) -> npt.NDArray[np.int64]:
    """The ticks * multiply / divide as the nearest whole numbers, halves up."""
    return (2 * ticks.astype(np.int64) * multiply + divide) // (2 * divide)


def seconds_at(piece: Piece, ticks: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Seconds of ticks by the tempo map; 120 quarters a minute before its first tempo."""
    tempos = [(tempo.onset, tempo.qpm) for tempo in piece.tempos]
    if not tempos or tempos[0][0] > 0:
        tempos.insert(0, (0, DEFAULT_QPM))
    onsets = np.array([onset for onset, _ in tempos], dtype=np.float64)
    per_tick = np.array([60.0 / (qpm * piece.ticks_per_quarter) for _, qpm in tempos])
    starts = np.r_[0.0, np.cumsum(np.diff(onsets) * per_tick[:-1])]
    at = np.asarray(ticks, dtype=np.float64)
    segment = np.maximum(np.searchsorted(onsets, at, side="right") - 1, 0)
    return np.asarray(starts[segment] + (at - onsets[segment]) * per_tick[segment])


def duration_seconds(piece: Piece) -> float:
    """The end of the last note in seconds."""
    return float(seconds_at(piece, piece.length))


def bar_onsets(piece: Piece) -> list[int]:
    """Ticks at which bars begin, below the piece's end.

    Printed bars if the source has them (an upbeat is a bar of its own), else bars of the meters.
    """
    printed = sorted({note.onset for note in piece.annotations if note.kind == "bar"})
    if printed:
        return [onset for onset in printed if onset < piece.length]
    meters: Sequence[Meter] = piece.meters or (piece.first_meter(),)
    ends = [meter.onset for meter in meters[1:]] + [piece.length]
    onsets: list[int] = []
    for meter, end in zip(meters, ends, strict=True):
        bar = max(1, round(meter.bar_quarters() * piece.ticks_per_quarter))
        onsets += range(meter.onset, min(end, piece.length), bar)
    return onsets


def bar_numbers(starts: Sequence[int], full: Sequence[float], end: int) -> list[int]:
    """The number that a printed score gives each bar: 0 for a pickup, 1 for the first full bar.

    The first bar is a pickup if it is shorter than its meter. A later bar that is too short and the
    bars that complete it have one number: a repeat sign split them.

    Args:
        starts: onset of every bar, ascending.
        full: length of a whole bar of the meter at every bar, in the same unit.
        end: where the last bar ends.
    """
    if not starts:
        return []
    numbers: list[int] = []
    begun = 0  # index of the first part of the current bar
    for bar, (start, stop) in enumerate(zip(starts, [*starts[1:], end], strict=True)):
        if not numbers:
            numbers.append(int(stop - start >= full[0]))
            continue
        incomplete = numbers[-1] > 0 and start - starts[begun] < full[begun]
        fits = full[bar] == full[begun] and stop - starts[begun] <= full[begun]
        if not (incomplete and fits):
            begun = bar
        numbers.append(numbers[-1] + (begun == bar))
    return numbers


def numbered_bars(piece: Piece) -> list[tuple[int, int]]:
    """Onset in ticks and number of every bar; see `bar_onsets` and `bar_numbers`."""
    onsets = bar_onsets(piece)
    meters = [Meter(0, 4, 4), *piece.meters]
    changes = [meter.onset for meter in meters]
    lengths = [float(meter.bar_quarters() * piece.ticks_per_quarter) for meter in meters]
    full = [lengths[bisect_right(changes, onset) - 1] for onset in onsets]
    return list(zip(onsets, bar_numbers(onsets, full, piece.length), strict=True))
