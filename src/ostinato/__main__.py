"""`ostinato <verb> setting=value …`: the scripts of pipelines/ as one command.

A verb is a script: a new one needs nothing here. In a checkout the scripts are those of the
checkout; a wheel holds copies of them and of conf/ inside the package (see setup.py).
"""

import ast
import runpy
import sys
from difflib import get_close_matches
from pathlib import Path

from ostinato.execution.commands import run_command

PACKAGE = Path(__file__).resolve().parent
# the order of work; other scripts follow by name
FIRST = ("download", "normalize", "encode", "reference", "train", "sample", "evaluate", "compare")


def scripts() -> dict[str, Path]:
    """The script of every verb."""
    inside = PACKAGE / "pipelines"
    folder = inside if inside.is_dir() else PACKAGE.parents[1] / "pipelines"
    found = {path.stem: path for path in folder.glob("*.py")}
    first = [verb for verb in FIRST if verb in found]
    return {verb: found[verb] for verb in (*first, *sorted(found.keys() - set(first)))}


def listing(found: dict[str, Path]) -> str:
    """One line for each verb, from the docstring of its script."""
    lines = ["usage: ostinato <verb> [setting=value ...]", ""]
    for verb, path in found.items():
        about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = about.split("\n\n")[0].split("; ")[0].replace("\n", " ").rstrip(".")
        lines.append(f"  {verb:<10} {first.partition(': ')[2] or first}")
    return "\n".join([*lines, "", "ostinato <verb> --help lists the settings of a verb."])


def main() -> None:
    """Run a verb as its script would be run."""
    found = scripts()
    verb, *arguments = sys.argv[1:] or ["--help"]
    if verb in ("--help", "-h", "help"):
        run_command(lambda: print(listing(found)))  # noqa: T201
    elif verb in found:
        sys.argv = [str(found[verb]), *arguments]
        runpy.run_path(str(found[verb]), run_name="__main__")
    else:
        near = get_close_matches(verb, found, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        sys.exit(f"error: no verb {verb!r}{hint}\n       verbs: {', '.join(found)}")


if __name__ == "__main__":
    run_command(main)
