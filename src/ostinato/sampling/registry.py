"""Finds samplers by name: `sampling/<paradigm>/sampler.py` has the class Sampler."""

import importlib
from typing import TYPE_CHECKING, Any

from ostinato.models.registry import families, paradigm_of
from ostinato.representations.protocol import Representation
from ostinato.sampling.sampler import Sampler

if TYPE_CHECKING:  # what a user asks for is refused before torch is imported
    from torch import nn


def sampler_of(model: "nn.Module", representation: Representation, family: str) -> Sampler:
    """The sampler of a model of this family."""
    sampler: Sampler = _class_of(family)(model, representation)
    return sampler


def families_that(task: str) -> list[str]:
    """The families that can do a task, some perhaps on some encodings only."""
    return [family for family in families() if task in _tasks_of(family)]


def _tasks_of(family: str) -> tuple[str, ...]:
    """Of its paradigm's sampler, which may name families that do fewer."""
    sampler = _class_of(family)
    tasks: tuple[str, ...] = getattr(sampler, "fewer", {}).get(family, sampler.tasks)
    return tasks


def _class_of(family: str) -> Any:
    return importlib.import_module(f"ostinato.sampling.{paradigm_of(family)}.sampler").Sampler
