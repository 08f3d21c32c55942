"""Histograms and rankings in the style of the report's charts."""

from markupsafe import Markup, escape

from ostinato.report.charts import WIDTH, svg, x_axis, y_axis
from ostinato.report.corpus_data import Histogram, Ranking
from ostinato.report.scales import Scale, number

HEIGHT = 170
TOP, BOTTOM = 10, HEIGHT - 26
LEFT, RIGHT = 36, WIDTH - 8
ROW = 21
NAME_WIDTH = 150  # of the names in a ranking; fits NAME_LETTERS
NAME_LETTERS = 21
BAR_END = WIDTH - 60


def amount(value: float) -> str:
    """A number with thousands separators; below 1000 with one decimal if it is not whole."""
    return f"{value:,.0f}" if value == int(value) or value >= 1000 else f"{value:,.1f}"


def share(value: float, total: float) -> str:
    """Per cent of a total."""
    part = 100 * value / total if total else 0.0
    return f"{part:.1f} %" if part >= 0.05 or not value else "< 0.1 %"


def histogram(item: Histogram) -> Markup:
    """Bars over an axis; each bar has a tooltip."""
    most = max(bar.count for bar in item.bins)
    x = Scale(item.bins[0].low, item.bins[-1].high, LEFT, RIGHT, log=item.log)
    y = Scale(0, most, BOTTOM, TOP)
    parts = [y_axis(y, 4), x_axis(x, TOP, BOTTOM + 2, grid=False, ticks=_fitting(item, x))]
    for bar in item.bins:
        left, right = x(bar.low), x(bar.high)
        gap = min(1.0, (right - left) / 6)
        says = f"{bar.label}: {amount(bar.count)} {item.unit}, {share(bar.count, item.total)}"
        parts.append(
            f'<g style="--c:var(--s0)"><title>{escape(says)}</title>'
            f'<path class="zone" d="M{left:.1f} {TOP}H{right:.1f}V{BOTTOM}H{left:.1f}Z"/>'
            f'<path class="bar" d="M{left + gap / 2:.1f} {BOTTOM}V{y(bar.count):.1f}'
            f'H{right - gap / 2:.1f}V{BOTTOM}Z"/></g>'
        )
    peak = max(item.bins, key=lambda bar: bar.count)
    label = f"{item.title}: {amount(item.total)} {item.unit}, most at {peak.label}"
    return svg(parts, HEIGHT, label)


def _fitting(item: Histogram, x: Scale) -> list[tuple[float, str]]:
    """The ticks of the histogram, or round numbers if it has none."""
    return list(item.ticks) or [(tick, number(tick, tick=True)) for tick in x.ticks(3)]


def ranking(item: Ranking) -> Markup:
    """Names with bars, most frequent first, and the sum of the rest in grey."""
    rows = [(name, count, "var(--s0)") for name, count in item.rows]
    if item.others[0]:
        rows.append((others(item), item.others[1], "var(--quiet)"))
    x = Scale(0, max(count for _, count, _ in rows), NAME_WIDTH + 8, BAR_END)
    parts = []
    for i, (name, count, paint) in enumerate(rows):
        top = i * ROW
        short = name if len(name) <= NAME_LETTERS else name[: NAME_LETTERS - 1] + "…"
        says = f"{name}: {amount(count)} {item.unit}, {share(count, item.total)}"
        parts.append(
            f'<g style="--c:{paint}"><title>{escape(says)}</title>'
            f'<path class="zone" d="M0 {top}H{WIDTH}V{top + ROW}H0Z"/>'
            f'<text class="name" text-anchor="end" x="{NAME_WIDTH}" y="{top + 15}">'
            f"{escape(short)}</text>"
            f'<path class="bar" d="M{x(0):.1f} {top + 4}H{max(x(count), x(0) + 1):.1f}'
            f'V{top + ROW - 3}H{x(0):.1f}Z"/>'
            f'<text class="tick" x="{max(x(count), x(0) + 1) + 6:.1f}" y="{top + 15}">'
            f"{amount(count)}</text></g>"
        )
    label = f"{item.title}: {amount(item.total)} {item.unit}, most are {rows[0][0]}"
    return svg(parts, ROW * len(rows) + 4, label)


def others(item: Ranking) -> str:
    """Label of the summed rest of a ranking."""
    return f"{item.others[0]:,} more"
