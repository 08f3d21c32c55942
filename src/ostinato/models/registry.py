"""Finds model families by name: `models/<paradigm>/<family>.py` is all that a family needs."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from ostinato import models
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.autoregressive.parts.config import TokenShape
from ostinato.renamed import refuse_renamed

SHARED = "layers"


@cache
def paradigms() -> dict[str, str]:
    """The paradigm of every family: the folder of `models/` that its file lies in.

    Raises:
        ValueError: two paradigms have a family of one name.
    """
    found: dict[str, str] = {}
    for folder in pkgutil.iter_modules(models.__path__):
        if not folder.ispkg or folder.name == SHARED:
            continue
        package = importlib.import_module(f"ostinato.models.{folder.name}")
        for module in pkgutil.iter_modules(package.__path__):
            if module.ispkg:
                continue
            if module.name in found:
                raise ValueError(
                    f"family {module.name} is in models/{found[module.name]}/ and in "
                    f"models/{folder.name}/; rename one"
                )
            found[module.name] = folder.name
    return found


def families() -> list[str]:
    """Names of all families."""
    return sorted(paradigms())


def paradigm_of(family: str) -> str:
    """The paradigm of a family; raises ValueError for an unknown one, naming the known."""
    if family not in paradigms():
        raise ValueError(f"unknown family {family!r}; known families: {', '.join(families())}")
    return paradigms()[family]


def build(family: str, settings: Mapping[str, Any], shape: TokenShape) -> Autoregressive:
    """A freshly initialised model; seed torch before.

    Raises:
        ValueError: an unknown family or setting, naming the valid ones, or settings that
            contradict each other.
    """
    refuse_renamed("model", settings)
    module = importlib.import_module(f"ostinato.models.{paradigm_of(family)}.{family}")
    known = {field.name for field in fields(module.Config)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise ValueError(
            f"family {family} has no setting {', '.join(unknown)}; "
            f"its settings are {', '.join(sorted(known))}"
        )
    plain = {
        key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
    }
    model: Autoregressive = module.Model(module.Config(**plain), shape)
    return model
