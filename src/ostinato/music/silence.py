"""Cuts long rests that remain when instrumental parts are removed.

In some chorales voices alternate with instruments; without these, all voices rest for bars. Only
whole bars are cut, so that the meter stays aligned.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ostinato.music.piece import Change, Piece, sort_notes


def close_silences(piece: Piece, longest_quarters: float) -> tuple[Piece, float]:
    """Cut whole bars out of every silence of `longest_quarters` or more.

    Returns:
        The piece, and how many quarter notes were cut.
    """
    notes = piece.notes
    if not len(notes):
        return piece, 0.0
    ends = np.maximum.accumulate(notes["onset"] + notes["duration"])
    starts = np.r_[0, ends[:-1]]
    gaps = notes["onset"] - starts
    long = gaps >= longest_quarters * piece.ticks_per_quarter
    bars = np.array([_bar_ticks(piece, int(start)) for start in starts])
    cuts = np.where(long, gaps // bars * bars, 0)
    if not cuts.any():
        return piece, 0.0
    at, amounts = starts[cuts > 0], cuts[cuts > 0]

    def moved(onset: int) -> int:
        """New onset of a time; times inside a cut move to its start."""
        passed = np.clip(onset - at, 0, amounts)
        return int(onset - passed.sum())

    shifted = notes.copy()
    shifted["onset"] = [moved(int(onset)) for onset in notes["onset"]]
    closed = replace(
        piece,
        notes=sort_notes(shifted),
        tempos=_moved(piece.tempos, moved),
        meters=_moved(piece.meters, moved),
        keys=_moved(piece.keys, moved),
        annotations=tuple(
            dict.fromkeys(replace(item, onset=moved(item.onset)) for item in piece.annotations)
        ),
    )
    return closed, float(amounts.sum() / piece.ticks_per_quarter)


def _moved(changes: tuple[Change, ...], moved: Callable[[int], int]) -> tuple[Change, ...]:
    at_onset = {moved(change.onset): change for change in changes}
    return tuple(replace(change, onset=onset) for onset, change in sorted(at_onset.items()))


def _bar_ticks(piece: Piece, onset: int) -> int:
    before = [meter for meter in piece.meters if meter.onset <= onset] or [piece.first_meter()]
    return int(before[-1].bar_quarters() * piece.ticks_per_quarter)
