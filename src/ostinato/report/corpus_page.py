"""Builds the page of a corpus: a self-contained file that needs no server and no network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ostinato.report import corpus_charts as charts
from ostinato.report.corpus_charts import amount, share
from ostinato.report.corpus_data import CorpusData, Histogram, Ranking
from ostinato.report.corpus_excerpt import recordings
from ostinato.report.page import render

MAX_LETTERS = 600  # of a text that comes from a file


@dataclass(frozen=True)
class Figure:
    """A chart with its table: rows of (name, count, share)."""

    title: str
    text: str
    chart: Markup
    unit: str
    rows: tuple[tuple[str, str, str], ...]


def build_corpus_page(data: CorpusData) -> str:
    """The page as HTML; same data, same bytes."""
    return render(
        "corpus.html",
        data=data,
        summary=data.summary,
        origin=data.summary.get("origin", {}),
        tiles=tiles(data),
        accounts=note_counts(data.summary),
        leaks=list(leak_rows(data.summary.get("leaks") or {})),
        music=[figure(item) for item in data.music],
        instruments=[figure(item) for item in data.instruments],
        labels=[figure(item) for item in data.labels],
        warnings=figure(data.warnings) if data.warnings.rows else None,
        recordings=recordings(data.excerpts),
        amount=amount,
        share=share,
        minutes=minutes,
        clean=clean,
    )


def figure(item: Histogram | Ranking) -> Figure:
    """A histogram or a ranking with its table."""
    if isinstance(item, Histogram):
        chart = charts.histogram(item)
        rows = [(bar.label, bar.count) for bar in item.bins]
    else:
        chart = charts.ranking(item)
        rows = list(item.rows)
        rows += [(charts.others(item), item.others[1])] if item.others[0] else []
    table = tuple((clean(name), amount(count), share(count, item.total)) for name, count in rows)
    return Figure(item.title, item.text, chart, item.unit, table)


def tiles(data: CorpusData) -> list[tuple[str, str]]:
    """The key figures at the top of the page."""
    summary = data.summary
    found = [
        ("files", amount(summary["files"])) if "files" in summary else None,
        ("pieces", amount(data.pieces)),
        ("rejected", amount(sum(reason.count for reason in data.rejected))),
        ("notes", amount(data.notes)),
        ("hours", f"{data.seconds / 3600:,.1f}"),
        ("melodies", amount(summary["melodies"])) if "melodies" in summary else None,
    ]
    return [tile for tile in found if tile]


def note_counts(summary: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Notes read, kept and dropped by reason; a last row for any difference between these."""
    if "notes_read" not in summary:
        return []
    dropped = summary.get("notes_dropped", {})
    rows = [("read", summary["notes_read"]), ("kept", summary.get("notes_kept", 0))]
    rows += [(f"dropped: {why}", count) for why, count in sorted(dropped.items())]
    unknown = rows[0][1] - sum(count for _, count in rows[1:])
    return [*rows, ("not accounted for", unknown)] if unknown else rows


def leak_rows(leaks: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Pieces that occur in two official splits, as (text, count)."""
    for kind, found in sorted(leaks.items()):
        for split, others in sorted(found["pieces"].items()):
            for other, count in sorted(others.items()):
                yield f"{kind}: pieces of {split} that are also in {other}", count


def minutes(seconds: float) -> str:
    """Seconds as m:ss."""
    whole, rest = divmod(round(seconds), 60)
    return f"{whole}:{rest:02}"


def clean(text: object, most: int = MAX_LETTERS) -> str:
    """Text from a file without unprintable characters (some reverse a line), cut to `most`."""
    shown = "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in str(text))
    return shown if len(shown) <= most else shown[:most] + " …"
