"""Corpora: from MIDI files to the store and back, beside a plain loop through MusPy.

The files are generated; `OSTINATO_BENCH_MIDI` names a folder of real ones instead.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.measure import OURS, Race, in_turn
from ostinato.corpus.store import iterate_corpus, read_notes
from ostinato.execution.parallel import Executor
from ostinato.metrics.features import measure
from ostinato.metrics.muspy_metrics import muspy_metrics
from ostinato.music.piece import Meter, Piece, Tempo, Track, make_notes
from ostinato.music.write import write_midi
from ostinato.normalization.build import assemble_corpus, build_corpus
from ostinato.normalization.catalogue import Facts
from ostinato.normalization.marks import marks_of
from ostinato.normalization.normalize import Kept, NormalizeOptions
from ostinato.normalization.shards import write_shard

FILES = 40
COPIES = 75  # of the files, where two processes share the work
NOTES = 400  # of each of four tracks
PIECES = 10_000
MEASURED = 1_000
ORIGIN = {"licence": "none", "citation": "none", "url": "none"}


def races(rounds: int) -> list[Race]:
    """(a) read, normalize and store; (c) the notes of a large corpus; features of many pieces."""
    with _files() as folder, tempfile.TemporaryDirectory() as home:
        files = sorted(folder.rglob("*.mid"))
        many = _copied(files, Path(home))
        question = "read, normalize and store MIDI"
        contestants = {OURS: _ours(folder, 1), "a loop of MusPy": _muspy_loop(files)}
        alone = Race(
            question=f"{question}, one process",
            unit="files",
            amount=len(files),
            seconds=in_turn(contestants, rounds),
            aims={"a loop of MusPy": 5.0},
        )
        contestants = {OURS: _ours(many, 2), "ours in one process": _ours(many, 1)}
        shared = Race(
            question=f"{question}, two processes, {COPIES * len(files):,} files",
            unit="files",
            amount=COPIES * len(files),
            seconds=in_turn(contestants, rounds),
            aims={"ours in one process": 1.8},
        )
    with tempfile.TemporaryDirectory() as home:
        folder = large_corpus(Path(home), PIECES)
        contestants = {OURS: lambda: _walk(folder), "whole pieces": lambda: _walk_pieces(folder)}
        walk = Race(
            question=f"the notes of {PIECES:,} pieces (aim: in 1 s)",
            unit="pieces",
            amount=PIECES,
            seconds=in_turn(contestants, rounds),
            aims={},
        )
    return [alone, shared, walk, _features_race(rounds)]


def _features_race(rounds: int) -> Race:
    """All features of pieces as the evaluation computes them, beside the 14 metrics of MusPy."""
    different = [random_piece(seed) for seed in range(MEASURED // 20)]
    pieces = different * 20
    contestants = {OURS: lambda: measure(pieces), "MusPy's metrics": _muspy_metrics(pieces)}
    return Race(
        question=f"features of {MEASURED:,} pieces of {4 * NOTES:,} notes, one process",
        unit="pieces",
        amount=MEASURED,
        seconds=in_turn(contestants, rounds),
        aims={"MusPy's metrics": 20.0},
    )


def _muspy_metrics(pieces: list[Piece]) -> Callable[[], None]:
    def run() -> None:
        for piece in pieces:
            muspy_metrics(piece)

    return run


def _copied(files: list[Path], home: Path) -> Path:
    for copy in range(COPIES):
        (home / f"{copy:02}").mkdir()
        for path in files:
            shutil.copyfile(path, home / f"{copy:02}" / path.name)
    return home


@contextmanager
def _files() -> Iterator[Path]:
    real = os.environ.get("OSTINATO_BENCH_MIDI")
    if real:
        yield Path(real)
        return
    with tempfile.TemporaryDirectory() as home:
        for number in range(FILES):
            write_midi(Path(home) / f"{number:03}.mid", random_piece(number))
        yield Path(home)


def random_piece(seed: int, notes: int = NOTES) -> Piece:
    """Four tracks of notes with velocities: as much to read as a pop song."""
    rng = np.random.default_rng(seed)
    rows = []
    for track in range(4):
        onsets = np.cumsum(rng.integers(1, 5, notes)) * 120
        durations, pitches = rng.integers(60, 400, notes), rng.integers(36, 90, notes)
        velocities = rng.integers(40, 110, notes)
        columns = (onsets, durations, pitches, velocities)
        rows += [(track, *map(int, row)) for row in zip(*columns, strict=True)]
    return Piece(
        id=str(seed),
        ticks_per_quarter=480,
        notes=make_notes(rows),
        tracks=tuple(Track(name=f"part {n}", program=8 * n) for n in range(4)),
        tempos=(Tempo(0, 100.0),),
        meters=(Meter(0, 4, 4),),
    )


def _ours(folder: Path, workers: int) -> Callable[[], None]:
    options, executor = NormalizeOptions(), Executor(workers=workers)

    def run() -> None:
        with tempfile.TemporaryDirectory() as home:
            summary = build_corpus(
                folder,
                Path(home) / "corpus",
                options,
                origin=ORIGIN,
                executor=executor,
                workspace=Path(home) / "work",
            )
        assert summary["pieces"] and not summary["rejected"]

    return run


def _muspy_loop(files: list[Path]) -> Callable[[], None]:
    import muspy

    def run() -> None:
        with tempfile.TemporaryDirectory() as home:
            for number, path in enumerate(files):
                music = muspy.read_midi(path)
                music.adjust_resolution(480)
                music.remove_duplicate()
                music.save_json(Path(home) / f"{number}.json")

    return run


def large_corpus(home: Path, pieces: int) -> Path:
    """A corpus of so many small pieces, a hundred of them different."""
    originals = [random_piece(seed, notes=30) for seed in range(100)]
    marks = [marks_of(piece) for piece in originals]
    shards = []
    for start in range(0, pieces, 1000):
        shard = home / f"shard-{start:06}"
        shard.mkdir()
        kept = [
            Kept(_named(originals[n % 100], f"{n:06}"), Facts(), {}, 0.0, marks[n % 100])
            for n in range(start, min(pieces, start + 1000))
        ]
        write_shard(shard, kept, [])
        shards.append(shard)
    out = home / "large"
    assemble_corpus(out, shards, NormalizeOptions(), files=pieces, origin=ORIGIN)
    for shard in shards:
        shutil.rmtree(shard)
    return out


def _named(piece: Piece, name: str) -> Piece:
    return replace(piece, id=name, source=name)


def _walk(folder: Path) -> int:
    total = 0
    for _, notes in read_notes(folder):
        total += int(notes["duration"].sum()) > 0
    return total


def _walk_pieces(folder: Path) -> int:
    return sum(len(entry.piece.notes) for entry in iterate_corpus(folder))
