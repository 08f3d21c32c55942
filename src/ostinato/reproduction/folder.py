"""What the scripts of reproductions/<paper> share: they run in its folder, by its params.yaml."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

FORMAT = 1  # of scores/*.json
SPLITS = ("valid", "test")


def read_params() -> dict[str, Any]:
    """The values of params.yaml."""
    return dict(yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8")))


def entry(table: dict[str, Any], name: str) -> dict[str, Any]:
    """One entry of a table of params.yaml.

    Raises:
        ValueError: it is not there; names those that are.
    """
    if name not in table:
        raise ValueError(f"unknown {name!r}; params.yaml has: {', '.join(table) or 'none'}")
    return dict(table[name])


def run_stage(stage: Callable[[], None]) -> None:
    """A user's mistake is one message; anything else is a bug and keeps its traceback."""
    try:
        stage()
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
