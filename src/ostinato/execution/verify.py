"""Compares what was built here with what is committed: bytes first, and figures where bytes differ.

`python -m ostinato.execution.verify` compares this folder's dvc.lock and metrics with those of
HEAD; with --rebuild it first rebuilds everything, without caches, in a clean clone. Exit status 0
where all bytes are equal, or where they differ between two kinds of machine and every figure is
within its tolerance.
"""

# ruff: noqa: T201

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.execution.commands import run_command
from ostinato.execution.machine import MADE_ON, described, made_on, this_kind
from ostinato.execution.tolerances import Deviation, deviations, figures

Outputs = dict[str, str]
FIGURES = "details.json"
DECIDES = ("params.yaml", "conf", "dvc.yaml", "src", "pipelines", "requirements.lock")
MOST_LINES = 40


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


@dataclass(frozen=True)
class Commit:
    """Files of HEAD of the repository in `root`, read without checking them out."""

    root: Path

    def text(self, name: str) -> str:
        """A file's content; empty where HEAD has no such file."""
        return self._git("show", f"HEAD:./{name}")

    def systems(self) -> list[str]:
        """Systems whose figures HEAD holds."""
        listed = self._git("ls-tree", "-r", "--name-only", "HEAD", "evaluation").splitlines()
        return sorted({Path(name).parent.name for name in listed if Path(name).name == FIGURES})

    def edited(self) -> list[str]:
        """Tracked files that decide results and are not as in HEAD."""
        return self._git("diff", "--name-only", "--relative", "HEAD", "--", *DECIDES).splitlines()

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=False
        )
        return done.stdout if done.returncode == 0 else ""


def compare_figures(root: Path, commit: Commit) -> tuple[int, list[Deviation]]:
    """How many figures both sides have, and those that are not within tolerance."""
    count, found = 0, []
    here = {path.parent.name for path in root.glob(f"evaluation/*/{FIGURES}")}
    for system in sorted(here & set(commit.systems())):
        name = f"evaluation/{system}/{FIGURES}"
        theirs = json.loads(commit.text(name))
        ours = json.loads((root / name).read_text(encoding="utf-8"))
        count += sum(not isinstance(value, str) for _, value in figures(theirs))
        found += deviations(system, theirs, ours)
    return count, found


def kinds(text_of: Iterator[str]) -> list[str]:
    """The different kinds of machine that several files of made_on/ name, in words."""
    return sorted({described(kind) for text in text_of for kind in made_on(text).values()})


def report(root: Path) -> int:
    """Print the comparison; 0 where nothing is wrong."""
    commit = Commit(root)
    ours = outputs((root / "dvc.lock").read_text(encoding="utf-8"))
    theirs = outputs(commit.text("dvc.lock"))
    lines = differences(ours, theirs)
    if not theirs:
        print("no dvc.lock is committed yet: nothing to compare with")
        return 0
    if not lines:
        print(f"All {len(ours)} outputs equal the committed dvc.lock, byte for byte.")
        return 0
    systems = commit.systems()
    there = kinds(commit.text(f"{MADE_ON}/{name}.json") for name in systems)
    built = [root / MADE_ON / f"{name}.json" for name in systems]
    here = kinds(path.read_text(encoding="utf-8") for path in built if path.exists())
    here = here or [described(this_kind())]
    count, outside = compare_figures(root, commit)
    expected = bool(there) and there != here and not commit.edited()
    print(_first_words(len(lines), len(ours | theirs), expected, commit.edited(), there == here))
    for words, named in (("committed", there or ["not recorded"]), ("here", here)):
        print("".join(f"  {words + ':':10} {kind}\n" for kind in named), end="")
    if not expected:
        _print_some(lines)
    if outside:
        print(f"{len(outside)} of {count} figures are outside of their tolerance:")
        _print_table(outside)
    else:
        print(f"All {count} figures agree within their tolerances (docs/reproducibility.md).")
    return int(bool(outside) or not expected)


def _first_words(differ: int, total: int, expected: bool, edited: list[str], one_kind: bool) -> str:
    words = f"{differ} of {total} outputs have other bytes than the committed ones"
    if expected:
        return f"{words}, as expected between these two kinds of machine:"
    if edited:
        names = ", ".join(edited[:3]) + (" …" if len(edited) > 3 else "")
        return f"{words}; files that decide results are edited here ({names}):"
    if one_kind:
        return f"{words}, although both were made on one kind of machine, which should not be:"
    return f"{words}; the commit does not say on what kind of machine its outputs were made:"


def _print_some(lines: list[str]) -> None:
    print("\n".join(f"  {line}" for line in lines[:MOST_LINES]))
    if len(lines) > MOST_LINES:
        print(f"  and {len(lines) - MOST_LINES} more")


def _print_table(rows: list[Deviation]) -> None:
    titles = Deviation("system", "figure", "committed", "here", "allowed")
    table = [[str(value) for value in vars(row).values()] for row in (titles, *rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip())


def rebuild() -> int:
    """Clone HEAD, rebuild everything by force and without the run cache, and compare."""
    with tempfile.TemporaryDirectory(prefix="ostinato-verify-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ".", str(clone)], check=True)
        environment = os.environ | {"OSTINATO_TRACKING": "off", "PYTHONPATH": str(clone / "src")}
        command = [sys.executable, "-m", "dvc", "repro", "--force", "--no-run-cache"]
        subprocess.run(command, cwd=clone, env=environment, check=True)
        return report(clone)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rebuild", action="store_true", help="rebuild in a clean clone first")
    if parser.parse_args().rebuild:
        return rebuild()
    if not Path("dvc.lock").exists():
        print("dvc.lock is missing; make it with: make repro", file=sys.stderr)
        return 1
    return report(Path())


if __name__ == "__main__":
    run_command(main)
