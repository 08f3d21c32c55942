"""Builds the HTML pages: self-contained files that need no server and no network."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ostinato.player.recorded import sounding
from ostinato.report import charts, player, sections
from ostinato.report.data import ReportData, StoredSample
from ostinato.report.leaderboard import differences, overviews
from ostinato.report.scales import number


def build_page(data: ReportData) -> str:
    """The comparison as one HTML file with a player for every sample; same data, same bytes."""
    encodings = [
        {
            "overview": overview,
            "blocks": sections.blocks(overview.systems),
            "differences": found,
        }
        for overview, found in zip(overviews(data), differences(data).values(), strict=True)
    ]
    shown = [sample for system in data.systems for sample in system.samples]
    shown += [pair.beside for system in data.systems for pair in system.pairs if pair.beside]
    steps = sections.steps_cards(data.steps) if data.steps else []
    recorded = player.recorded(shown)
    return render("page.html", data=data, encodings=encodings, steps=steps, recorded=recorded)


def listen_page(samples: Sequence[StoredSample], title: str) -> str:
    """The players of one system, without charts; works in a sandboxed frame that allows scripts."""
    recorded = player.recorded(samples)
    return render("listen.html", samples=tuple(samples), title=title, recorded=recorded)


def breakable(text: str) -> Markup:
    """Allow line breaks after underscores and hyphens."""
    broken = str(escape(text)).replace("_", "_<wbr>").replace("-", "-<wbr>")
    return Markup(broken)  # noqa: S704 - escaped above


def count(value: int) -> str:
    """Parameters in thousands or millions."""
    if value < 1000:
        return str(value)
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.0f} k"


def render(template: str, **values: Any) -> str:
    """Render a template of this folder."""
    return _environment().get_template(template).render(**values).strip() + "\n"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "breakable": breakable, "count": count}
    environment.filters |= {"describe": player.describe, "roll": player.roll}
    environment.filters |= {"sound": player.sound, "spectrogram": player.spectrogram}
    environment.globals |= {
        "asset": lambda name: Markup((folder / name).read_text(encoding="utf-8")),  # noqa: S704 - ours
        "sounding": lambda: Markup(sounding()),  # noqa: S704 - ours
        "voices": player.voices,
        "num_colors": charts.NUM_COLORS,
    }
    return environment
