"""Lists what removed systems, encodings and datasets left behind, and removes it when told to.

`python -m ostinato.execution.leftovers` asks before it removes anything. `compare` depends on the
whole of samples/ and evaluation/, so a leftover there re-runs it.
"""

# ruff: noqa: T201

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.execution.commands import run_command

PLACES = {  # folders whose entries bear names, and the key of params.yaml that lists the names
    "data/raw": "datasets",
    "data/corpus": "datasets",
    "data/tokens": "encodings",
    "data/reference": "encodings",
    "data/feedback": "studies",
    "models": "systems",
    "samples": "systems",
    "evaluation": "systems",
    "made_on": "systems",
    "renders": "systems",
}
KEPT = (".gitignore", "corpora")  # renders/corpora/ are the pages of describe.py


def leftovers(root: Path, params: Mapping[str, Any]) -> list[Path]:
    """Folders and files below PLACES whose names params.yaml does not have, sorted."""
    found = []
    for place, key in PLACES.items():
        names = {str(name) for name in params.get(key, ())}
        entries = sorted((root / place).iterdir()) if (root / place).is_dir() else []
        for path in entries:
            name = path.stem if place == "made_on" else path.name
            if name not in names and path.name not in KEPT:
                found.append(path)
    return found


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def main() -> int:
    """Command line."""
    from ruamel.yaml import YAML

    found = leftovers(Path(), YAML(typ="safe").load(Path("params.yaml")))
    if not found:
        print("nothing is left of removed systems, encodings or datasets")
        return 0
    for path in found:
        print(f"{path}   {size_of(path) / 1e6:.1f} MB")
    print("Remove these? Models that params.yaml never named are among them. [y/N] ", end="")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() != "y":
        print("kept all")
        return 0
    for path in found:
        path.unlink() if path.is_file() or path.is_symlink() else shutil.rmtree(path)
    print(f"removed {len(found)}; DVC's cache still has its outputs, see: dvc gc --workspace")
    return 0


if __name__ == "__main__":
    run_command(main)
