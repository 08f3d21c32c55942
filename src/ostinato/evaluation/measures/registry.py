"""Finds measures by their files: every module of this folder that has a function `measure`."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from ostinato.evaluation import measures

SHARED = ("protocol", "registry")
NOTES = ("tokens", "roll")  # kinds of arrays that decode to notes
KNOWN = (*NOTES, "mel")


@cache
def found() -> dict[str, ModuleType]:
    """Every measure by name, sorted.

    Raises:
        AttributeError: a file without a function `measure`, or of an unknown kind of arrays.
    """
    names = sorted(m.name for m in pkgutil.iter_modules(measures.__path__) if not m.ispkg)
    modules = {
        name: importlib.import_module(f"ostinato.evaluation.measures.{name}")
        for name in names
        if name not in SHARED
    }
    for name, module in modules.items():
        if not hasattr(module, "measure"):
            raise AttributeError(f"evaluation/measures/{name}.py has no function measure(context)")
        if unknown := sorted(set(getattr(module, "KINDS", NOTES)) - set(KNOWN)):
            raise AttributeError(
                f"evaluation/measures/{name}.py: KINDS names {', '.join(unknown)}; known are "
                f"{', '.join(KNOWN)}"
            )
    return modules


def unfit(name: str, kind: str) -> str:
    """Why a measure does not apply to arrays of a kind, "" where it does: a measure is of notes
    unless its file says of what, such as KINDS = ("mel",).
    """
    if kind in getattr(found()[name], "KINDS", NOTES):
        return ""
    return "a measure of sound" if kind in NOTES else "a measure of notes, and sound has none"
