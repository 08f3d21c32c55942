"""The corpus on disk: Parquet shards of the parts of pieces, columns that any tool can read.

`notes-*`, `tracks-*` and `annotations-*` are sorted by piece; `pieces` has one row for each piece,
`rejected` one for each file that is not in it; `summary.json` counts and holds the checksums of all
the rest.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ostinato.execution.files import atomic_folder, checksums, read_json, verify, write_json
from ostinato.music.normalize import Normalized, Rejected
from ostinato.music.piece import NOTE, Annotation, Key, Meter, Piece, Tempo, Track

FORMAT = 1
MADE_BY = "dvc repro normalize"
PIECES_PER_SHARD = 2000


@dataclass(frozen=True)
class Entry:
    """A piece as the corpus knows it."""

    piece: Piece
    split: str
    fingerprint: str
    group: str


def write_corpus(
    folder: Path,
    dataset: str,
    pieces: Sequence[Normalized],
    rejected: Sequence[Rejected],
    origin: dict[str, str],
) -> dict[str, Any]:
    """Write a corpus folder atomically and return its summary; `origin` is licence, citation and
    url.
    """
    with atomic_folder(folder) as out:
        for shard, start in enumerate(range(0, len(pieces), PIECES_PER_SHARD)):
            _write_shard(
                out, shard, [item.piece for item in pieces[start : start + PIECES_PER_SHARD]]
            )
        _write_table(out / "pieces.parquet", [_piece_row(item) for item in pieces], PIECES_SCHEMA)
        _write_table(out / "rejected.parquet", [asdict(row) for row in rejected], REJECTED_SCHEMA)
        summary = _summary(dataset, pieces, rejected)
        summary |= {"origin": origin, "checksums": checksums(out)}
        write_json(out / "summary.json", summary)
    return summary


def read_corpus(folder: Path) -> list[Entry]:
    """All pieces of a corpus, sorted by id, after checking that no byte of it has changed."""
    return list(iterate_corpus(folder))


def read_summary(folder: Path) -> dict[str, Any]:
    """Counts, origin and checksums of a corpus."""
    return read_json(folder / "summary.json", expect_format=FORMAT, made_by=MADE_BY)


def iterate_corpus(folder: Path) -> Iterator[Entry]:
    """The pieces of a corpus, one shard in memory at a time.

    Raises:
        MissingInput, DamagedFile: named, before the first piece is yielded.
    """
    summary = read_summary(folder)
    verify(folder, summary["checksums"], MADE_BY)
    rows = {row["id"]: row for row in pq.read_table(folder / "pieces.parquet").to_pylist()}
    for path in sorted(folder.glob("notes-*.parquet")):
        number = path.stem.removeprefix("notes-")
        notes = pq.read_table(path)
        tracks = _by_piece(folder / f"tracks-{number}.parquet")
        annotations = _by_piece(folder / f"annotations-{number}.parquet")
        for piece_id, part in _split_notes(notes):
            row = rows[piece_id]
            piece = _piece_of(row, part, tracks.get(piece_id, []), annotations.get(piece_id, []))
            yield Entry(piece, row["split"], row["fingerprint"], row["group"])


def _split_notes(table: pa.Table) -> Iterator[tuple[str, Any]]:
    ids = np.asarray(table.column("piece").to_pylist(), dtype=object)
    notes = np.empty(len(ids), dtype=NOTE)
    for name in NOTE.names or ():
        notes[name] = table.column(name).to_numpy()
    fresh = np.r_[np.ones(min(1, len(ids)), bool), ids[1:] != ids[:-1]]
    starts = np.flatnonzero(fresh).tolist()
    for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
        yield ids[start], notes[start:end]


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
        labels=json.loads(row["labels"]),
        title=row["title"],
        source=row["source"],
        warnings=tuple(row["warnings"]),
    )


def _write_shard(out: Path, shard: int, pieces: Sequence[Piece]) -> None:
    notes = np.concatenate([piece.notes for piece in pieces])
    ids = np.repeat([piece.id for piece in pieces], [len(piece.notes) for piece in pieces])
    columns = {"piece": pa.array(ids).dictionary_encode()}
    columns |= {name: pa.array(notes[name]) for name in NOTE.names or ()}
    pq.write_table(pa.table(columns), out / f"notes-{shard:05}.parquet")
    for kind, schema in (("tracks", TRACKS_SCHEMA), ("annotations", ANNOTATIONS_SCHEMA)):
        rows = [{"piece": p.id} | asdict(item) for p in pieces for item in getattr(p, kind)]
        _write_table(out / f"{kind}-{shard:05}.parquet", rows, schema)


def _write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def _piece_row(item: Normalized) -> dict[str, Any]:
    piece = item.piece
    return {
        "id": piece.id,
        "title": piece.title,
        "source": piece.source,
        "split": item.split,
        "fingerprint": item.fingerprint,
        "group": item.group,
        "ticks_per_quarter": piece.ticks_per_quarter,
        "length": piece.length,
        "notes": len(piece.notes),
        "tempos": [asdict(tempo) for tempo in piece.tempos],
        "meters": [asdict(meter) for meter in piece.meters],
        "keys": [asdict(key) for key in piece.keys],
        "labels": json.dumps(dict(piece.labels), sort_keys=True),
        "warnings": list(piece.warnings),
    }


def _summary(
    dataset: str, pieces: Sequence[Normalized], rejected: Sequence[Rejected]
) -> dict[str, Any]:
    dropped: Counter[str] = Counter()
    for item in pieces:
        dropped.update(item.dropped)
    kept = sum(len(item.piece.notes) for item in pieces)
    return {
        "format": FORMAT,
        "dataset": dataset,
        "files": len(pieces) + len(rejected),
        "pieces": len(pieces),
        "splits": dict(Counter(item.split for item in pieces)),
        "melodies": len({item.fingerprint for item in pieces}),
        "melody_groups": len({item.group for item in pieces}),
        "rejected": dict(Counter(row.reason for row in rejected)),
        "notes_read": kept + sum(dropped.values()),
        "notes_kept": kept,
        "notes_dropped": dict(dropped),
        "quarters": sum(item.piece.quarters for item in pieces),
        "warnings": sum(bool(item.piece.warnings) for item in pieces),
    }


_text, _int = pa.string(), pa.int32()
TRACKS_SCHEMA = pa.schema(
    [("piece", _text), ("name", _text), ("role", _text), ("program", _int), ("is_drum", pa.bool_())]
)
ANNOTATIONS_SCHEMA = pa.schema(
    [("piece", _text), ("onset", _int), ("kind", _text), ("value", _text)]
)
REJECTED_SCHEMA = pa.schema([("file", _text), ("reason", _text), ("detail", _text)])
PIECES_SCHEMA = pa.schema(
    [
        ("id", _text),
        ("title", _text),
        ("source", _text),
        ("split", _text),
        ("fingerprint", _text),
        ("group", _text),
        ("ticks_per_quarter", _int),
        ("length", _int),
        ("notes", _int),
        ("tempos", pa.list_(pa.struct([("onset", _int), ("qpm", pa.float64())]))),
        (
            "meters",
            pa.list_(pa.struct([("onset", _int), ("numerator", _int), ("denominator", _int)])),
        ),
        ("keys", pa.list_(pa.struct([("onset", _int), ("fifths", _int), ("mode", _text)]))),
        ("labels", _text),
        ("warnings", pa.list_(_text)),
    ]
)


def describe(summary: dict[str, Any]) -> str:
    """A summary as a few lines for the terminal."""
    lines = [
        f"{summary['dataset']}: {summary['files']} files, {summary['pieces']} pieces, splits "
        + ", ".join(f"{split} {count}" for split, count in sorted(summary["splits"].items())),
        f"{summary['melodies']} melodies in {summary['melody_groups']} groups, "
        "none of which crosses a split",
        f"notes: {summary['notes_read']} read = {summary['notes_kept']} kept"
        + "".join(f" + {n} dropped ({why})" for why, n in sorted(summary["notes_dropped"].items())),
        f"{summary['quarters']:.0f} quarter notes; pieces with warnings: {summary['warnings']}",
    ]
    lines += [f"rejected, {why}: {count}" for why, count in sorted(summary["rejected"].items())]
    return "\n".join(lines)
