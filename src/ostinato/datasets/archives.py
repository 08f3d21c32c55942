"""Datasets that are published as archives and files: fetched, verified, unpacked, laid out."""

import shutil
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ostinato.datasets.fetch import Found, found_copies, nothing_works
from ostinato.datasets.kinds import ArchivesSource, Part
from ostinato.datasets.unpack import Layout, Names, UnsafeArchive, unpack
from ostinato.datasets.web import SAY, Patience, Say

BYTES_PER_MB = 1_000_000


def copy_files(
    name: str,
    source: ArchivesSource,
    folder: Path,
    say: Say = SAY,
    patience: Patience | None = None,
) -> dict[str, dict[str, str]]:
    """Lay out every part in `folder`. Of the files nothing is said but their names, so that every
    copy gives the same manifest.

    Raises:
        ValueError: names the copies of a part with what was wrong with each, and the remedy.
    """
    names, left = Names(), int(source.limit_mb * BYTES_PER_MB)
    files: list[str] = []
    scratch = folder.with_name(f".{name}.part")  # a fixed name: a killed run's is found and removed
    try:
        for part in source.parts:
            left -= _bring(name, part, scratch, left, say, patience or Patience())
            for path in sorted(path for path in scratch.rglob("*") if path.is_file()):
                file = (PurePosixPath(part.into) / path.relative_to(scratch).as_posix()).as_posix()
                names.add(file)
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                path.replace(folder / file)
                files.append(file)
    except UnsafeArchive as error:
        raise ValueError(
            f"dataset {name}: {error}; two parts need folders of their own (into: …)"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {file: {} for file in files}


def _bring(name: str, part: Part, scratch: Path, left: int, say: Say, patience: Patience) -> int:
    """The first copy of a part that works, unpacked; returns the bytes written."""
    problems: list[str] = []
    for found in found_copies(name, part.copies, problems, say, patience):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            return _lay_out(found, part, scratch, left)
        except ValueError as error:
            problems.append(f"{found.where}: {error}")
            if found.copy.is_hashed:  # these are the bytes that were meant: no other copy helps
                raise ValueError(f"dataset {name}: {problems[-1]}") from error
            found.forget()
    raise ValueError(nothing_works(name, part.copies, problems))


def _lay_out(found: Found, part: Part, scratch: Path, left: int) -> int:
    copy = found.copy
    if copy.is_archive:
        layout = Layout(limit=left, strip=copy.strip, include=part.include, exclude=part.exclude)
        return unpack(found.path, copy.name, scratch, layout)
    size = found.path.stat().st_size
    if not any(fnmatchcase(copy.name, pattern) for pattern in part.include):
        raise ValueError(f"{copy.name} matches none of include: {', '.join(part.include)}")
    if size > left:
        raise ValueError(f"{copy.name} has {size} bytes, more than limit_mb allows")
    shutil.copyfile(found.path, scratch / copy.name)
    return size
