"""Charts of every measure, drawn by its view; no measure is known here by name."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ostinato.metrics.bootstrap import Interval
from ostinato.metrics.figure import Figure
from ostinato.report import charts
from ostinato.report.charts import Line, Row
from ostinato.report.data import Measured, System
from ostinato.report.leaderboard import BESIDE
from ostinato.report.steps import Steps

SETS = (("held_out", "held-out music"), ("train", "training music"))


@dataclass(frozen=True)
class Card:
    """One chart with its title and text."""

    title: str
    chart: Markup
    text: str = ""
    legend: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Block:
    """One measure: its cards, and a table of all of its figures by system."""

    title: str
    note: str
    cards: tuple[Card, ...]
    rows: tuple[tuple[Figure, tuple[Figure | None, ...]], ...]


def blocks(systems: Sequence[System]) -> list[Block]:
    """All measures that say something about the systems of one encoding."""
    measures = {m.name: m for system in systems for m in system.measures}
    ordered = sorted(measures.values(), key=lambda m: (m.order, m.name))
    found = [
        Block(m.title, m.note, tuple(_cards(m, systems)), _rows(m.name, systems)) for m in ordered
    ]
    return [block for block in found if block.cards or block.rows]


def _rows(
    measure: str, systems: Sequence[System]
) -> tuple[tuple[Figure, tuple[Figure | None, ...]], ...]:
    return tuple(
        (next(f for f in found if f), found)
        for name in _names(measure, systems)
        if (found := tuple(system.figure(measure, name) for system in systems))
    )


def _names(measure: str, systems: Sequence[System]) -> list[str]:
    """Figures that any of the systems has."""
    return list(
        dict.fromkeys(
            n for s in systems for m in s.measures if m.name == measure for n in m.figures
        )
    )


def _cards(measure: Measured, systems: Sequence[System]) -> list[Card]:
    if measure.view == "curve":
        return [card for card in [_curves(measure, systems)] if card.chart]
    if measure.view in ("table", "gallery"):
        return []
    cards = []
    for name in _names(measure.name, systems):
        figures = [(s, f) for s in systems if (f := s.figure(measure.name, name))]
        first = figures[0][1]
        is_density = measure.view == "density" and any(
            _values(s, measure.name, "samples", name) for s, _ in figures
        )
        title = first.label + (f" ({first.unit})" if first.unit else "")
        rows = [
            Row(s.name, f.interval, s.number, _values(s, measure.name, "samples", name))
            for s, f in figures
        ]
        draw = charts.distributions if is_density else charts.forest
        rows += _density_rows(measure.name, name, figures) if is_density else _beside_rows(first)
        chart = draw(rows, title)
        if chart:
            cards.append(Card(title, chart, first.note))
    return cards


def _density_rows(measure: str, name: str, figures: Sequence[tuple[System, Figure]]) -> list[Row]:
    """Real music, with what its interval is, where it is known."""
    system, figure = figures[0]
    known = {"held_out": figure.reference, "train": next(iter(figure.beside.values()), None)}
    return [
        Row(words, known[kind] or Interval(), None, values)
        for kind, words in SETS
        if (values := _values(system, measure, kind, name))
    ]


def _beside_rows(figure: Figure) -> list[Row]:
    sides = [(words, getattr(figure, key)) for key, words in BESIDE] + list(figure.beside.items())
    return [Row(words, interval, None) for words, interval in sides if interval is not None]


def _values(system: System, measure: str, kind: str, name: str) -> tuple[float, ...]:
    """The finite values of a set's single pieces; of whole pieces where excerpts have none."""
    for key in ((measure, kind, name), (measure, f"{kind}_whole", name)):
        if key in system.columns:
            return tuple(x for x in system.columns[key].values.tolist() if math.isfinite(x))
    return ()


def _curves(measure: Measured, systems: Sequence[System]) -> Card:
    lines = [
        Line(
            s.name,
            {k[1]: points for k, points in s.series.items() if k[0] == measure.name},
            s.number,
        )
        for s in systems
    ]
    return Card(
        measure.title,
        charts.curves(lines, measure.title),
        legend=tuple((s.number, s.name) for s in systems),
    )


def steps_cards(steps: Steps) -> list[Card]:
    """A chart of each figure against steps, with a curve for each scheduler."""
    cards = []
    for title, curves in steps.curves.items():
        lines = [Line(name, {name: found}, i) for i, (name, found) in enumerate(curves.items())]
        legend = tuple((line.color, line.label) for line in lines)
        cards.append(Card(title, charts.curves(lines, title), legend=legend))
    return cards
