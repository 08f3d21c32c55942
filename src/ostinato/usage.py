"""What `--help` of a script prints: its settings as its files have them, with their comments.

Hydra's own help needs a second, and shows the composed settings without the comments.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

ASKED = ("--help", "-h")
BLOCK = re.compile(r"^(?:defaults|hydra):.*\n(?:[ \t-].*\n|\n)*", re.MULTILINE)
FROM_ENVIRONMENT = re.compile(r"\$\{oc\.env:(\w+),([^}]*)\}")
GLOBAL = "# @package _global_\n"
ENDING = """\
More: --cfg job prints the composed settings, -m key=1,2 runs the command for each value,
--hydra-help lists what Hydra itself has."""


def usage(name: str, conf: Path, about: str, arguments: Sequence[str]) -> str:
    """The help of one script.

    name: of the script and its file in conf. about: its docstring. arguments: of the command line;
    those that choose a file of a group choose what is shown.

    Raises:
        ValueError: a chosen file does not exist; it names those that do.
    """
    chosen = dict(word.split("=", 1) for word in arguments if "=" in word)
    text = _file(conf / f"{name}.yaml")
    parts = [f"# conf/{name}.yaml\n{BLOCK.sub('', text).strip()}"]
    for item in yaml.safe_load(text)["defaults"]:
        parts += _part(item, conf, chosen)
    same = f"(the same as: python pipelines/{name}.py)"
    head = f"{about.strip()}\n\nusage: ostinato {name} [setting=value ...]   {same}"
    return "\n\n".join([head, *parts, ENDING])


def _part(item: Any, conf: Path, chosen: dict[str, str]) -> Iterator[str]:
    """The settings of one entry of the list of defaults."""
    if item == "params":
        path = Path("params.yaml")
        yield _file(path).strip() if path.exists() else "# params.yaml: none in this folder"
    if not isinstance(item, dict):
        return
    ((group, name),) = item.items()
    if group.startswith("override "):
        return
    name = FROM_ENVIRONMENT.sub(lambda found: os.environ.get(found[1], found[2]), name)
    name = chosen.get(group, name).partition(",")[0]
    files = sorted((conf / group).rglob("*.yaml"))
    options = [path.relative_to(conf / group).with_suffix("").as_posix() for path in files]
    if name not in options:
        raise ValueError(f"valid names of {group}: {', '.join(options)}; not {name}")
    text = _file(conf / group / f"{name}.yaml")
    body = text.removeprefix(GLOBAL).strip()
    body = body if text.startswith(GLOBAL) else f"{group}:\n{indent(body, '  ')}"
    others = ", ".join(option for option in options if option != name) or "none"
    yield f"# {group}={name} (conf/{group}/{name}.yaml); others: {others}\n{body}"


def _file(path: Path) -> str:
    return path.read_text(encoding="utf-8")
