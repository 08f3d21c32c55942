"""Datasets published as archives and files: fetches, verifies and unpacks them."""

import shutil
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ostinato.datasets.fetch import Found, found_copies, no_copy_message
from ostinato.datasets.kinds import ArchivesSource, Part
from ostinato.datasets.unpack import Layout, Names, UnsafeArchive, unpack
from ostinato.datasets.web import SAY, RetryPolicy, Say

BYTES_PER_MB = 1_000_000


def copy_files(
    name: str,
    source: ArchivesSource,
    folder: Path,
    say: Say = SAY,
    retries: RetryPolicy | None = None,
) -> dict[str, dict[str, str]]:
    """Unpack every part into `folder`. The manifest gets names only, so every copy gives the same.

    Raises:
        ValueError: no copy of a part works; lists each with its problem, and the remedy.
    """
    names, left = Names(), int(source.limit_mb * BYTES_PER_MB)
    files: list[str] = []
    scratch = folder.with_name(
        f".{name}.part"
    )  # a fixed name, so that the leftover of a killed run is removed
    try:
        for part in source.parts:
            left -= _unpack_part(name, part, scratch, left, say, retries or RetryPolicy())
            for path in sorted(path for path in scratch.rglob("*") if path.is_file()):
                file = (PurePosixPath(part.into) / path.relative_to(scratch).as_posix()).as_posix()
                names.add(file)
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                path.replace(folder / file)
                files.append(file)
    except UnsafeArchive as error:
        raise ValueError(
            f"dataset {name}: {error}; give the parts different folders (into: …)"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {file: {} for file in files}


def _unpack_part(
    name: str, part: Part, scratch: Path, left: int, say: Say, retries: RetryPolicy
) -> int:
    """Unpack the first copy of a part that works; returns the bytes written."""
    problems: list[str] = []
    for found in found_copies(name, part.copies, problems, say, retries):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            return _unpack_copy(found, part, scratch, left)
        except ValueError as error:
            problems.append(f"{found.where}: {error}")
            if found.copy.is_hashed:  # verified bytes: another copy would be no different
                raise ValueError(f"dataset {name}: {problems[-1]}") from error
            found.forget()
    raise ValueError(no_copy_message(name, part.copies, problems))


def _unpack_copy(found: Found, part: Part, scratch: Path, left: int) -> int:
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
