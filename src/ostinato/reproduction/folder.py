"""Shared by the scripts of reproductions/<paper>, which run in that folder with its params.yaml."""

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
        ValueError: unknown name; lists the known ones.
    """
    if name not in table:
        raise ValueError(f"unknown {name!r}; params.yaml has: {', '.join(table) or 'none'}")
    return dict(table[name])


def run_stage(stage: Callable[[], None]) -> None:
    """Run a stage; print a user's error as one message and leave other errors their traceback."""
    try:
        stage()
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
