"""Counts a corpus and formats the counts as a table."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ostinato.normalization.catalogue import SPLITS
from ostinato.normalization.normalize import Rejected

NUMBER = re.compile(r"(?<![a-z\d])(?<![a-z]-)\d+([.,]\d+)*")  # not in names: cp1251, latin-1
LARGEST = 5  # groups whose sizes the summary lists
EMPTY = {  # splits without pieces, by how splits are made: what was asked for, and the remedy
    "shares": "whose share is {:g}: a seed draws the split of each group of pieces; change "
    "normalize.split.seed or the shares, or give a table of your own (normalize.split.given)",
    "given": "which {:,} rows of the given split name: no piece of the corpus has such a row; "
    "correct the names in the table, or see why these pieces were rejected",
}
NAMED = 3  # unmatched rows of a given split in the table


@dataclass
class Tally:
    """Counts of a corpus, updated shard by shard."""

    dataset: str
    splits: Counter[str] = field(default_factory=Counter)
    melodies: set[str] = field(default_factory=set)
    groups: Counter[str] = field(default_factory=Counter)
    clusters: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)
    disagree: Counter[str] = field(default_factory=Counter)
    notes: int = 0
    quarters: float = 0.0
    seconds: float = 0.0
    moved: float = 0.0

    def add(self, pieces: pa.Table) -> None:
        """Count the pieces of a shard."""
        for row in pieces.drop_columns(["tempos", "meters", "keys"]).to_pylist():
            self.splits[row["split"]] += 1
            self.melodies.add(row["fingerprint"])
            self.groups[row["group"]] += 1
            if row["copies"]:
                self.clusters[row["copies"]] += 1
            self.dropped.update(json.loads(row["dropped"]))
            self.warnings.update({kind_of(text) for text in row["warnings"]})
            compared = json.loads(row["compared"])
            self.compared.update(compared.keys())
            self.disagree.update(name for name, differs in compared.items() if differs)
            self.notes += row["notes"]
            self.quarters += row["length"] / row["ticks_per_quarter"]
            self.seconds += row["seconds"]
            self.moved += row["onset_error"] * row["notes"]

    def summary(
        self, files: int, rejected: Sequence[Rejected], leaks: Mapping[str, Any]
    ) -> dict[str, Any]:
        """All counts as plain data.

        melodies: different ones. groups: pieces that no split divides; largest_groups: their sizes.
        warnings: pieces by warning, without numbers. compared: pieces that other readers also read.
        """
        compared = {
            name: {"pieces": count, "disagree": self.disagree[name]}
            for name, count in self.compared.items()
        }
        return ({"compared": compared} if compared else {}) | {
            "dataset": self.dataset,
            "files": files,
            "pieces": self.splits.total(),
            "splits": dict(self.splits),
            "melodies": len(self.melodies),
            "groups": len(self.groups),
            "largest_groups": sorted(self.groups.values(), reverse=True)[:LARGEST],
            "copies": {"clusters": len(self.clusters), "pieces": self.clusters.total()},
            "leaks": dict(leaks),
            "rejected": dict(Counter(row.reason for row in rejected)),
            "notes_read": self.notes + self.dropped.total(),
            "notes_kept": self.notes,
            "notes_dropped": dict(self.dropped),
            "quarters": self.quarters,
            "hours": self.seconds / 3600,
            "mean_onset_error_quarters": self.moved / self.notes if self.notes else 0.0,
            "warnings": dict(self.warnings),
        }


def kind_of(warning: str) -> str:
    """A warning without its numbers, so that similar ones are counted together."""
    return NUMBER.sub("#", warning)


def describe(summary: Mapping[str, Any], seconds: float | None = None) -> str:
    """A summary as a table for the terminal."""
    rows: list[tuple[str, str, str]] = [
        ("files", f"{summary['files']:,}", ""),
        ("pieces", f"{summary['pieces']:,}", _listed(dict.fromkeys(SPLITS, 0) | summary["splits"])),
        *(
            ("empty split", "0", f"of {split}, {EMPTY[kind].format(asked)}")
            for kind, empty in summary.get("empty_splits", {}).items()
            for split, asked in sorted(empty.items())
        ),
        ("hours of music", f"{summary['hours']:.2f}", f"{summary['quarters']:,.0f} quarter notes"),
        ("melodies", f"{summary['melodies']:,}", _groups(summary)),
        (
            "copies",
            f"{summary['copies']['pieces']:,}",
            f"in {summary['copies']['clusters']:,} clusters",
        ),
        ("rejected", f"{sum(summary['rejected'].values()):,}", ""),
        *((f"  {reason}", f"{n:,}", "") for reason, n in sorted(summary["rejected"].items())),
        ("notes read", f"{summary['notes_read']:,}", ""),
        ("notes kept", f"{summary['notes_kept']:,}", ""),
        ("notes dropped", f"{sum(summary['notes_dropped'].values()):,}", ""),
        *((f"  {reason}", f"{n:,}", "") for reason, n in sorted(summary["notes_dropped"].items())),
        (
            "onsets moved by",
            f"{summary['mean_onset_error_quarters']:.6f}",
            "quarter notes on average, by the corpus' time unit",
        ),
        *(
            (f"compared by {name}", f"{found['pieces']:,}", f"{found['disagree']:,} disagree")
            for name, found in sorted(summary.get("compared", {}).items())
        ),
        ("warnings", f"{len(summary['warnings']):,}", "kinds, with the number of pieces:"),
        *(("", f"{n:,}", text) for text, n in sorted(summary["warnings"].items())),
    ]
    for kind, found in sorted(summary["leaks"].items()):
        for split, others in sorted(found["pieces"].items()):
            rows += [
                (f"leak ({kind})", f"{n:,}", f"of {split} also in {other}")
                for other, n in sorted(others.items())
            ]
    if unmatched := summary.get("rows_without_piece"):
        first = ", ".join(unmatched["first"][:NAMED]) + (", …" if unmatched["rows"] > NAMED else "")
        note = f"in the given split; no such piece, or rejected: {first}"
        rows.append(("rows without piece", f"{unmatched['rows']:,}", note))
    if seconds is not None:
        rows.append(("seconds taken", f"{seconds:.1f}", ""))
    width = max(len(name) for name, _, _ in rows)
    numbers = max(len(number) for _, number, _ in rows)
    lines = [
        f"{name:<{width}}  {number:>{numbers}}  {note}".rstrip() for name, number, note in rows
    ]
    return "\n".join([summary["dataset"], *lines])


def _groups(summary: Mapping[str, Any]) -> str:
    largest = max(summary.get("largest_groups", ()), default=0)
    return f"in {summary['groups']:,} groups, the largest of {largest:,} pieces"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
