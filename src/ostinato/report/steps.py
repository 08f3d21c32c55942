"""Steps of diffusion against quality, as `python -m benchmarks.schedulers` measured them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.files import DamagedFile, read_json

FORMAT = 1
FILE = "benchmarks/results/schedulers.json"
MADE_BY = "python -m benchmarks.schedulers"
SHOWN = {"triads": "Major or minor triads on beats", "held": "Held cells"}
MEASURED = ("pieces", "triads", "no_chord", "held", "stepwise", "parallel_fifths", "seconds")
COLUMNS = ("scheduler", "steps", *MEASURED)  # others are options of the sampler
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Steps:
    """about: how it was measured. curves: by title, by scheduler, (steps, share)."""

    about: str
    curves: Mapping[str, Mapping[str, Points]]


def load_steps(root: Path) -> Steps | None:
    """What was measured; None where nothing was.

    Raises:
        DamagedFile: the file is incomplete.
    """
    path = root / FILE
    if not path.is_file():
        return None
    found = read_json(path, expect_format=FORMAT, made_by=MADE_BY)
    try:
        rows: Sequence[Mapping[str, Any]] = found["rows"]
        schedulers = dict.fromkeys(str(row["scheduler"]) for row in rows)
        curves = {
            title: {name: _points(rows, name, key) for name in schedulers}
            for key, title in SHOWN.items()
        }
        further = sorted(set(rows[0]) - set(COLUMNS))
        options = "".join(f", {name}={rows[0][name]}" for name in further)
        about = f"{rows[0]['pieces']} samples for each point{options}"
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DamagedFile(f"{path} lacks {error}; make it again with: {MADE_BY}") from error
    return Steps(about, curves)


def _points(rows: Sequence[Mapping[str, Any]], scheduler: str, key: str) -> Points:
    return tuple(
        (float(row["steps"]), float(row[key][0])) for row in rows if row["scheduler"] == scheduler
    )
