"""The model families: one file each, found by its name. Torch alone."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ostinato.models.parts.autoregressive import Autoregressive
from ostinato.models.parts.config import TokenShape


def families() -> list[str]:
    """Names of all families: the modules of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)


def build(family: str, settings: Mapping[str, Any], shape: TokenShape) -> Autoregressive:
    """A freshly initialised model; seed torch before.

    Raises:
        ValueError: an unknown family or setting, naming the valid ones, or settings that
            contradict each other.
    """
    if family not in families():
        raise ValueError(f"unknown family {family!r}; known families: {', '.join(families())}")
    module = importlib.import_module(f"ostinato.models.{family}")
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
