"""Candidates of one piece, among which the `reward` of conf/generate.yaml chooses."""

from collections.abc import Mapping
from typing import Any


def count_of(config: Mapping[str, Any]) -> int:
    """How many candidates of each piece conf/generate.yaml asks for; ValueError: fewer than 2."""
    count = config["best_of"]
    if not isinstance(count, int) or count < 2:
        raise ValueError(
            f"reward={config['reward']} chooses among candidates: add best_of=8, for instance"
        )
    return count


def of_one(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of one candidate."""
    words = [text for text in config["overrides"] if not text.lstrip("+").startswith("best_of=")]
    return {**config, "best_of": 1, "overrides": words}
