"""Finds kinds of representation by name: `<form>/<kind>.py` is all that a kind needs.

A form is a package of this folder; the kinds in it may share code in its `parts/`. What all forms
share are the single files of this folder.
"""

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from ostinato import representations
from ostinato.discovery import modules_by_folder
from ostinato.representations.protocol import Representation


@cache
def forms() -> dict[str, str]:
    """The form of every kind: the folder that its file lies in.

    Raises:
        ValueError: two forms have a kind of one name.
    """
    return modules_by_folder(representations, "kind")


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
