"""Converts ticks to seconds and to bars."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Meter, Piece

DEFAULT_QPM = 120.0  # the MIDI standard's tempo for files without one


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
