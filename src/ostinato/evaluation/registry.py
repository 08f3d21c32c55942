"""Finds scorers by name: `evaluation/likelihood/<paradigm>.py` has Scorer, a class or None."""

import importlib
from typing import Any

from torch import nn

from ostinato.evaluation.scorer import Scorer
from ostinato.models.registry import paradigm_of


def scorer_of(model: nn.Module, family: str) -> Scorer | None:
    """The scorer of a model of this family; None where its paradigm has no likelihood."""
    found: Any = importlib.import_module(f"ostinato.evaluation.likelihood.{paradigm_of(family)}")
    return None if found.Scorer is None else found.Scorer(model)
