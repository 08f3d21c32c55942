"""`dvc`, but writing dvc.lock by libyaml: `python -m ostinato.execution.dvc_stage repro …`.

DVC writes dvc.lock as it writes dvc.yaml, keeping comments, which takes three seconds a stage once
the file has some thousand lines. No comments are in dvc.lock. Only the folding of long lines
differs; the runner writes the file anew at the end (`sort_lock`).
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import dvc.dvcfile

from ostinato.execution.commands import run_command

WRITER = "modify_yaml"  # of dvc.dvcfile: a context of a file's content, written at its end
LOCK = "dvc.lock"


@contextmanager
def written_fast(path: str) -> Iterator[dict[str, Any]]:
    """The content of a YAML file without comments, to be changed in the context."""
    from ruamel.yaml import YAML

    yaml, file = YAML(typ="safe"), Path(path)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    content = (yaml.load(file) if file.exists() else None) or {}
    yield content
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(content, stream)


def main() -> int:
    """Command line of DVC."""
    from dvc.cli import main as dvc_main

    usual = getattr(dvc.dvcfile, WRITER, None)
    if usual:  # of another release of DVC: then as it is

        def chosen(path: str, **options: Any) -> AbstractContextManager[Any]:
            fast = Path(path).name == LOCK
            return written_fast(path) if fast else usual(path, **options)

        setattr(dvc.dvcfile, WRITER, chosen)
    return int(dvc_main(sys.argv[1:]))


if __name__ == "__main__":
    run_command(main)
