"""Stage: our rows beside the published ones, as table.md and table.csv; seeds of one size are one
row.
"""

import csv
import io
import statistics
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from ostinato.execution.files import read_json, write_text

FORMAT = 1
# (columns of table.csv, their heading, the split, which pieces, the average)
COLUMNS = (
    ("valid", "valid", "valid", "all", "token_weighted"),
    ("valid_pieces", "valid, mean of pieces", "valid", "all", "piece_weighted"),
    ("valid_no_leak", "valid, no leak", "valid", "without_leaks", "token_weighted"),
    ("valid_pieces_no_leak", "the same, of pieces", "valid", "without_leaks", "piece_weighted"),
    ("test", "test", "test", "all", "token_weighted"),
    ("test_pieces", "test, mean of pieces", "test", "all", "piece_weighted"),
)
PARTS = ("", "_low", "_high", "_spread")
FIGURES = [name + part for (name, *_), part in product(COLUMNS, PARTS)]
FIELDS = ["kind", "model", "parameters", "seeds", "bound", *FIGURES, "known", "note"]
Row = dict[str, Any]

WORDS = """\
<!-- written by table.py: dvc repro table -->
Nats for each voice at each sixteenth (natural logarithm, rests included, whole pieces, every cell
once), JSB Chorales in the official split; lower is better. Published figures are of the validation
pieces, and our checkpoints were chosen by the same. [low, high]: 95 % bootstrap over pieces, means
over the seeds; ±: standard deviation over the seeds. `valid` and `test` weigh every cell alike;
"mean of pieces" is the mean of each piece's own mean (which of the two was published is not
known). "no leak" leaves out the copies of training pieces: {leaked}.

"""


def our_rows(params: Row) -> list[Row]:
    """One row for each family and size, in the order of params.yaml."""
    groups: dict[tuple[str, str], list[Row]] = {}
    missing: list[Row] = []
    for name, item in (params["systems"] | params["frozen"]).items():
        path, key = Path("scores") / f"{name}.json", (item["family"], item["size"])
        if name in params["frozen"] and not path.exists():
            model = f"{item['family']} {item['size']}, seed {item['seed']}"
            missing.append({"kind": "ours", "model": model, "known": "not run"})
        else:
            read = read_json(path, expect_format=FORMAT, made_by=f"dvc repro score@{name}")
            groups.setdefault(key, []).append(read)
    rows = []
    for key, scores in groups.items():
        row = {"kind": "ours", "model": " ".join(key), "known": "measured"} | averaged(scores)
        seeds = " ".join(str(score["seed"]) for score in scores)
        rows.append(row | {"parameters": scores[0]["parameters"], "seeds": seeds})
    return rows + missing


def baseline_rows() -> list[Row]:
    """What needs no network."""
    path = Path("scores/baselines.json")
    read = read_json(path, expect_format=FORMAT, made_by="dvc repro baselines")["baselines"]
    rows = [
        {"kind": "baseline", "model": name, "known": "counted"} | averaged([score])
        for name, score in read.items()
    ]
    return sorted(rows, key=lambda row: -row["valid"])


def published_rows() -> list[Row]:
    """Other people's figures, from published.csv."""
    with Path("published.csv").open(encoding="utf-8", newline="") as file:
        return [
            {"kind": "counted" if line["known"] == "counted" else "published"}
            | {key: line[key] for key in ("model", "bound", "known", "note")}
            | {split: float(line[f"{split}_nats"] or "nan") for split in ("valid", "test")}
            for line in csv.DictReader(file)
        ]


def averaged(scores: list[Row]) -> Row:
    """Means over seeds of every column and of its bounds, and the spread over the seeds."""
    row: Row = {}
    for name, _, split, pieces, average in COLUMNS:
        found = [score[split][pieces][average] for score in scores]
        for part, bound in (("", "value"), ("_low", "low"), ("_high", "high")):
            row[name + part] = statistics.fmean(interval[bound] for interval in found)
        if len(found) > 1:
            row[f"{name}_spread"] = statistics.stdev(interval["value"] for interval in found)
    return row


def cell(row: Row, name: str) -> str:
    """A figure as text: value, spread and bounds, as far as they are known."""
    value = row.get(name)
    if value is None or value != value:  # NaN: nobody published it
        return row["known"] if row["known"] == "not run" else "–"
    text = f"{row.get('bound', '').replace('<=', '≤ ')}{value:.3f}"
    if f"{name}_spread" in row:
        text += f" ±{row[f'{name}_spread']:.3f}"
    if f"{name}_low" in row:
        text += f" [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
    return text


def markdown(rows: list[Row], leaked: list[str]) -> str:
    """The page: the protocol in words, then every row."""
    titles = ["", "model", "parameters", "seeds", *(title for _, title, *_ in COLUMNS), "known"]
    lines = [titles, ["---"] * len(titles)]
    for row in rows:
        parameters = f"{row['parameters']:,}" if "parameters" in row else ""
        figures = [cell(row, name) for name, *_ in COLUMNS]
        known = "from memory, unverified" if row["known"] == "memory" else row["known"]
        note = f"{known}; {row['note']}" if row.get("note") else known
        model = row["model"]
        lines.append([row["kind"], model, parameters, row.get("seeds", ""), *figures, note])
    escaped = [[text.replace("|", "\\|") for text in line] for line in lines]
    body = "".join(f"| {' | '.join(line)} |\n" for line in escaped)
    return WORDS.format(leaked=", ".join(leaked) or "none") + body


def csv_text(rows: list[Row]) -> str:
    """Every figure to six digits; what is unknown is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
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


if __name__ == "__main__":
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    rows = [*our_rows(params), *published_rows(), *baseline_rows()]
    told = read_json(Path("scores/baselines.json"), expect_format=FORMAT, made_by="dvc repro")
    found = told["baselines"]["uniform"]
    copies = [piece for split in ("valid", "test") for piece in found[split]["leaked"]]
    write_text(Path("table.md"), markdown(rows, copies))
    write_text(Path("table.csv"), csv_text(rows))
