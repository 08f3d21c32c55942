"""Writes the arrays that training reads: per split `tokens.npy` and `index.npz`, and how to decode
them.

`codec.json` holds all that decoding, transposition and the times of events need; a model carries a
copy of it. What
could not be encoded is listed in `summary.json` with its reason. Splits are copied from the corpus,
never made here. Tokens are written piece by piece: a corpus may be larger than the memory.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from ostinato.corpus.store import Entry
from ostinato.files import atomic_folder, checksums, write_json, write_npz
from ostinato.representations.conditions import Conditions
from ostinato.representations.protocol import (
    FORMAT,
    Quantized,
    Representation,
    Sounding,
    Structured,
    Timed,
    Tokens,
    Unencodable,
)

SPLITS = ("train", "valid", "test")
SHIFTS = range(-11, 12)
INDEX = ("piece", "length", "notes", "quarters", "shift_low", "shift_high")


def write_encoding(
    folder: Path,
    dataset: str,
    entries: Iterable[Entry],
    representation: Representation,
    origin: dict[str, str],
) -> dict[str, Any]:
    """Encode a corpus into `folder`, atomically, and return the summary.

    Raises:
        ValueError: the corpus is empty, or every piece of it or of train is set aside; names the
            reasons.
    """
    aside: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    rejected: list[dict[str, str]] = []
    moved: list[float] = []
    dropped: Counter[str] = Counter()
    conditions = Conditions()
    with atomic_folder(folder) as out:
        with ExitStack() as files:
            splits = {
                split: files.enter_context(_SplitWriter(out / split, representation, conditions))
                for split in SPLITS
            }
            for entry in entries:
                try:
                    quantized = representation.quantize(entry.piece)
                    written = representation.write(quantized.piece)
                except Unencodable as error:
                    row = {"piece": entry.piece.id, "reason": error.reason, "detail": str(error)}
                    rejected.append(row)
                    aside[entry.split][error.reason] += 1
                    continue
                conditions.add(entry.split, entry.piece)
                splits[entry.split].add(quantized, written)
                moved.append(quantized.moved)
                dropped.update(quantized.dropped)
        encoded = {split: len(part.rows) for split, part in splits.items()}
        _refuse_nothing(folder.name, dataset, encoded, aside, rejected)
        counts: dict[str, Any] = {
            "format": FORMAT,
            "dataset": dataset,
            "origin": origin,
            "pieces": encoded,
            "positions": {split: part.positions for split, part in splits.items()},
            "rejected": rejected,
            "notes_dropped": dict(dropped),
            "mean_onset_error_quarters": float(np.mean(moved)) if moved else 0.0,
        }
        if rejected:  # where nothing is, a summary keeps the bytes that models were trained on
            counts["rejected_by_reason"] = dict(Counter(row["reason"] for row in rejected))
        if lost := {split: n.total() for split, n in aside.items() if n and not encoded[split]}:
            counts["splits_set_aside"] = lost
        if left_out := conditions.left_out():
            counts["labels_left_out"] = left_out
        codec = codec_of(representation) | {"conditions": conditions.specifications()}
        write_json(out / "codec.json", codec)
        counts["checksums"] = checksums(out)
        write_json(out / "summary.json", counts)
    return counts


def _refuse_nothing(
    name: str,
    dataset: str,
    encoded: Mapping[str, int],
    aside: Mapping[str, Counter[str]],
    rejected: Sequence[Mapping[str, str]],
) -> None:
    """Refuse an encoding without pieces, or all of whose pieces of train were set aside."""
    if not rejected and not any(encoded.values()):
        raise ValueError(
            f"encoding {name}: corpus {dataset} has no pieces; dvc repro normalize@{dataset} says "
            "why its files were rejected"
        )
    if any(encoded.values()) and (encoded["train"] or not aside["train"]):
        return
    every = not any(encoded.values())
    reasons: Counter[str] = sum(aside.values(), Counter()) if every else aside["train"]
    words = [f"{reason}: {n} ({_example(rejected, reason)})" for reason, n in reasons.most_common()]
    raise ValueError(
        f"encoding {name}: none of the {reasons.total()} pieces of {dataset}"
        f"{'' if every else ' in train'} can be encoded; " + "; ".join(words) + "; in params.yaml "
        "give the encoding a representation that takes such pieces, or choose pieces that fit it "
        f"under normalize in conf/dataset/{dataset}.yaml"
    )


def _example(rejected: Iterable[Mapping[str, str]], reason: str) -> str:
    return next(row["detail"] for row in rejected if row["reason"] == reason)


def describe(name: str, summary: Mapping[str, Any]) -> str:
    """A summary as a few lines for the terminal: what was set aside by reason, with one example."""
    rejected = summary["rejected"]
    lines = [f"{name}: pieces {summary['pieces']}, positions {summary['positions']}"]
    for reason, count in summary.get("rejected_by_reason", {}).items():
        lines.append(f"set aside, {reason}: {count} ({_example(rejected, reason)})")
    for split, count in summary.get("splits_set_aside", {}).items():
        lines.append(
            f"nothing is left of {split}: all its {count} pieces are set aside; take a "
            "representation that fits them, or another split of the corpus"
        )
    lines += [f"notes dropped, {why}: {n}" for why, n in sorted(summary["notes_dropped"].items())]
    error = summary["mean_onset_error_quarters"]
    return "\n".join([*lines, f"onsets moved by {error:.5f} quarter notes on average"])


def codec_of(representation: Representation) -> dict[str, Any]:
    """All that decoding, transposing and masking need, as plain data; of events, their times."""
    timing = {"timing": representation.timing()} if isinstance(representation, Timed) else {}
    structure = representation.structure() if isinstance(representation, Structured) else None
    return (
        timing
        | ({"kind": representation.kind} if isinstance(representation, Sounding) else {})
        | ({"structure": structure} if structure else {})
        | {
            "format": FORMAT,
            "representation": representation.codec(),
            "width": representation.width,
            "vocabulary": list(representation.vocabulary),
            "shifts": {str(k): representation.shift(k).tolist() for k in SHIFTS},
        }
    )


class _SplitWriter:
    """One split's files: `tokens.npy` grows with every piece, `index.npz` is written at the end."""

    def __init__(
        self, folder: Path, representation: Representation, conditions: Conditions
    ) -> None:
        self.positions = 0
        self.rows: list[tuple[Any, ...]] = []
        self._folder, self._conditions = folder, conditions
        self._width = representation.width
        names = len(representation.vocabulary)
        self._dtype = np.dtype(np.int16 if names <= 2**15 else np.int32)
        if not names:  # real numbers
            self._dtype = np.dtype(np.float16)
        self._possible = np.stack([representation.shift(k) for k in SHIFTS]) >= 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "_SplitWriter":
        self._folder.mkdir()
        self._file = (self._folder / "tokens.npy").open("wb")
        self._write_header()
        return self

    def add(self, quantized: Quantized, tokens: Tokens) -> None:
        """Append one piece."""
        assert self._file
        self._file.write(tokens.astype(self._dtype).tobytes())
        self.positions += len(tokens)
        piece = quantized.piece
        sizes = (len(tokens), len(piece.notes), piece.quarters)
        self.rows.append((piece.id, *sizes, *self._shift_range(tokens)))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._file
        with self._file:
            self._write_header()
        if kind is None:
            columns = zip(*self.rows, strict=True) if self.rows else [()] * len(INDEX)
            index = {name: np.array(column) for name, column in zip(INDEX, columns, strict=True)}
            known = self._conditions.arrays(self._folder.name)
            write_npz(self._folder / "index.npz", index | known)

    def _write_header(self) -> None:
        """In front of the tokens: NumPy leaves room in it for any number of positions."""
        assert self._file
        self._file.seek(0)
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.positions, self._width),
        }
        np.lib.format.write_array_header_1_0(self._file, header)

    def _shift_range(self, tokens: Tokens) -> tuple[int, int]:
        """How far tokens can be transposed within the vocabulary: an unbroken range around 0."""
        if self._dtype.kind == "f":
            return 0, 0
        used = np.zeros(self._possible.shape[1], dtype=bool)
        used[tokens] = True
        possible = np.all(self._possible[:, used], axis=1).tolist()
        low = high = 0
        while low - 1 in SHIFTS and possible[low - 1 - SHIFTS.start]:
            low -= 1
        while high + 1 in SHIFTS and possible[high + 1 - SHIFTS.start]:
            high += 1
        return low, high
