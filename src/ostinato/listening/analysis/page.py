"""The results as one HTML file that needs no network and no scripts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ostinato.listening.study import Study

WIDTH, LEFT, ROW = 640, 150, 34
PADDING, NARROW = 0.06, 1e-6


def build(found: Mapping[str, Any], study: Study, facts: Mapping[str, str]) -> str:
    """The page of a study's results; facts: what was set aside and how stimuli were made."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "p": p_value, "percent": percent}
    language = study.languages[0]
    template = environment.get_template("results.html")
    return template.render(found=found, study=study, facts=facts, language=language, chart=chart)


def number(value: Any) -> str:
    """Three significant digits; a dash where nothing is known."""
    if isinstance(value, str):
        return "∞" if value == "inf" else "−∞" if value == "-inf" else value
    return "–" if value is None else f"{value:.3g}".replace("-", "−")


def percent(value: Any) -> str:
    """A share as percent."""
    return "–" if value is None else f"{100 * value:.0f} %"


def p_value(value: Any) -> str:
    """A p-value with three decimals."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def chart(rows: Sequence[Mapping[str, Any]], guide: float | None = None) -> dict[str, Any]:
    """Coordinates of dots with intervals: rows have system, value, low, high."""
    known = [row[key] for row in rows for key in ("low", "value", "high")]
    known = [value for value in known if isinstance(value, int | float)]
    known += [guide] if guide is not None else []
    low, high = min(known, default=0.0), max(known, default=1.0)
    if high - low < NARROW:  # equal, apart from rounding
        low, high = low - 0.5, high + 0.5
    room = (high - low) * PADDING
    low, high = low - room, high + room

    def x(value: Any) -> float | None:
        if not isinstance(value, int | float):
            return None
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - 20), 1)

    return {
        "width": WIDTH,
        "height": ROW * len(rows) + 26,
        "left": LEFT,
        "guide": x(guide),
        "ends": [(x(low + room), low + room), (x(high - room), high - room)],
        "rows": [
            {
                "name": row["system"],
                "y": ROW * n + 22,
                **{k: x(row[k]) for k in ("low", "value", "high")},
            }
            for n, row in enumerate(rows)
        ],
    }
