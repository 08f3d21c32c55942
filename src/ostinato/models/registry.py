"""Finds model families by name: `models/<paradigm>/<family>.py` is all that a family needs.

It has two classes: `Config`, a dataclass of its settings, and `Model`, a torch module that is made
of (config, spec).
"""

import importlib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any

from ostinato import models
from ostinato.discovery import modules_by_folder
from ostinato.models.spec import ArraySpec
from ostinato.settings import checked

if TYPE_CHECKING:  # names of families are looked up before torch is imported
    from torch import nn

SHARED = "layers"


@cache
def paradigms() -> dict[str, str]:
    """The paradigm of every family: the folder of `models/` that its file lies in.

    Raises:
        ValueError: two paradigms have a family of one name.
    """
    return modules_by_folder(models, "family", without=SHARED)


def families(paradigm: str | None = None) -> list[str]:
    """Names of all families, or of those of one paradigm."""
    found = paradigms()
    return sorted(name for name in found if paradigm in (None, found[name]))


def paradigm_of(family: str) -> str:
    """The paradigm of a family; raises ValueError for an unknown one, naming the known."""
    if family not in paradigms():
        raise ValueError(f"unknown family {family!r}; known families: {', '.join(families())}")
    return paradigms()[family]


def settings_for(family: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some settings that a family has."""
    known = {field.name for field in fields(_module(family).Config)}
    return {key: value for key, value in settings.items() if key in known}


def build(family: str, settings: Mapping[str, Any], spec: ArraySpec) -> "nn.Module":
    """A freshly initialised model; seed torch before.

    Raises:
        ValueError: an unknown family or setting, naming the valid ones, or settings that
            contradict each other.
    """
    model: nn.Module = _module(family).Model(configured(family, settings), spec)
    return model


def configured(family: str, settings: Mapping[str, Any]) -> Any:
    """The family's Config of some settings, whatever the encoding; raises ValueError as `build`."""
    return checked(_module(family).Config, "model", settings)


def _module(family: str) -> Any:
    return importlib.import_module(f"ostinato.models.{paradigm_of(family)}.{family}")
