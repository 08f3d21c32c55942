"""The leaderboard as rows: for the page, a CSV file and the terminal."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ostinato.metrics.bootstrap import Interval
from ostinato.report.data import (
    SPLITS,
    UNITS,
    Group,
    Likelihood,
    ReportData,
    System,
    group_by_seed,
)

SYSTEM, SEED, BASELINE = "system", "seed", "baseline"
RELATIVE_TIE = 1e-9


def leaderboard_rows(data: ReportData) -> list[dict[str, Any]]:
    """One row for each group of seeds, for each seed of a group, for each baseline of an encoding.

    Rows are grouped by encoding, best first (test bits per quarter), baselines last. Each column
    `<split>_<unit>` has `_low`, `_high` and, over several seeds, `_spread`; NaN is unknown. `best`
    names the columns in which a system is best within its encoding. Encodings of one dataset keep
    different information (a grid joins repeated notes), so none is best across encodings.
    """
    rows: list[dict[str, Any]] = []
    groups = group_by_seed(data.systems)
    for encoding in _encodings(groups):
        members = sorted(
            (g for g in groups if (g.first.dataset, g.first.encoding) == encoding), key=_test_bits
        )
        for group in members:
            rows.append(_group_row(group))
            if len(group.systems) > 1:
                rows += [_seed_row(system, group) for system in group.systems]
        rows += _baseline_rows(members)
    _mark_best(rows)
    return rows


def _encodings(groups: Sequence[Group]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((g.first.dataset, g.first.encoding) for g in groups))


def _test_bits(group: Group) -> tuple[bool, float, str]:
    """Sort key; systems without a likelihood come last."""
    value = group.likelihood("test", "bits_per_quarter").value
    return (math.isnan(value), 0.0 if math.isnan(value) else value, group.name)


def _row(kind: str, name: str, system: System) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": name,
        "dataset": system.dataset,
        "encoding": system.encoding,
        "family": system.family,
        "size": system.size,
        "seeds": str(system.seed),
        "parameters": system.parameters,
        "bound": "≤" if system.is_bound else "",  # where nats are an upper bound
        "color": None,
    }


def _group_row(group: Group) -> dict[str, Any]:
    row = _row(SYSTEM, group.name, group.first)
    row["seeds"] = " ".join(str(system.seed) for system in group.systems)
    row["color"] = group.number
    for split, unit in _columns():
        row |= _cells(split, unit, group.likelihood(split, unit), group.spread(split, unit))
    return row


def _seed_row(system: System, group: Group) -> dict[str, Any]:
    row = _row(SEED, system.name, system) | {"color": group.number}
    return row | _likelihood_cells(system.likelihood)


def _baseline_rows(members: Sequence[Group]) -> list[dict[str, Any]]:
    """The baselines of an encoding, once: they depend on its data only."""
    found: dict[str, Mapping[str, Likelihood]] = {}
    for group in members:
        for system in group.systems:
            for name, likelihood in system.baselines.items():
                found.setdefault(name, likelihood)
    own = {"family": "", "size": "", "seeds": "", "parameters": None, "bound": ""}
    rows = [
        _row(BASELINE, name, members[0].first) | own | _likelihood_cells(likelihood)
        for name, likelihood in found.items()
    ]
    return sorted(rows, key=lambda row: (_key(row["test_bits_per_quarter"]), row["name"]))


def _likelihood_cells(likelihood: Mapping[str, Likelihood]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for split, unit in _columns():
        units = likelihood[split].units if split in likelihood else {}
        cells |= _cells(split, unit, units.get(unit, Interval()), math.nan)
    return cells


def _cells(split: str, unit: str, interval: Interval, spread: float) -> dict[str, Any]:
    name = f"{split}_{unit}"
    return {
        name: interval.value,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
        f"{name}_spread": spread,
    }


def _columns() -> Iterator[tuple[str, str]]:
    return ((split, unit) for split in SPLITS for unit in UNITS)


def _key(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _mark_best(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["best"] = ""
    systems = [row for row in rows if row["kind"] == SYSTEM]
    for split, unit in _columns():
        name = f"{split}_{unit}"
        scope = ("dataset", "encoding")
        for row in systems:
            rivals = [other for other in systems if all(other[k] == row[k] for k in scope)]
            lowest = min(_key(other[name]) for other in rivals)
            if len(rivals) > 1 and row[name] <= lowest * (1 + RELATIVE_TIE):
                row["best"] = f"{row['best']} {name}".strip()


def leaderboard_csv(data: ReportData) -> str:
    """The rows as CSV; an empty cell is unknown."""
    rows = [
        {key: "" if value != value else value for key, value in row.items() if key != "color"}
        for row in leaderboard_rows(data)
    ]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def text_table(data: ReportData) -> str:
    """The leaderboard for a terminal: test values with their intervals, `*` marks the best."""
    header = ["system", "encoding", "parameters", "bits/quarter", "nats/note", "nats/token"]
    lines = [header]
    for row in leaderboard_rows(data):
        indent = {SYSTEM: "", SEED: "  ", BASELINE: "- "}[row["kind"]]
        parameters = "" if row["parameters"] is None else f"{row['parameters']:,}"
        lines.append([f"{indent}{row['name']}", row["encoding"], parameters])
        lines[-1] += [_text_cell(row, f"test_{unit}") for unit in UNITS]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _text_cell(row: Mapping[str, Any], name: str) -> str:
    if math.isnan(row[name]):
        return "–"
    star = "*" if name in row["best"].split() else " "
    spread = row[f"{name}_spread"]
    seeds = "" if math.isnan(spread) else f" ±{spread:.3f}"
    value = f"{row['bound']} {row[name]:.3f}".lstrip()
    return f"{value}{star}[{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]{seeds}"
