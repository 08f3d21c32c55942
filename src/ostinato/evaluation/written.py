"""Writes what `evaluate` found: all of it, the few numbers that one compares, and what is drawn.

`details.json` has every figure with its interval and what stands beside it. `pieces.csv` has the
values of single pieces. `metrics.json` has six or so figures with short names, which `dvc metrics`
and `dvc exp show` put into columns. `distances.csv` and `curve.csv` are what
`dvc plots` draws. `plots/` has the series and galleries of the report.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ostinato.evaluation.measures.protocol import Context, Result
from ostinato.evaluation.system import details_of, piece_rows
from ostinato.files import atomic_folder, require, write_json, write_text
from ostinato.music.write import write_midi

Numbers = dict[str, float | int]
PIECES = ("measure", "set", "name", "piece", "group", "value", "weight")


def write_results(
    out: Path,
    results: Mapping[str, Result],
    context: Context,
    rows: Sequence[Mapping[str, Any]],
    model: Path,
) -> dict[str, Any]:
    """Write all files of evaluation/<system>/ and return what is in details.json.

    rows: of samples.json. model: the system's folder, whose learning curve is copied.

    Raises:
        MissingInput: the model folder holds no learning curve.
    """
    history = require(model / "history.csv", f"dvc repro train@{model.name}")
    details = details_of(results, context, rows)
    write_json(out / "details.json", details)
    write_json(out / "metrics.json", few(results, failed=details["samples"]["failed"]))
    write_text(out / "pieces.csv", as_csv(PIECES, piece_rows(results, context)))
    write_text(out / "curve.csv", history.read_text(encoding="utf-8"))
    write_text(out / "distances.csv", as_csv(("figure", "distance"), distances(results)))
    with atomic_folder(out / "plots") as plots:
        series = [
            {"measure": measure, "series": name, "x": x, "y": y}
            for measure, result in results.items()
            for name, points in result.series.items()
            for x, y in points.tolist()
        ]
        write_text(plots / "series.csv", as_csv(("measure", "series", "x", "y"), series))
        write_json(plots / "gallery.json", {"format": 1, "shown": _galleries(results, plots)})
    return details


def few(results: Mapping[str, Result], *, failed: int) -> Numbers:
    """The number of failed samples, and the `columns` of all measures.

    What is undefined is left out; an upper bound is named "…_bound".
    """
    numbers: Numbers = {"failed": failed}
    for result in results.values():
        for name, column in result.columns.items():
            figure = result.values.get(name)
            if figure is not None and math.isfinite(figure.value):
                suffix = "_bound" if figure.is_bound else ""
                numbers[column + suffix] = float(f"{figure.value:.4g}")
    return numbers


def distances(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """Every figure that has a floor and is better the lower, in multiples of its floor.

    Left out where the floor's interval reaches 0, as that of corrected distances does: multiples of
    it say nothing.
    """
    return [
        {"figure": f"{measure}/{name}", "distance": f"{figure.value / figure.floor.value:.4g}"}
        for measure, result in results.items()
        for name, figure in result.values.items()
        if figure.direction == "lower"
        and figure.floor is not None
        and figure.floor.low > 0
        and math.isfinite(figure.value)
    ]


def as_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _galleries(results: Mapping[str, Result], plots: Path) -> list[dict[str, Any]]:
    """Every gallery's entries; the pieces beside samples become MIDI files of `plots`."""
    rows: list[dict[str, Any]] = []
    for measure, result in results.items():
        for number, shown in enumerate(result.gallery):
            name = None if shown.beside is None else f"{measure}-{number:03}.mid"
            if name is not None and shown.beside is not None:
                write_midi(plots / name, shown.beside)
            row = {"sample": shown.sample, "caption": shown.caption, "beside": name}
            rows.append(row | {"measure": measure, "is_flagged": shown.is_flagged})
    return rows
