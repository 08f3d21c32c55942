"""Finds modules by their place, `<package>/<folder>/<name>.py`: model families, representations."""

import importlib
import pkgutil
from types import ModuleType


def modules_by_folder(package: ModuleType, noun: str, without: str = "") -> dict[str, str]:
    """The folder of every module that lies in a folder of a package, by the module's name.

    noun: what messages call a module. without: a folder that is left out.

    Raises:
        ValueError: two folders have a module of one name.
    """
    found: dict[str, str] = {}
    place = package.__name__.rpartition(".")[2]
    for folder in pkgutil.iter_modules(package.__path__):
        if not folder.ispkg or folder.name == without:
            continue
        inner = importlib.import_module(f"{package.__name__}.{folder.name}")
        for module in pkgutil.iter_modules(inner.__path__):
            if module.ispkg:
                continue
            if module.name in found:
                raise ValueError(
                    f"{noun} {module.name} is in {place}/{found[module.name]}/ and in "
                    f"{place}/{folder.name}/; rename one"
                )
            found[module.name] = folder.name
    return found
