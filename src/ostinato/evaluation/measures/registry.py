"""Finds measures by their files: every module of this folder that has a function `measure`."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from ostinato.evaluation import measures

SHARED = ("protocol", "registry")


@cache
def found() -> dict[str, ModuleType]:
    """Every measure by name, sorted.

    Raises:
        AttributeError: a file without a function `measure`.
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
    return modules
