"""Tables that compare our figures with published ones, as Markdown and CSV.

A row is a dictionary: kind, model, known (source of the figure), note, bound, and for every column
its value, and if available `_low` and `_high` of its interval and `_spread` over seeds. Paths are
relative to the reproduction's folder.
"""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from ostinato.files import read_json
from ostinato.reproduction.folder import FORMAT, SPLITS

PARTS = ("", "_low", "_high", "_spread")
KINDS = {"counted": "counted", "logged": "ours"}  # kind of a row by the source of its figure
Row = dict[str, Any]


class Column(NamedTuple):
    """A figure of scores/<system>.json: its name in table.csv, its heading, and its keys."""

    name: str
    title: str
    split: str
    pieces: str
    average: str


def our_rows(
    systems: Mapping[str, Row], frozen: Mapping[str, Row], columns: Sequence[Column]
) -> list[Row]:
    """One row for each family, size and encoding, in the order of params.yaml; seeds are averaged.

    A frozen system without scores has a row "not run".
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    missing: list[Row] = []
    for name, item in {**systems, **frozen}.items():
        path = Path("scores") / f"{name}.json"
        if name in frozen and not path.exists():
            model = f"{item['family']} {item['size']}, seed {item['seed']}"
            missing.append({"kind": "ours", "model": model, "known": "not run"})
        else:
            read = read_json(path, expect_format=FORMAT, made_by=f"dvc repro score@{name}")
            key = (item["family"], item["size"], item["encoding"])
            groups.setdefault(key, []).append(read)
    rows = []
    for (family, size, _), scores in groups.items():
        row = {"kind": "ours", "model": f"{family} {size}", "known": "measured"}
        seeds = " ".join(str(score["seed"]) for score in scores)
        row["bound"] = scores[0].get("bound", "")
        row |= averaged(scores, columns) | {"parameters": scores[0]["parameters"], "seeds": seeds}
        rows.append(row)
    return rows + missing


def mixtures_of(params: Row) -> dict[str, Row]:
    """The mixtures of params.yaml as `our_rows` takes them: a row for each number of members."""
    return {
        name: {"family": "mixture", "size": f"of {len(item['members'])}", **item}
        for name, item in params["mixtures"].items()
    }


def baseline_rows(path: Path, columns: Sequence[Column]) -> list[Row]:
    """Baselines without a network, from the file of their stage; the worst first, by column one."""
    read = read_json(path, expect_format=FORMAT, made_by="dvc repro")["baselines"]
    rows = [
        {"kind": "baseline", "model": name, "known": "counted"} | averaged([score], columns)
        for name, score in read.items()
    ]
    return sorted(rows, key=lambda row: -row[columns[0].name])


def published_rows(path: Path) -> list[Row]:
    """Published figures from published.csv, and figures of ours that are known only from a log; NaN
    if a figure was not published.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {"kind": KINDS.get(line["known"], "published")}
            | {key: value for key, value in line.items() if not key.endswith("_nats")}
            | {split: float(line.get(f"{split}_nats") or "nan") for split in SPLITS}
            for line in csv.DictReader(file)
        ]


def copies_in(path: Path) -> list[str]:
    """Ids of the held-out pieces that are copies of training pieces, valid before test."""
    read = read_json(path, expect_format=FORMAT, made_by="dvc repro")["baselines"]["uniform"]
    return [piece for split in SPLITS for piece in read[split]["leaked"]]


def averaged(scores: Sequence[Row], columns: Sequence[Column]) -> Row:
    """Means over seeds of every column and its bounds, and the spread over seeds."""
    row: Row = {}
    for name, _, split, pieces, average in columns:
        found = [score[split][pieces][average] for score in scores]
        for part, bound in (("", "value"), ("_low", "low"), ("_high", "high")):
            row[name + part] = statistics.fmean(interval[bound] for interval in found)
        if len(found) > 1:
            row[f"{name}_spread"] = statistics.stdev(interval["value"] for interval in found)
    return row


def cell(row: Row, name: str, digits: int = 3) -> str:
    """A figure as text: value, and spread and bounds if known."""
    value = row.get(name)
    if value is None or value != value:  # NaN: not published
        return row["known"] if row["known"] == "not run" else "–"
    text = f"{row.get('bound', '').replace('<=', '≤ ')}{value:.{digits}f}"
    if f"{name}_spread" in row:
        text += f" ±{row[f'{name}_spread']:.{digits}f}"
    if f"{name}_low" in row:
        text += f" [{row[f'{name}_low']:.{digits}f}, {row[f'{name}_high']:.{digits}f}]"
    return text


def markdown_table(rows: Sequence[Row], columns: Sequence[Column], digits: int = 3) -> str:
    """The rows as a table in Markdown."""
    titles = ["", "model", "parameters", "seeds", *(column.title for column in columns), "known"]
    lines = [titles, ["---"] * len(titles)]
    for row in rows:
        parameters = f"{row['parameters']:,}" if "parameters" in row else ""
        figures = [cell(row, column.name, digits) for column in columns]
        known = "from memory, unverified" if row["known"] == "memory" else row["known"]
        note = f"{known}; {row['note']}" if row.get("note") else known
        lines.append([row["kind"], row["model"], parameters, row.get("seeds", ""), *figures, note])
    escaped = [[text.replace("|", "\\|") for text in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def csv_text(rows: Sequence[Row], columns: Sequence[Column], first: Sequence[str] = ()) -> str:
    """Every figure with six digits, after the fields `first`; unknown ones are empty."""
    figures = [column.name + part for column, part in product(columns, PARTS)]
    fields = [*first, "kind", "model", "parameters", "seeds", "bound", *figures, "known", "note"]
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                key: ("" if value != value else round(value, 6))
                if isinstance(value, float)
                else value
                for key, value in row.items()
            }
        )
    return text.getvalue()
