"""Tables in a user's folder that the dataset's own rules name: of facts, of beats and of chords.

`normalize.facts` names a table from the folder, `normalize.beats` one for each music file, from the
folder of that file. A table with an absolute path stays where it is.
"""

import fnmatch
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ostinato.datasets.contents import config_file


@dataclass(frozen=True)
class Tables:
    """files: by name in the dataset. missing: tables of beats or chords that are not there."""

    files: Mapping[str, Path] = field(default_factory=dict)
    missing: tuple[Path, ...] = ()


def find_tables(
    name: str, folder: Path, music: Mapping[str, Path], normalize: Mapping[str, Any]
) -> Tables:
    """The tables that the rules of dataset `name` name, of the music files in `folder`.

    Rules that contradict themselves are left to normalize, which refuses them.

    Raises:
        ValueError: a table of facts is not in the folder, or no music file has its table of beats
            or chords; names the path and the remedy.
    """
    files: dict[str, Path] = {}
    for table in _of_facts(normalize):
        inner = _inner(name, "normalize.facts", table, PurePosixPath())
        files[inner] = folder / inner
        if not files[inner].is_file():
            raise ValueError(_not_there(name, "normalize.facts", files[inner]))
        log = Path(f"{files[inner]}-wal")  # SQLite's: changes that are not in the database yet
        if log.is_file() and log.stat().st_size:
            raise ValueError(
                f"dataset {name}: {log.resolve()} holds changes that are not in the database yet; "
                "close the program that has it open, then run again"
            )
    missing: list[Path] = []
    for key, pattern in _of_beats(normalize).items():
        found, lacking = _for_each(name, f"normalize.beats.{key}", pattern, folder, music)
        if lacking and not found:
            raise ValueError(_not_there(name, f"normalize.beats.{key}", lacking[0]))
        files |= found
        missing += lacking
    return Tables({n: p for n, p in sorted(files.items()) if n not in music}, tuple(missing))


def _of_facts(normalize: Mapping[str, Any]) -> Iterator[str]:
    rules = normalize.get("facts")
    for rule in rules if isinstance(rules, list | tuple) else ():
        for key in ("table", "database"):
            path = rule.get(key) if isinstance(rule, Mapping) else None
            if isinstance(path, str) and not Path(path).is_absolute():
                yield path


def _of_beats(normalize: Mapping[str, Any]) -> dict[str, str]:
    beats = normalize.get("beats")
    values = beats if isinstance(beats, Mapping) else {}
    patterns = {key: values.get(key) for key in ("table", "chords")}
    return {
        key: pattern
        for key, pattern in patterns.items()
        if isinstance(pattern, str) and pattern and not Path(pattern).is_absolute()
    }


def _for_each(
    name: str, rule: str, pattern: str, folder: Path, music: Mapping[str, Path]
) -> tuple[dict[str, Path], list[Path]]:
    """The tables of all music files that are there, and those that are not."""
    found: dict[str, Path] = {}
    lacking: list[Path] = []
    for file, path in music.items():
        # the names of the music in the dataset are text, those in the folder may be other bytes
        copy, original = PurePosixPath(file), PurePosixPath(path.relative_to(folder))
        try:
            tables = [pattern.format(stem=each.stem) for each in (copy, original)]
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"dataset {name}: {rule}: {pattern!r}: only {{stem}} can stand in braces"
            ) from error
        inner = _inner(name, rule, tables[0], copy.parent)
        table = folder / _inner(name, rule, tables[1], original.parent)
        if table.is_file():
            found[inner] = table
        elif table not in lacking[-1:]:
            lacking.append(table)
    return found, lacking


def wanted(music: Mapping[str, Path], normalize: Mapping[str, Any]) -> dict[str, Path]:
    """The music files that `normalize.files` takes."""
    patterns = normalize.get("files") or ("*",)
    return {
        file: path
        for file, path in music.items()
        if any(fnmatch.fnmatchcase(file, str(pattern)) for pattern in patterns)
    }


def _inner(name: str, rule: str, table: str, place: PurePosixPath) -> str:
    """A table's path below the dataset's folder, from a place in it."""
    inner = os.path.normpath(place / table)
    if PurePosixPath(inner).parts[:1] == ("..",):
        raise ValueError(
            f"dataset {name}: {rule} names {table}, which lies outside of the dataset's folder; "
            "move it into the folder, or give its whole path"
        )
    return inner


def _not_there(name: str, rule: str, path: Path) -> str:
    return (
        f"dataset {name}: {rule} names {path.resolve()}, but there is no such file; put it "
        f"there, correct its name in {config_file(name)}, or give its whole path"
    )
