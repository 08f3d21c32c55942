"""Samples that need no model, measured as if a system had made them.

Each shows what a measure can tell: music in pieces, copies of training pieces, and notes without
order. They are made of training excerpts once an encoding, by the stage reference@, and stand in
the overview below the systems. A measure with `ALSO_TRIVIAL = True` is run on them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ostinato.evaluation.excerpts import sample_excerpts
from ostinato.evaluation.measures.protocol import Array, Excerpts, Result
from ostinato.files import read_json, write_json
from ostinato.metrics.bootstrap import Interval
from ostinato.metrics.figure import read_interval
from ostinato.music.piece import Piece, sort_notes
from ostinato.music.timing import bar_onsets
from ostinato.seeds import seed_of

FORMAT = 1
FILE = "trivial.json"
COUNT = 32  # samples of each kind, of different groups
FEWEST_BARS = 4


def shuffled_bars(piece: Piece, seed: int) -> Piece:
    """The bars of a piece in random order; notes end with their bar.

    Bars of another length than most, and the last one, stay where they are; so do bar lines.
    Fermatas and other annotations are left out. A piece of fewer than four bars stays as it is.
    """
    starts = np.array([*bar_onsets(piece), piece.length])
    lengths = np.diff(starts)
    if len(lengths) < FEWEST_BARS:
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


def copied(piece: Piece, seed: int) -> Piece:
    """The piece itself; `seed` is not used."""
    return piece


def random_pitches(piece: Piece, seed: int) -> Piece:
    """The rhythm of a piece; every pitch is drawn from the range of its track, all alike."""
    generator = np.random.default_rng(seed_of(seed, "pitches", piece.id))
    notes = piece.notes.copy()
    for track in np.unique(notes["track"]).tolist():
        own = notes["track"] == track
        low, high = notes["pitch"][own].min(), notes["pitch"][own].max()
        notes["pitch"][own] = generator.integers(low, high + 1, int(own.sum()))
    return replace(piece, notes=sort_notes(notes))


KINDS: Mapping[str, Callable[[Piece, int], Piece]] = {
    "bars in random order": shuffled_bars,
    "copied training pieces": copied,
    "random pitches": random_pitches,
}


def trivial_samples(train: Excerpts, seed: int) -> dict[str, Excerpts]:
    """Each kind made of the same training excerpts, at most `COUNT`, one of a group."""
    chosen = [train[n] for n in first_of_groups(train.groups, seed_of(seed, "trivial"))[:COUNT]]
    return {
        name: sample_excerpts([make(piece, seed) for piece in chosen], [False] * len(chosen))
        for name, make in KINDS.items()
    }


def first_of_groups(groups: Array, seed: int) -> list[int]:
    """One number of every group, drawn, in the drawn order."""
    order = np.random.default_rng(seed).permutation(len(groups))
    first = np.unique(groups[order], return_index=True)[1]
    found: list[int] = order[np.sort(first)].tolist()
    return found


def write_trivial(
    path: Path, measures: Mapping[str, Callable[[Excerpts], Result]], train: Excerpts, seed: int
) -> None:
    """The headline figures of every kind by each of some measures, as JSON.

    Without measures, as of sound, nothing is made: these kinds are of notes.
    """
    made = trivial_samples(train, seed) if measures else {}
    rows = [
        {"kind": kind, "measure": name, "figure": key, **figure.interval.plain()}
        for kind, samples in made.items()
        for name, measure in measures.items()
        for key, figure in measure(samples).values.items()
        if figure.is_headline
    ]
    write_json(path, {"format": FORMAT, "rows": rows})


def with_trivial(path: Path, results: Mapping[str, Result], made_by: str) -> dict[str, Result]:
    """The results with those of trivial samples beside their figures.

    Raises:
        MissingInput, DamagedFile: naming the file and `made_by`, the command that makes it.
    """
    beside: dict[tuple[str, str], dict[str, Interval]] = {}
    for row in read_json(path, expect_format=FORMAT, made_by=made_by)["rows"]:
        interval = read_interval(row)
        beside.setdefault((row["measure"], row["figure"]), {})[row["kind"]] = interval
    return {
        name: replace(
            result,
            values={
                key: replace(figure, trivial=beside.get((name, key), {}))
                for key, figure in result.values.items()
            },
        )
        for name, result in results.items()
    }
