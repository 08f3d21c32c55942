"""Reads a corpus from disk: Parquet shards, which any tool can read.

`notes-*`, `tracks-*`, `annotations-*` and `pieces-*` hold the pieces of a shard in the same order;
`rejected` has a row for each file that is not in the corpus; `summary.json` has counts and the
checksums of all other files. Reading keeps one shard in memory.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ostinato.files import read_json, verify
from ostinato.music.piece import NOTE, Annotation, Key, Meter, Notes, Piece, Tempo, Track

FORMAT = 2
MADE_BY = "dvc repro normalize"
PARTS = ("notes", "tracks", "annotations", "pieces")


@dataclass(frozen=True)
class Entry:
    """A piece with its split and the names of its melody and its group."""

    piece: Piece
    split: str
    fingerprint: str
    group: str


def read_corpus(folder: Path) -> list[Entry]:
    """All pieces of a corpus, sorted by file, after verifying all checksums."""
    return list(iterate_corpus(folder))


def read_summary(folder: Path) -> dict[str, Any]:
    """Counts, origin and checksums of a corpus."""
    return read_json(
        folder / "summary.json", expect_format=FORMAT, made_by=f"{MADE_BY}@{folder.name}"
    )


def iterate_corpus(folder: Path) -> Iterator[Entry]:
    """The pieces of a corpus, one shard in memory at a time.

    Raises:
        MissingInput, DamagedFile: before the first piece is yielded; names the file.
    """
    for number in _shards(folder):
        rows = _rows(folder, number)
        tracks = _by_piece(folder / f"tracks-{number}.parquet")
        annotations = _by_piece(folder / f"annotations-{number}.parquet")
        parts = _notes(folder / f"notes-{number}.parquet", [row["notes"] for row in rows])
        for row, part in zip(rows, parts, strict=True):
            name = row["id"]
            piece = _piece_of(row, part, tracks.get(name, []), annotations.get(name, []))
            yield Entry(piece, row["split"], row["fingerprint"], row["group"])


def read_notes(folder: Path) -> Iterator[tuple[str, Notes]]:
    """The id and the notes of every piece; the fastest way to read a corpus."""
    for number in _shards(folder):
        table = pq.read_table(folder / f"pieces-{number}.parquet", columns=["id", "notes"])
        ids, counts = (table.column(name).to_pylist() for name in ("id", "notes"))
        yield from zip(ids, _notes(folder / f"notes-{number}.parquet", counts), strict=True)


def read_pieces(folder: Path) -> list[dict[str, Any]]:
    """The metadata of every piece: the columns of `pieces`, labels as a mapping."""
    return [row for number in _shards(folder) for row in _rows(folder, number)]


def read_rejected(folder: Path) -> list[dict[str, str]]:
    """File, reason and detail of every file that is not in the corpus."""
    read_summary(folder)
    return list(pq.read_table(folder / "rejected.parquet").to_pylist())


def _shards(folder: Path) -> list[str]:
    """The numbers of the shards, after verifying all checksums."""
    summary = read_summary(folder)
    verify(folder, summary["checksums"], f"{MADE_BY}@{folder.name}")
    found = sorted(folder.glob("pieces-*.parquet"))
    return [path.stem.removeprefix("pieces-") for path in found]


def _rows(folder: Path, number: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / f"pieces-{number}.parquet").to_pylist()
    for row in rows:
        row["labels"] = json.loads(row["labels"])
        row["dropped"] = json.loads(row["dropped"])
    return rows


def _notes(path: Path, counts: list[int]) -> Iterator[Notes]:
    """The notes of each piece; counts: from the table of pieces."""
    table = pq.read_table(path, columns=list(NOTE.names or ()))
    notes = np.empty(len(table), dtype=NOTE)
    for name in NOTE.names or ():
        notes[name] = table.column(name).to_numpy()
    end = 0
    for count in counts:
        start, end = end, end + count
        yield notes[start:end]


def _by_piece(path: Path) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in pq.read_table(path).to_pylist():
        grouped.setdefault(row.pop("piece"), []).append(row)
    return grouped


def _piece_of(
    row: dict[str, Any], notes: Any, tracks: list[dict[str, Any]], annotations: list[dict[str, Any]]
) -> Piece:
    return Piece(
        id=row["id"],
        ticks_per_quarter=row["ticks_per_quarter"],
        notes=notes,
        tracks=tuple(Track(**track) for track in tracks),
        tempos=tuple(Tempo(**tempo) for tempo in row["tempos"]),
        meters=tuple(Meter(**meter) for meter in row["meters"]),
        keys=tuple(Key(**key) for key in row["keys"]),
        annotations=tuple(Annotation(**annotation) for annotation in annotations),
        labels=row["labels"],
        title=row["title"],
        source=row["source"],
        warnings=tuple(row["warnings"]),
    )
