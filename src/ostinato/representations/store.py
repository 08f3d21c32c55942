"""Writes the arrays that training reads: per split `tokens.npy` and `index.npz`, and how to decode
them.

`codec.json` holds all that decoding and transposition need; a model carries a copy of it. What
could not be encoded is listed in `summary.json` with its reason. Splits are copied from the corpus,
never made here.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.execution.files import atomic_folder, checksums, write_json, write_npz
from ostinato.music.corpus import Entry
from ostinato.representations.protocol import FORMAT, Representation, Tokens, Unencodable

SPLITS = ("train", "valid", "test")
SHIFTS = range(-11, 12)


@dataclass
class _Collected:
    """Pieces of one split, as they are encoded."""

    tokens: list[Tokens] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)


def write_encoding(
    folder: Path,
    dataset: str,
    entries: Iterable[Entry],
    representation: Representation,
    origin: dict[str, str],
) -> dict[str, Any]:
    """Encode a corpus into `folder`, atomically, and return the summary."""
    shifts = {k: representation.shift(k) for k in SHIFTS}
    splits = {split: _Collected() for split in SPLITS}
    rejected: list[dict[str, str]] = []
    moved: list[float] = []
    dropped: Counter[str] = Counter()
    for entry in entries:
        try:
            quantized = representation.quantize(entry.piece)
            tokens = representation.encode(entry.piece)
        except Unencodable as error:
            rejected.append({"piece": entry.piece.id, "reason": str(error)})
            continue
        moved.append(quantized.moved)
        dropped.update(quantized.dropped)
        splits[entry.split].tokens.append(tokens)
        splits[entry.split].rows.append(
            {
                "piece": entry.piece.id,
                "length": len(tokens),
                "notes": len(quantized.piece.notes),
                "quarters": quantized.piece.quarters,
            }
            | _shift_range(tokens, shifts)
        )
    counts = {
        "format": FORMAT,
        "dataset": dataset,
        "origin": origin,
        "pieces": {split: len(part.rows) for split, part in splits.items()},
        "positions": {split: sum(map(len, part.tokens)) for split, part in splits.items()},
        "rejected": rejected,
        "notes_dropped": dict(dropped),
        "mean_onset_error_quarters": float(np.mean(moved)) if moved else 0.0,
    }
    with atomic_folder(folder) as out:
        for split, part in splits.items():
            _write_split(out / split, part, representation.width)
        write_json(out / "codec.json", codec_of(representation))
        counts["checksums"] = checksums(out)
        write_json(out / "summary.json", counts)
    return counts


def codec_of(representation: Representation) -> dict[str, Any]:
    """All that decoding, transposing and masking need, as plain data."""
    return {
        "format": FORMAT,
        "representation": representation.codec(),
        "width": representation.width,
        "vocabulary": list(representation.vocabulary),
        "shifts": {str(k): representation.shift(k).tolist() for k in SHIFTS},
    }


def _shift_range(tokens: Tokens, shifts: dict[int, Any]) -> dict[str, int]:
    """How far a piece can be transposed within the vocabulary, as an unbroken range around 0."""
    possible = {k: bool((table[tokens] >= 0).all()) for k, table in shifts.items()}
    low = high = 0
    while possible.get(low - 1, False):
        low -= 1
    while possible.get(high + 1, False):
        high += 1
    return {"shift_low": low, "shift_high": high}


def _write_split(folder: Path, part: _Collected, width: int) -> None:
    folder.mkdir()
    empty = np.empty((0, width), np.int32)
    tokens = np.concatenate(part.tokens) if part.tokens else empty
    np.save(
        folder / "tokens.npy",
        tokens.astype(np.int16 if tokens.max(initial=0) < 2**15 else np.int32),
    )
    names = ("piece", "length", "notes", "quarters", "shift_low", "shift_high")
    index: dict[str, Any] = {name: np.array([row[name] for row in part.rows]) for name in names}
    write_npz(folder / "index.npz", index)
