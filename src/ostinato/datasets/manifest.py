"""The manifest of a downloaded dataset: its files, their digests, origins and terms."""

from pathlib import Path
from typing import Any

from ostinato.files import read_json, verify

FORMAT = 1


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of data/raw/<dataset>, after checking that no file has changed since.

    Raises:
        MissingInput, DamagedFile: names the file and the command that restores it.
    """
    made_by = f"dvc repro --force --single-item download@{folder.name}"
    manifest = read_json(folder / "manifest.json", expect_format=FORMAT, made_by=made_by)
    digests = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    verify(folder, digests, made_by)
    return manifest
