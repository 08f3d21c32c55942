"""Charts as inline SVG, 360 units wide, so that text keeps its size on a phone.

Colours are CSS variables of the page (`--s0` … for systems) and follow its light or dark scheme.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from ostinato.metrics.bootstrap import Interval
from ostinato.report.scales import Scale, number

WIDTH = 360
NUM_COLORS = 8
GREY = "var(--quiet)"
DENSITY_POINTS = 72
FAR = 5  # times, from which an axis is logarithmic


@dataclass(frozen=True)
class Row:
    """One row of a chart: an interval and, for densities, the single values."""

    label: str
    interval: Interval
    color: int | None = None
    values: tuple[float, ...] = ()

    @property
    def paint(self) -> str:
        """The CSS colour; references and baselines are grey."""
        return GREY if self.color is None else f"var(--s{self.color % NUM_COLORS})"

    @property
    def title(self) -> str:
        """Text of the tooltip."""
        i = self.interval
        return f"{self.label}: {number(i.value)} [{number(i.low)}, {number(i.high)}]"


@dataclass(frozen=True)
class Line:
    """Curves of one system; the last one is drawn solid, those before it dashed."""

    label: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    color: int


def forest(rows: Sequence[Row], label: str) -> Markup:
    """Values with their intervals, one below the other; on a logarithmic axis if they are far
    apart.
    """
    rows = [row for row in rows if math.isfinite(row.interval.value)]
    bounds = [
        x
        for row in rows
        for x in (row.interval.value, row.interval.low, row.interval.high)
        if math.isfinite(x)
    ]
    if not bounds:
        return Markup("")
    is_log = min(bounds) > 0 and max(bounds) > FAR * min(bounds)
    step, height = 32, 32 * len(rows) + 26
    scale = Scale.around(bounds, 10, WIDTH - 10, log=is_log)
    parts = [x_axis(scale, 4, height - 20)]
    for i, row in enumerate(rows):
        top = i * step
        parts.append(
            f'<g style="--c:{row.paint}"><title>{escape(row.title)}</title>'
            f'<path class="guide" d="M0 {top + 23}H{WIDTH}"/>'
            f'<text class="name" x="0" y="{top + 14}">{escape(row.label)}</text>'
            f'<text class="value" x="{WIDTH}" y="{top + 14}">{number(row.interval.value)}</text>'
            f"{_dot(scale, row.interval, top + 23)}</g>"
        )
    return svg(parts, height, label)


def distributions(rows: Sequence[Row], label: str) -> Markup:
    """The density of each row's values over a common axis, with the mean and its interval."""
    pool = np.concatenate([np.asarray(row.values, dtype=float) for row in rows] or [np.empty(0)])
    means = [x for row in rows for x in (row.interval.value, row.interval.low, row.interval.high)]
    ends = _reach(pool)
    bounds = [x for x in [*ends, *means] if math.isfinite(x)]
    if not bounds:
        return Markup("")
    step, height = 48, 48 * len(rows) + 28
    scale = Scale.around(bounds, 10, WIDTH - 10)
    parts = [x_axis(scale, 4, height - 20)]
    for i, row in enumerate(rows):
        base = i * step + 42
        parts.append(
            f'<g style="--c:{row.paint}"><title>{escape(row.title)}</title>'
            f"{_density(scale, row.values, base, 25)}"
            f'<text class="name" x="0" y="{base - 31}">{escape(row.label)}</text>'
            f"{_dot(scale, row.interval, base)}</g>"
        )
    return svg(parts, height, label)


def curves(lines: Sequence[Line], label: str) -> Markup:
    """Curves by step on a logarithmic axis."""
    points = [point for line in lines for found in line.series.values() for point in found]
    values = [y for _, y in points if 0 < y < math.inf]
    steps = [x for x, _ in points]
    if not values:
        return Markup("")
    height = 230
    x = Scale(0, max(max(steps), 1), 34, WIDTH - 8)
    y = Scale.around(values, height - 26, 10, log=True)
    parts = [y_axis(y), x_axis(x, height - 26, height - 20, grid=False)]
    for line in lines:
        c = f"var(--s{line.color % NUM_COLORS})"
        drawn = "".join(
            f'<path class="{"valid" if name == list(line.series)[-1] else "train"}" '
            f'd="{_path(x, y, found)}"/>'
            for name, found in line.series.items()
        )
        parts.append(f'<g style="--c:{c}"><title>{escape(line.label)}</title>{drawn}</g>')
    return svg(parts, height, label)


def svg(parts: Sequence[str], height: int, label: str) -> Markup:
    """Assemble a chart from parts with escaped texts; `label` is for screen readers."""
    return Markup(  # noqa: S704 - every text in the parts went through escape()
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def x_axis(
    scale: Scale,
    top: int,
    bottom: int,
    *,
    grid: bool = True,
    ticks: Sequence[tuple[float, str]] | None = None,
) -> str:
    """Ticks with numbers below `bottom` and grid lines up to `top`; `ticks` replaces them."""
    if ticks is None:
        ticks = [(tick, number(tick, tick=True)) for tick in scale.ticks(5)]
    marks = []
    for tick, text in ticks:
        at = scale(tick)
        if grid:
            marks.append(f'<path class="grid" d="M{at:.1f} {top}V{bottom}"/>')
        anchor = "start" if at < 14 else "end" if at > WIDTH - 14 else "middle"
        marks.append(
            f'<text class="tick" text-anchor="{anchor}" x="{at:.1f}" y="{bottom + 15}">'
            f"{escape(text)}</text>"
        )
    return "".join(marks)


def y_axis(scale: Scale, most: int = 6) -> str:
    """Ticks left of the chart and lines across it, about `most` of them."""
    return "".join(
        f'<path class="grid" d="M34 {scale(tick):.1f}H{WIDTH - 8}"/>'
        f'<text class="tick" text-anchor="end" x="28" y="{scale(tick) + 4:.1f}">'
        f"{number(tick, tick=True)}</text>"
        for tick in scale.ticks(most)
    )


def _dot(scale: Scale, interval: Interval, y: float) -> str:
    """A mean with the whisker of its interval."""
    if not math.isfinite(interval.value):
        return ""
    whisker = ""
    if math.isfinite(interval.low) and math.isfinite(interval.high):
        whisker = (
            f'<path class="whisker" d="M{scale(interval.low):.1f} {y}H{scale(interval.high):.1f}"/>'
        )
    return f'{whisker}<circle class="dot" cx="{scale(interval.value):.1f}" cy="{y}" r="3.5"/>'


def _reach(pool: npt.NDArray[np.float64]) -> list[float]:
    """Range of the central 99 % of values, with room for the tails of their densities."""
    if not len(pool):
        return []
    low, high = np.percentile(pool, [0.5, 99.5]).tolist()
    room = 0.12 * (high - low)
    return [max(low - room, 0.0) if low >= 0 else low - room, high + room]


def _density(scale: Scale, values: Sequence[float], base: float, height: float) -> str:
    """A Gaussian kernel density, its highest point `height` above the base line."""
    found = np.asarray(values, dtype=float)
    if len(found) < 2:
        return ""
    reach = scale.high - scale.low
    # Silverman's rule, but at least the width of a drawn line
    width = max(1.06 * float(found.std()) * len(found) ** -0.2, reach / 90)
    grid = np.linspace(scale.low, scale.high, DENSITY_POINTS)
    density = np.exp(-0.5 * ((grid[:, None] - found[None, :]) / width) ** 2).sum(axis=1)
    density /= max(float(density.max()), 1e-12)
    points = "".join(
        f"L{scale(float(at)):.1f} {base - height * float(level):.1f}"
        for at, level in zip(grid, density, strict=True)
    )
    return f'<path class="density" d="M{scale(scale.low):.1f} {base}{points}V{base}Z"/>'


def _path(x: Scale, y: Scale, found: Sequence[tuple[float, float]]) -> str:
    """A line through the finite points."""
    points = [
        f"{x(step):.1f} {y(value):.1f}"
        for step, value in found
        if math.isfinite(value) and value > 0
    ]
    return "M" + "L".join(points) if points else ""
