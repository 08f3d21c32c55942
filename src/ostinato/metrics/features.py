"""Objective features of a piece, to compare a system's samples with held-out music.

No feature has a best value: a system is good if its pieces' values are distributed like those of
the corpus. A feature that is undefined for a piece is NaN, never 0, so that empty pieces cannot
improve a mean. Definitions follow MusPy (Dong et al. 2020), MuseGAN (Dong et al. 2018) and Wu &
Yang (2020); each function states where it differs from their implementations. All are ratios of
integer ticks, so they do not depend on the time unit.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Notes, Piece
from ostinato.music.timing import round_half_up

Ticks = npt.NDArray[np.int64]
SIXTEENTHS = 4  # in a quarter

# all 24 scales: natural minor has the pitch classes of its relative major
_MAJOR = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1])
_SCALES = np.stack([np.roll(_MAJOR, root) for root in range(12)])


@dataclass(frozen=True)
class Feature:
    """A feature and its texts for the report."""

    function: Callable[[Piece], float]
    unit: str
    label: str
    description: str


def pitch_class_entropy(piece: Piece) -> float:
    """Shannon entropy of the pitch-class histogram over notes, without drums: -Σ p log2 p.

    Bits in [0, log2 12 = 3.585]; higher is more chromatic. NaN without pitched notes. It grows with
    a piece's length, so compare pieces of one length.
    """
    counts = _pitch_classes(piece)
    if not counts.sum():
        return math.nan
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # one pitch class is 0.0, not -0.0


def scale_consistency(piece: Piece) -> float:
    """Largest share of notes, without drums, in one of the 24 major and natural minor scales.

    In [7/12, 1]; higher is more diatonic. NaN without pitched notes. The raised notes of harmonic
    minor count as outside, as in MusPy.
    """
    counts = _pitch_classes(piece)
    return float((_SCALES @ counts).max() / counts.sum()) if counts.sum() else math.nan


def polyphony(piece: Piece) -> float:
    """Mean number of different pitches that sound at once, while any sounds, without drums.

    Sounding time summed over pitches / time in which something sounds; at least 1. Two voices on
    one pitch count once, as in MusPy's `polyphony`. See `overlap` for single
    voices. NaN where no pitched note has a length.
    """
    notes = _sounding(_pitched(piece))
    onsets, ends = _span(notes)
    if not len(notes):
        return math.nan
    # shift each pitch to a time range of its own, so that one union measures them all
    lanes = notes["pitch"] * ends.max()
    return _covered(onsets + lanes, ends + lanes) / _covered(onsets, ends)


def note_density(piece: Piece) -> float:
    """Notes of all tracks for each quarter note from the start to the end of the last note.

    At least 0. NaN for a piece of no length.
    """
    return len(piece.notes) / piece.quarters if piece.length else math.nan


def overlap(piece: Piece) -> float:
    """Share of the sounding time of tracks in which a track sounds a second pitch, without drums.

    Σ over tracks of (time summed over pitches - time in which it sounds) / Σ of the time in which
    it sounds; at least 0. 0 of music for single voices, where `polyphony` above their number is
    overlap, not richness. NaN where no pitched note has a length.
    """
    several = sounding = 0
    for track in np.unique(_pitched(piece)["track"]):
        notes = _sounding(piece.notes[piece.notes["track"] == track])
        if len(notes):
            onsets, ends = _span(notes)
            lanes = notes["pitch"] * ends.max()
            alone = _covered(onsets, ends)
            several += _covered(onsets + lanes, ends + lanes) - alone
            sounding += alone
    return several / sounding if sounding else math.nan


def empty_beat_rate(piece: Piece) -> float:
    """Share of quarter beats in which nothing sounds, from the beat of the first note to the beat
    in which the last note ends.

    In [0, 1); all tracks count. NaN where no note has a length. Beat b is the time [b, b + 1): a
    note that ends exactly on a beat does not sound in it. What fills the bar before an upbeat is
    not silence and does not count. MusPy counts it, fills the beat at `end // resolution` and adds
    a beat after a piece that ends on one.
    """
    beat = piece.ticks_per_quarter
    onsets, ends = _span(_sounding(piece.notes))
    if not len(onsets):
        return math.nan
    beats = math.ceil(piece.length / beat) - int(onsets.min()) // beat
    return 1.0 - _covered(onsets // beat, -(-ends // beat)) / beats


def groove(piece: Piece) -> float:
    """Mean share of onset places that adjacent full bars have in common.

    Of each pair of bars, sixteenths at which both have an onset / sixteenths at which one has
    (Jaccard 1901), in [0, 1]; higher is more regular. All tracks; onsets count at the nearest
    sixteenth; bars have the length of the first meter. A bar is full when something sounds in its
    last quarter. A pair of bars without onsets says nothing and is left out. NaN where no pair is
    left, or where a bar is no whole number of sixteenths.

    Wu & Yang (2020) and MusPy count silent places as agreement, so that sparse music scores high
    and MusPy's value approaches 1 for any music as the resolution grows.
    """
    sixteenths = piece.first_meter().bar_quarters() * SIXTEENTHS
    if sixteenths.denominator != 1:
        return math.nan
    width, tick = int(sixteenths), piece.ticks_per_quarter
    reach = SIXTEENTHS * piece.length + min(width, SIXTEENTHS) * tick
    bars = -(-reach // (width * tick)) - 1
    if bars < 2:
        return math.nan
    steps = round_half_up(piece.notes["onset"], SIXTEENTHS, tick)
    patterns = np.zeros(bars * width, dtype=bool)
    patterns[steps[steps < len(patterns)]] = True
    rows = patterns.reshape(bars, width)
    either = (rows[1:] | rows[:-1]).sum(axis=1)
    both = (rows[1:] & rows[:-1]).sum(axis=1)[either > 0]
    return float((both / either[either > 0]).mean()) if len(both) else math.nan


def pitch_range(piece: Piece) -> float:
    """Highest minus lowest pitch, without drums, in semitones, in [0, 127].

    NaN without pitched notes (MusPy: 0, the same as for a single repeated pitch).
    """
    pitches = _pitched(piece)["pitch"]
    return float(pitches.max() - pitches.min()) if len(pitches) else math.nan


def mean_duration(piece: Piece) -> float:
    """Mean length of a note in quarter notes, at least 0.

    Without drums, whose note lengths carry no meaning. NaN without pitched notes.
    """
    durations = _pitched(piece)["duration"]
    return float(durations.mean()) / piece.ticks_per_quarter if len(durations) else math.nan


FEATURES: Mapping[str, Feature] = {
    "pitch_class_entropy": Feature(
        pitch_class_entropy,
        "bits",
        "Pitch-class entropy",
        "how evenly the twelve pitch classes are used",
    ),
    "scale_consistency": Feature(
        scale_consistency, "share", "Scale consistency", "notes that lie in the best-fitting scale"
    ),
    "polyphony": Feature(
        polyphony, "pitches", "Polyphony", "pitches that sound at once, where any does"
    ),
    "overlap": Feature(
        overlap, "share", "Overlap", "time in which a track sounds a second pitch of its own"
    ),
    "note_density": Feature(
        note_density, "notes/quarter", "Note density", "notes that begin per quarter note"
    ),
    "empty_beat_rate": Feature(
        empty_beat_rate,
        "share",
        "Empty beats",
        "quarter beats in which nothing sounds, from the first note on",
    ),
    "groove": Feature(
        groove,
        "share",
        "Groove",
        "onset places that adjacent bars have in common",
    ),
    "pitch_range": Feature(
        pitch_range, "semitones", "Pitch range", "from the lowest to the highest note"
    ),
    "mean_duration": Feature(mean_duration, "quarters", "Note length", "mean length of a note"),
}


def measure(pieces: Sequence[Piece]) -> dict[str, npt.NDArray[np.float64]]:
    """Every feature of every piece, in the order of FEATURES: arrays of shape (pieces,)."""
    return {
        name: np.array([feature.function(piece) for piece in pieces], dtype=np.float64)
        for name, feature in FEATURES.items()
    }


def _pitched(piece: Piece) -> Notes:
    drums = [number for number, track in enumerate(piece.tracks) if track.is_drum]
    return piece.notes[~np.isin(piece.notes["track"], drums)] if drums else piece.notes


def _sounding(notes: Notes) -> Notes:
    return notes[notes["duration"] > 0]


def _pitch_classes(piece: Piece) -> npt.NDArray[np.int64]:
    """Notes of each pitch class, without drums, shape (12,)."""
    return np.bincount(_pitched(piece)["pitch"] % 12, minlength=12)


def _onsets(notes: Notes) -> Ticks:
    return notes["onset"].astype(np.int64)


def _span(notes: Notes) -> tuple[Ticks, Ticks]:
    onsets = _onsets(notes)
    return onsets, onsets + notes["duration"]


def _covered(starts: Ticks, ends: Ticks) -> int:
    """Length of the union of the intervals [start, end), none of which is empty."""
    order = np.argsort(starts, kind="stable")
    starts, reached = starts[order], np.maximum.accumulate(ends[order])
    # the part of each interval that lies beyond all earlier ones
    before = np.maximum(starts[1:], reached[:-1])
    return int(reached[0] - starts[0] + np.maximum(reached[1:] - before, 0).sum())
