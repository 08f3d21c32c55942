"""Results of listening tests, which `listen.py mode=analyse` puts into `listeners/`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.files import DamagedFile, read_json
from ostinato.metrics.bootstrap import Interval

FORMAT = 1
FOLDER = "listeners"


@dataclass(frozen=True)
class ListeningTest:
    """One test. rows: label, value with its interval, p (NaN where there is none)."""

    study: str
    title: str
    design: str
    simulated: bool
    complete: bool
    listeners: int
    rows: tuple[tuple[str, Interval, float], ...]


def load_listeners(root: Path) -> tuple[ListeningTest, ...]:
    """All tests, in the order of their files' names.

    Raises:
        DamagedFile: a file is incomplete.
    """
    return tuple(_load(path) for path in sorted((root / FOLDER).glob("*.json")))


def _load(path: Path) -> ListeningTest:
    made_by = "python pipelines/listen.py mode=analyse"
    found = read_json(path, expect_format=FORMAT, made_by=made_by)
    try:
        names = ("study", "title", "design", "simulated", "complete", "listeners")
        rows = tuple(_row(row) for row in found["rows"])
        return ListeningTest(**{name: found[name] for name in names}, rows=rows)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"{path} lacks {error}; make it again with: {made_by}") from error


def _row(row: Mapping[str, Any]) -> tuple[str, Interval, float]:
    value, low, high, p = (_float(row[key]) for key in ("value", "low", "high", "p"))
    return str(row["label"]), Interval(value, low, high), p


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)
