"""Finds kinds of representation by name: `<form>/<kind>.py` is all that a kind needs.

A form is a package of this folder; the kinds in it may share code in its `parts/`. What all forms
share are the single files of this folder.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

from ostinato import representations
from ostinato.representations.protocol import Representation


@cache
def forms() -> dict[str, str]:
    """The form of every kind: the folder that its file lies in.

    Raises:
        ValueError: two forms have a kind of one name.
    """
    found: dict[str, str] = {}
    for folder in pkgutil.iter_modules(representations.__path__):
        if not folder.ispkg:
            continue
        package = importlib.import_module(f"ostinato.representations.{folder.name}")
        for module in pkgutil.iter_modules(package.__path__):
            if module.ispkg:
                continue
            if module.name in found:
                raise ValueError(
                    f"kind {module.name} is in representations/{found[module.name]}/ and in "
                    f"representations/{folder.name}/; rename one"
                )
            found[module.name] = folder.name
    return found


def kinds() -> list[str]:
    """Names of all kinds."""
    return sorted(forms())


def form_of(kind: object) -> str:
    """The form of a kind; raises ValueError for an unknown one, naming the known."""
    if kind not in forms():
        raise ValueError(f"unknown representation kind {kind!r}; known kinds: {', '.join(kinds())}")
    return forms()[str(kind)]


def build(settings: Mapping[str, Any]) -> Representation:
    """A representation from its settings: `kind` names it, the rest are its options.

    Raises:
        ValueError: an unknown kind or option, naming the valid ones.
    """
    options = dict(settings)
    kind = options.pop("kind", None)
    module = importlib.import_module(f"ostinato.representations.{form_of(kind)}.{kind}")
    built: Representation = module.build(options)
    return built
