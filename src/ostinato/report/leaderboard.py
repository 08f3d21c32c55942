"""The overview of each encoding as rows: for the page, the terminal, CSV and LaTeX."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ostinato.metrics.bootstrap import Interval
from ostinato.metrics.differences import Difference, difference, holm
from ostinato.metrics.figure import Figure
from ostinato.report.data import ReportData, System
from ostinato.report.scales import number

CAUGHT = "caught"  # a figure of trivial samples that is apart from that of real music
BESIDE = (("reference", "held-out music"), ("floor", "as many real pieces"))


@dataclass(frozen=True)
class Heading:
    """A column of the overview."""

    measure: str
    name: str
    title: str
    label: str
    unit: str
    direction: str


@dataclass(frozen=True)
class Overview:
    """Systems of one encoding and their headline figures.

    beside: rows of what a figure is compared with: a name, and for each column a note and a value.
    """

    encoding: str
    systems: tuple[System, ...]
    columns: tuple[Heading, ...]
    beside: tuple[tuple[str, tuple[tuple[str, Interval | None], ...]], ...]


def overviews(data: ReportData) -> list[Overview]:
    """One for each encoding, in the order of the systems."""
    found = []
    for encoding, systems in data.by_encoding().items():
        columns = {
            (m, name): Heading(m, name, measured.title, f.label, f.unit, f.direction)
            for system in systems
            for measured in system.measures
            for m, name, f in system.headlines()
            if m == measured.name
        }
        headings = tuple(columns.values())
        found.append(Overview(encoding, tuple(systems), headings, _beside(systems, headings)))
    return found


def _beside(systems: Sequence[System], columns: Sequence[Heading]) -> Any:
    """Reference, floor and strongest baseline of the first system that has each."""
    figures = [
        [f for s in systems if (f := s.figure(column.measure, column.name))] for column in columns
    ]
    rows: list[tuple[str, tuple[tuple[str, Interval | None], ...]]] = [
        (words, tuple(("", next((getattr(f, key) for f in one), None)) for one in figures))
        for key, words in BESIDE
    ]
    best = [next((f.best_beside for f in one), None) for one in figures]
    rows.append(("strongest baseline", tuple(found or ("", None) for found in best)))
    kinds = dict.fromkeys(kind for one in figures for f in one for kind in f.trivial)
    rows += [(f"trivial: {k}", tuple(_trivial(k, one) for one in figures)) for k in kinds]
    return tuple(row for row in rows if any(interval for _, interval in row[1]))


def _trivial(kind: str, figures: Sequence[Figure]) -> tuple[str, Interval | None]:
    """What trivial samples of a kind get, and whether the figure catches them."""
    for figure in figures:
        if (interval := figure.trivial.get(kind)) is not None:
            return CAUGHT if figure.is_apart(interval) else "", interval
    return "", None


def differences(data: ReportData) -> dict[str, list[dict[str, Any]]]:
    """Differences of all pairs of systems of one encoding, for headline figures of single pieces.

    A bound and an exact value are not compared. p is corrected over the figures of a pair.
    """
    return {
        encoding: [
            row for pair in combinations(systems, 2) for row in _difference_rows(*pair, data)
        ]
        for encoding, systems in data.by_encoding().items()
    }


def _difference_rows(a: System, b: System, data: ReportData) -> list[dict[str, Any]]:
    found: list[tuple[Figure, Difference]] = []
    for measure, name, figure in a.headlines():
        other = b.figure(measure, name)
        if other is None or other.is_bound != figure.is_bound:
            continue
        keys = [k for k in a.columns if k[0] == measure and name in (k[2], f"{k[1]}/{k[2]}")]
        keys = [k for k in keys if k[1] not in ("held_out", "train") and k in b.columns]
        for key in keys[:1]:
            chance = {"seed": data.seed, "resamples": data.resamples}
            found.append((figure, difference(a.columns[key], b.columns[key], **chance)))
    return [
        {"a": a, "b": b, "figure": figure, "found": one, "p": p}
        for (figure, one), p in zip(found, holm([one.p for _, one in found]), strict=True)
    ]


def leaderboard_csv(data: ReportData) -> str:
    """Every figure of every system, and the rows that figures are compared with."""
    rows: list[dict[str, Any]] = []
    for encoding, systems in data.by_encoding().items():
        seen = set()
        for system in systems:
            for measured in system.measures:
                for name, figure in measured.figures.items():
                    about = {
                        "encoding": encoding,
                        "measure": measured.name,
                        "figure": name,
                        "unit": figure.unit,
                        "direction": figure.direction,
                    }
                    own: dict[str, Any] = {"kind": "system", "name": system.name}
                    own["remark"] = system.remark
                    own |= {"bound": int(figure.is_bound), "parameters": system.parameters}
                    own |= _numbers("", figure.interval)
                    for key, _ in BESIDE:
                        own |= _numbers(f"{key}_", getattr(figure, key))
                    rows.append(about | own)
                    beside = [("baseline", *row) for row in figure.beside.items()]
                    beside += [("trivial", *row) for row in figure.trivial.items()]
                    for kind, other, interval in beside:
                        if (place := (measured.name, name, other)) not in seen:
                            seen.add(place)
                            row = {"kind": kind, "name": other} | _numbers("", interval)
                            rows.append(about | row)
    columns = [
        "kind",
        "name",
        "remark",
        "encoding",
        "measure",
        "figure",
        "unit",
        "direction",
        "bound",
    ]
    columns += ["parameters", "value", "low", "high"]
    columns += [f"{key}_{part}" for key, _ in BESIDE for part in ("value", "low", "high")]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _numbers(prefix: str, interval: Interval | None) -> dict[str, str]:
    if interval is None:
        return {}
    parts = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {f"{prefix}{k}": f"{v:.6g}" if math.isfinite(v) else "" for k, v in parts.items()}


def table_rows(overview: Overview) -> list[list[str]]:
    """The overview as texts: a header, the systems, and what stands beside them."""
    rows = [["system", *(f"{column.measure}/{column.name}" for column in overview.columns)]]
    for system in overview.systems:
        figures = [system.figure(column.measure, column.name) for column in overview.columns]
        rows.append([system.shown, *("–" if f is None else _cell(f) for f in figures)])
    for words, cells in overview.beside:
        texts = ["–" if i is None else f"{number(i.value)} {note}".strip() for note, i in cells]
        rows.append([words, *texts])
    return rows


def _cell(figure: Figure) -> str:
    bound = "≤ " if figure.is_bound else ""
    return f"{bound}{number(figure.interval.value)}"


def text_table(data: ReportData) -> str:
    """The overviews for a terminal, turned: a line for each figure, a column for each system."""
    lines = []
    for overview in overviews(data):
        table = list(zip(*table_rows(overview), strict=True))
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        lines.append(f"\n{overview.encoding}")
        for row in table:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
    return "\n".join(lines).strip()


def leaderboard_tex(data: ReportData) -> str:
    """The overviews as LaTeX tables with booktabs' rules, intervals in brackets."""
    parts = ["% \\usepackage{booktabs}"]
    for overview in overviews(data):
        titles = [_tex(f"{c.label}{f' ({c.unit})' if c.unit else ''}") for c in overview.columns]
        parts += [
            f"% {_tex(overview.encoding)}",
            f"\\begin{{tabular}}{{l{'r' * len(titles)}}}",
            "\\toprule",
            " & ".join(["System", *titles]) + r" \\",
            "\\midrule",
        ]
        for system in overview.systems:
            figures = [system.figure(c.measure, c.name) for c in overview.columns]
            cells = ["--" if f is None else _tex_cell(f.interval, f.is_bound) for f in figures]
            parts.append(" & ".join([_tex(system.shown), *cells]) + r" \\")
        parts += ["\\midrule"] if overview.beside else []
        for words, beside in overview.beside:
            cells = ["--" if i is None else _tex_cell(i, False) for _, i in beside]
            parts.append(" & ".join([_tex(words), *cells]) + r" \\")
        parts += ["\\bottomrule", "\\end{tabular}", ""]
    return "\n".join(parts)


def _tex_cell(interval: Interval, is_bound: bool) -> str:
    value, low, high = (
        number(x).replace("−", "-") for x in (interval.value, interval.low, interval.high)
    )
    if value == "–":
        return "--"
    bounds = "" if low == "–" else f" [{low}, {high}]"
    bound = "\\leq " if is_bound else ""
    return f"${bound}{value}${bounds}"


def _tex(text: str) -> str:
    for sign in "&%$#_{}":
        text = text.replace(sign, f"\\{sign}")
    return text
