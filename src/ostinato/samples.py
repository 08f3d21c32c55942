"""The list of a system's samples, `samples.json`, as `sampling/write.py` writes it."""

from pathlib import Path
from typing import Any

from ostinato.files import read_json

FORMAT = 1


def sample_rows(folder: Path) -> list[dict[str, Any]]:
    """A row for each sample of `samples/<system>`, failed ones included; see docs/sampling.md.

    Raises:
        MissingInput, DamagedFile: naming the file and the command that makes it.
    """
    listed = read_json(folder / "samples.json", expect_format=FORMAT, made_by=sampled_by(folder))
    return list(listed["samples"])


def sampled_by(folder: Path) -> str:
    """The command that makes a folder of samples."""
    return f"dvc repro sample@{folder.name}"
