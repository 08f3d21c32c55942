"""Says whether what was built equals the committed dvc.lock, and what differs.

`python -m ostinato.execution.lock` compares the dvc.lock of this folder with the committed one;
with --rebuild it first rebuilds everything, without caches, in a clean clone. Exit status 1 where
an output differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Outputs = dict[str, str]


def outputs(text: str) -> Outputs:
    """Every output of a dvc.lock with its hash."""
    from ruamel.yaml import YAML

    lock: dict[str, Any] = YAML(typ="safe").load(text) or {}
    return {
        out["path"]: out["md5"]
        for stage in lock.get("stages", {}).values()
        for out in stage.get("outs", [])
    }


def differences(built: Outputs, committed: Outputs) -> list[str]:
    """Outputs that are not the same on both sides, one line each."""
    lines = []
    for path in sorted(built.keys() | committed.keys()):
        if path not in committed:
            lines.append(f"{path}: built here, not in the committed dvc.lock")
        elif path not in built:
            lines.append(f"{path}: in the committed dvc.lock, not built here")
        elif built[path] != committed[path]:
            lines.append(f"{path}: {built[path]} here, {committed[path]} committed")
    return lines


def report(built: Path, committed: str) -> int:
    """Print the comparison; 0 where all is equal."""
    ours, theirs = outputs(built.read_text(encoding="utf-8")), outputs(committed)
    lines = differences(ours, theirs)
    if not theirs:
        print("no dvc.lock is committed yet: nothing to compare with")  # noqa: T201
    elif not lines:
        print(f"all {len(ours)} outputs equal the committed dvc.lock")  # noqa: T201
    else:
        print(f"{len(lines)} of {len(ours | theirs)} outputs differ from the committed dvc.lock:")  # noqa: T201
        print("\n".join(f"  {line}" for line in lines))  # noqa: T201
    return int(bool(lines) and bool(theirs))


def committed_lock() -> str:
    """The dvc.lock of HEAD, empty where there is none."""
    found = subprocess.run(["git", "show", "HEAD:./dvc.lock"], capture_output=True, text=True)
    return found.stdout if found.returncode == 0 else ""


def rebuild() -> int:
    """Clone HEAD, rebuild everything by force and without the run cache, and compare."""
    committed = committed_lock()
    with tempfile.TemporaryDirectory(prefix="ostinato-verify-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ".", str(clone)], check=True)
        environment = os.environ | {"OSTINATO_TRACKING": "off", "PYTHONPATH": str(clone / "src")}
        command = [sys.executable, "-m", "dvc", "repro", "--force", "--no-run-cache"]
        subprocess.run(command, cwd=clone, env=environment, check=True)
        return report(clone / "dvc.lock", committed)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rebuild", action="store_true", help="rebuild in a clean clone first")
    if parser.parse_args().rebuild:
        return rebuild()
    lock = Path("dvc.lock")
    if not lock.exists():
        print("dvc.lock is missing; make it with: make repro", file=sys.stderr)  # noqa: T201
        return 1
    return report(lock, committed_lock())


if __name__ == "__main__":
    sys.exit(main())
