"""Samples that a program without any music could write: what measures must catch."""

from dataclasses import replace

import numpy as np

from ostinato.music.piece import Piece, sort_notes
from ostinato.music.timing import bar_onsets
from ostinato.seeds import seed_of


def random_pitches(piece: Piece, seed: int) -> Piece:
    """The rhythm of a piece; every pitch is drawn from the range of its track, all alike."""
    generator = np.random.default_rng(seed_of(seed, "pitches", piece.id))
    notes = piece.notes.copy()
    for track in np.unique(notes["track"]).tolist():
        own = notes["track"] == track
        low, high = notes["pitch"][own].min(), notes["pitch"][own].max()
        notes["pitch"][own] = generator.integers(low, high + 1, int(own.sum()))
    return replace(piece, notes=sort_notes(notes))


def shuffled_bars(piece: Piece, seed: int) -> Piece:
    """The bars of a piece in random order; notes end with their bar.

    Bars of another length than most, and the last one, stay where they are; so do bar lines.
    Fermatas and other annotations are left out. A piece of fewer than four bars stays as it is.
    """
    starts = np.array([*bar_onsets(piece), piece.length])
    lengths = np.diff(starts)
    if len(lengths) < 4:
        return piece
    usual = np.bincount(lengths).argmax()
    middle = np.flatnonzero(lengths[:-1] == usual)
    order = np.arange(len(lengths))
    order[middle] = np.random.default_rng(seed_of(seed, "bars", piece.id)).permutation(middle)
    moved = starts[:-1].copy()
    moved[order] = starts[:-1]
    notes = piece.notes.copy()
    bar = np.searchsorted(starts, notes["onset"], side="right") - 1
    notes["duration"] = np.minimum(notes["duration"], starts[bar + 1] - notes["onset"])
    notes["onset"] += (moved[bar] - starts[bar]).astype(notes["onset"].dtype)
    lines = tuple(note for note in piece.annotations if note.kind == "bar")  # bars of one length
    return replace(piece, notes=sort_notes(notes), annotations=lines)
