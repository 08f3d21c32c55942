"""The contents of each section of the page, ready for the template."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ostinato.metrics.bootstrap import Interval
from ostinato.report import charts
from ostinato.report.charts import Line, Row
from ostinato.report.data import (
    FeatureResult,
    Group,
    ReportData,
    System,
    group_by_seed,
    pooled,
)
from ostinato.report.leaderboard import BASELINE, SYSTEM

BITS = {"test": "Test", "valid": "Validation"}
REFERENCES = (("train", "Training music"), ("heldout", "Held-out music"))


@dataclass(frozen=True)
class Card:
    """One chart with its title, text and table of (colour, label, cells …)."""

    title: str
    chart: Markup
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    legend: tuple[tuple[int, str], ...] = ()


def label(group: Group, data: ReportData) -> str:
    """A group's name, with its encoding if the report has several, and its number of seeds."""
    name = group.name
    if len({system.encoding for system in data.systems}) > 1:
        name += f" · {group.first.encoding}"
    return name + (f" · {len(group.systems)} seeds" if len(group.systems) > 1 else "")


def forest_cards(rows: Sequence[dict[str, Any]], data: ReportData) -> list[Card]:
    """Bits per quarter of all systems and each encoding's best baseline, per dataset and split."""
    cards = []
    several = len({system.encoding for system in data.systems}) > 1
    for dataset in datasets(data):
        for split, name in BITS.items():
            cell = f"{split}_bits_per_quarter"
            here = [row for row in rows if row["dataset"] == dataset]
            shown = [
                Row(
                    _forest_label(row, several),
                    Interval(row[cell], row[f"{cell}_low"], row[f"{cell}_high"]),
                    row["color"],
                )
                for row in [r for r in here if r["kind"] == SYSTEM] + _best_baselines(here, cell)
            ]
            shown.sort(key=lambda row: (math.isnan(row.interval.value), row.interval.value))
            title = f"{name}: bits per quarter"
            cards.append(Card(_of(title, dataset, data), charts.forest(shown, title)))
    return [card for card in cards if card.chart]


def _forest_label(row: dict[str, Any], several: bool) -> str:
    name = f"best baseline: {row['name']}" if row["kind"] == BASELINE else row["name"]
    return f"{name} · {row['encoding']}" if several else str(name)


def _best_baselines(rows: Sequence[dict[str, Any]], cell: str) -> list[dict[str, Any]]:
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["kind"] == BASELINE and math.isfinite(row[cell]):
            rival = best.setdefault(row["encoding"], row)
            if row[cell] < rival[cell]:
                best[row["encoding"]] = row
    return list(best.values())


def curve_cards(data: ReportData) -> list[Card]:
    """Learning curves, one card per encoding: nats per token are comparable within one only."""
    cards = []
    groups = group_by_seed(data.systems)
    for encoding in dict.fromkeys(system.encoding for system in data.systems):
        members = [g for g in groups if g.first.encoding == encoding]
        lines = [Line(s.name, s.curve, g.number) for g in members for s in g.systems]
        chart = charts.curves(lines, f"Learning curves on {encoding}: nats per token by step")
        legend = tuple((g.number, g.name) for g in members)
        if chart:
            cards.append(Card(encoding, chart, legend=legend))
    return cards


def feature_cards(data: ReportData) -> list[Card]:
    """One card per dataset and feature."""
    cards = []
    for dataset in datasets(data):
        groups = groups_of(data, dataset)
        known = {f.name: f for group in groups for s in group.systems for f in s.features}
        cards += [_feature_card(feature, groups, data, dataset) for feature in known.values()]
    return cards


def _feature_card(
    feature: FeatureResult, groups: Sequence[Group], data: ReportData, dataset: str
) -> Card:
    rows: list[Row] = []
    table: list[tuple[Any, ...]] = []
    for kind, name in REFERENCES:
        for text, system in _distinct(groups, kind, name, feature.name):
            own = _feature(system, feature.name)
            assert own is not None
            row = Row(text, own.means[kind], None, system.values.get((kind, feature.name), ()))
            rows.append(row)
            floor = own.floor if kind == "train" else None
            table.append((None, f"{text} (floor)" if floor else text, own.means[kind], floor))
    for group in groups:
        found = [f for s in group.systems if (f := _feature(s, feature.name))]
        if not found:
            continue
        mean = pooled([f.means["samples"] for f in found])
        values = [s.values.get(("samples", feature.name), ()) for s in group.systems]
        rows.append(
            Row(label(group, data), mean, group.number, tuple(x for v in values for x in v))
        )
        distance = pooled([f.distance for f in found])
        table.append((group.number, label(group, data), mean, distance))
    title = feature.label + (f" ({feature.unit})" if feature.unit else "")
    return Card(
        _of(title, dataset, data),
        charts.distributions(rows, title),
        feature.description,
        ("", "mean", "distance"),
        tuple(table),
    )


def originality_cards(data: ReportData) -> list[Card]:
    """Longest copied passages per dataset, compared with those of held-out music."""
    cards = []
    for dataset in datasets(data):
        groups = [g for g in groups_of(data, dataset) if g.first.copied]
        rows: list[Row] = []
        table: list[tuple[Any, ...]] = []
        for text, system in _distinct(groups, "heldout", "Held-out music", None):
            kept = system.copied["heldout"]
            rows.append(Row(text, kept.mean_notes, None, system.copied_notes.get("heldout", ())))
            table.append((None, text, kept.mean_notes, kept.longest))
        for group in groups:
            members = [s for s in group.systems if "samples" in s.copied]
            if not members:
                continue
            mean = pooled([s.copied["samples"].mean_notes for s in members])
            values = tuple(x for s in members for x in s.copied_notes.get("samples", ()))
            longest = max((s.copied["samples"].longest for s in members), key=lambda p: p.notes)
            rows.append(Row(label(group, data), mean, group.number, values))
            table.append((group.number, label(group, data), mean, longest))
        title = "Longest copied passage (notes)"
        chart = charts.distributions(rows, title)
        columns = ("", "mean", "longest")
        cards.append(Card(_of(title, dataset, data), chart, "", columns, tuple(table)))
    return [card for card in cards if card.rows]


def _distinct(
    groups: Sequence[Group], kind: str, name: str, feature: str | None
) -> list[tuple[str, System]]:
    """Each reference row once; once per encoding if encodings change its value."""
    found: dict[str, tuple[str, System]] = {}
    for system in (s for group in groups for s in group.systems):
        if feature is None:
            value = system.copied[kind].mean_notes if kind in system.copied else None
        else:
            own = _feature(system, feature)
            value = own.means[kind] if own else None
        if value is not None:
            found.setdefault(repr(value), (system.encoding, system))
    several = len({encoding for encoding, _ in found.values()}) > 1
    return [(f"{name} · {e}" if several else name, system) for e, system in found.values()]


def _feature(system: System, name: str) -> FeatureResult | None:
    return next((feature for feature in system.features if feature.name == name), None)


def datasets(data: ReportData) -> list[str]:
    """Names of all datasets, in order of the systems."""
    return list(dict.fromkeys(system.dataset for system in data.systems))


def groups_of(data: ReportData, dataset: str) -> list[Group]:
    """The groups on one dataset."""
    return [g for g in group_by_seed(data.systems) if g.first.dataset == dataset]


def _of(title: str, dataset: str, data: ReportData) -> str:
    return f"{title} · {dataset}" if len(datasets(data)) > 1 else title
