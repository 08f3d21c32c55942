"""Writes pieces as Parquet shards, which any tool can read.

A shard has the tables `notes`, `tracks`, `annotations` and `pieces`, with pieces in order. The
workspace also has `marks.npz` and the column `compared` of `pieces`, to find copies and to count.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ostinato.files import write_npz
from ostinato.music.piece import NOTE
from ostinato.music.timing import duration_seconds
from ostinato.normalization.normalize import Kept, Rejected

_text, _int, _real = pa.string(), pa.int32(), pa.float64()
TRACKS = pa.schema(
    [("piece", _text), ("name", _text), ("role", _text), ("program", _int), ("is_drum", pa.bool_())]
)
ANNOTATIONS = pa.schema([("piece", _text), ("onset", _int), ("kind", _text), ("value", _text)])
REJECTED = pa.schema([("file", _text), ("reason", _text), ("detail", _text)])
PIECES = pa.schema(
    [
        ("id", _text),
        ("title", _text),
        ("source", _text),
        ("work", _text),
        ("official", _text),
        ("fingerprint", _text),
        ("texture", _text),
        ("ticks_per_quarter", _int),
        ("length", _int),
        ("seconds", _real),
        ("notes", _int),
        ("dropped", _text),
        ("onset_error", _real),
        ("tempos", pa.list_(pa.struct([("onset", _int), ("qpm", _real)]))),
        (
            "meters",
            pa.list_(pa.struct([("onset", _int), ("numerator", _int), ("denominator", _int)])),
        ),
        ("keys", pa.list_(pa.struct([("onset", _int), ("fifths", _int), ("mode", _text)]))),
        ("labels", _text),
        ("warnings", pa.list_(_text)),
        ("compared", _text),
    ]
)


def write_shard(folder: Path, kept: Sequence[Kept], rejected: Sequence[Rejected]) -> None:
    """Write the tables of some pieces into an existing folder."""
    pieces = [item.piece for item in kept]
    parts = [piece.notes for piece in pieces]
    notes = np.concatenate(parts) if parts else np.empty(0, NOTE)
    numbers = np.repeat(np.arange(len(pieces), dtype=np.int32), [len(part) for part in parts])
    ids = pa.array([piece.id for piece in pieces], _text)
    columns: dict[str, Any] = {"piece": pa.DictionaryArray.from_arrays(pa.array(numbers), ids)}
    columns |= {name: pa.array(np.ascontiguousarray(notes[name])) for name in NOTE.names or ()}
    pq.write_table(pa.table(columns), folder / "notes.parquet")
    for kind, schema in (("tracks", TRACKS), ("annotations", ANNOTATIONS)):
        rows = [{"piece": p.id} | vars(item) for p in pieces for item in getattr(p, kind)]
        write_table(folder / f"{kind}.parquet", rows, schema)
    write_table(folder / "pieces.parquet", [_piece_row(item) for item in kept], PIECES)
    write_table(folder / "rejected.parquet", [asdict(row) for row in rejected], REJECTED)
    _write_marks(folder / "marks.npz", kept)


def write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows with a schema, also if there are no rows."""
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def _piece_row(item: Kept) -> dict[str, Any]:
    piece = item.piece
    return {
        "id": piece.id,
        "title": piece.title,
        "source": piece.source,
        "work": item.facts.work,
        "official": item.facts.split,
        "fingerprint": item.marks.melody,
        "texture": item.marks.texture,
        "ticks_per_quarter": piece.ticks_per_quarter,
        "length": piece.length,
        "seconds": duration_seconds(piece),
        "notes": len(piece.notes),
        "dropped": json.dumps(dict(item.dropped), sort_keys=True),
        "onset_error": item.onset_error,
        "tempos": [vars(tempo) for tempo in piece.tempos],
        "meters": [vars(meter) for meter in piece.meters],
        "keys": [vars(key) for key in piece.keys],
        "labels": json.dumps(dict(piece.labels), sort_keys=True, ensure_ascii=False),
        "warnings": list(piece.warnings),
        "compared": json.dumps(dict(item.compared), sort_keys=True),
    }


def _write_marks(path: Path, kept: Sequence[Kept]) -> None:
    arrays: dict[str, Any] = {"name": np.array([item.marks.name for item in kept], dtype="U16")}
    for kind, dtype in (("steps", np.int16), ("texture_hashes", np.uint64)):
        parts = [getattr(item.marks, kind) for item in kept]
        arrays[kind] = np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)
        arrays[f"{kind}_count"] = np.array([len(part) for part in parts], np.int64)
    write_npz(path, arrays)
