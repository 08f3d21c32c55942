"""Atomic and deterministic writers, checked readers, checksums.

Writers fill a temporary file next to the target and rename it, so a full disk, Ctrl-C or a kill
never leaves a half-written file under its final name. Outputs contain no time, host or absolute
path.
"""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

CHUNK_BYTES = 1 << 20


PRETRAINED = "pretrained/bach"  # the model folder that `generate` takes where none is named


class MissingInput(FileNotFoundError):
    """A file that another stage makes is missing."""


class DamagedFile(ValueError):
    """A file exists, but its content is not what was written."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it replaces `path`, on any error it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; on success it replaces `path`, on any error it is
    removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    old = path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():  # killed between the two renames below
        old.replace(path)
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if path.exists():  # moved, not removed: a removal could be interrupted half-way
            path.replace(old)
        partial.replace(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.replace(path)
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically, with sorted keys; numpy's numbers and arrays become plain ones."""
    text = json.dumps(value, indent=1, sort_keys=True, default=_plain, ensure_ascii=False)
    write_text(path, text + "\n")


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays for `np.load`, atomically and with the same bytes under every Python.

    `np.savez` streams into the archive; the zip headers of a stream changed between Python 3.11.2
    and 3.11.7.
    """
    with atomic_file(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, values in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(values), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, content.getvalue())


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def require(path: Path, made_by: str) -> Path:
    """Return `path` if it exists, else raise MissingInput naming the command that makes it."""
    if not path.exists():
        raise MissingInput(f"{path} is missing; make it with: {made_by}")
    return path


def model_made_by(folder: Path) -> str:
    """The command that makes a model folder."""
    kept = Path(PRETRAINED).parent.name
    if folder.parent.name == kept:
        return f"python pipelines/pretrained.py out={kept}/{folder.name}"
    return f"dvc repro train@{folder.name}"


def read_json(path: Path, *, expect_format: int, made_by: str) -> dict[str, Any]:
    """Read a JSON file of this project and check its `format`.

    Raises:
        MissingInput: the file is missing; names the command that makes it.
        DamagedFile: it is not JSON, or this version does not read its format.
    """
    require(path, made_by)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DamagedFile(f"{path} is damaged ({error}); make it again with: {made_by}") from error
    found = value.get("format") if isinstance(value, dict) else None
    if found != expect_format:
        raise DamagedFile(
            f"{path} has format {found!r}, this version reads format {expect_format}; "
            f"make it again with: {made_by}"
        )
    return dict(value)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_json(value: object) -> str:
    """Hex SHA-256 of a JSON-able value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder` by relative name, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def verify(folder: Path, expected: Mapping[str, str], made_by: str) -> None:
    """Compare files with the checksums their writer recorded.

    Raises:
        MissingInput, DamagedFile: name the first file that is missing or has changed.
    """
    for name, digest in sorted(expected.items()):
        path = require(folder / name, made_by)
        if sha256_file(path) != digest:
            raise DamagedFile(
                f"{path} is damaged: its SHA-256 is not the recorded one; "
                f"make it again with: {made_by}"
            )
