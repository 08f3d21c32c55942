"""Finds a file of a dataset: in the mirror folder, in the cache, or on the web.

OSTINATO_MIRROR names the mirror folder. A copy `mirror: a/b.zip` is a/b.zip in it; the file of any
url can be there as <dataset>/<file name>, for machines without network. Downloads are cached.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ostinato.datasets.kinds import Copy
from ostinato.datasets.web import FetchError, RetryPolicy, Say, fetch
from ostinato.files import CHUNK_BYTES

CACHE = Path(".cache/downloads")
MIRROR = "OSTINATO_MIRROR"


@dataclass(frozen=True)
class Found:
    """The file of a copy on this machine; `where`: its url or mirror path, for messages."""

    copy: Copy
    path: Path
    where: str

    def forget(self) -> None:
        """Remove the file from the cache; files in the mirror are never removed."""
        if self.copy.url and self.path == cached(self.copy):
            self.path.unlink(missing_ok=True)


def in_mirror(name: str, copy: Copy) -> str:
    """Path of a copy's file in the mirror folder."""
    return copy.mirror or f"{name}/{copy.name}"


def cached(copy: Copy) -> Path:
    """Path in the cache, derived from the expected hash, or else from the url."""
    key = copy.sha256 or copy.md5 or str(copy.url)
    return CACHE / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}-{copy.name}"


def found_copies(
    name: str, copies: Sequence[Copy], problems: list[str], say: Say, retries: RetryPolicy
) -> Iterator[Found]:
    """The available copies in the order to try them, verified if they have hashes.

    Problems with the others are appended to `problems`, one line each. The network is used only if
    no copy from the mirror or the cache was accepted.

    Raises:
        ValueError: OSTINATO_MIRROR is not a folder.
    """
    yield from _in_mirror(name, copies, problems, say)
    web = [copy for copy in copies if copy.url]
    for copy in web:
        path = cached(copy)
        if path.is_file():
            if wrong := mismatch(path, copy):
                path.unlink()  # damaged; fetched again below
                say(f"{name}: {copy.name} in {CACHE} {wrong}; removed")
            else:
                yield Found(copy, path, str(copy.url))
    for copy in web:
        try:
            yield Found(copy, _fetched(copy, say, retries), str(copy.url))
        except FetchError as error:
            problems.append(f"{copy.url}: {error}")


def _in_mirror(name: str, copies: Sequence[Copy], problems: list[str], say: Say) -> Iterator[Found]:
    mirror = os.environ.get(MIRROR, "")
    if mirror and not Path(mirror).is_dir():
        raise ValueError(f"{MIRROR} is {mirror}, which is not a folder; correct or unset it")
    for copy in copies:
        place = in_mirror(name, copy)
        path = Path(mirror) / place
        if not mirror:
            if copy.mirror:
                problems.append(f"mirror {place}: {MIRROR} is not set")
        elif not path.is_file():
            problems += [] if (line := f"mirror {place}: not there") in problems else [line]
        elif wrong := mismatch(path, copy):
            problems.append(f"mirror {place}: {wrong}")
        else:
            say(f"{name}: {place} from the mirror")
            yield Found(copy, path, f"mirror {place}")


def _fetched(copy: Copy, say: Say, retries: RetryPolicy) -> Path:
    path = cached(copy)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):  # two datasets may share an archive
        if path.is_file() and not mismatch(path, copy):
            return path
        for _ in range(2):
            resumed = fetch(str(copy.url), path, copy.is_hashed, retries, say)
            wrong = mismatch(path, copy)
            if not wrong:
                return path
            path.unlink()
            if not resumed:  # the beginning of a resumed file may be bad: try again
                break
    raise FetchError(wrong)


def mismatch(path: Path, copy: Copy) -> str:
    """How a file differs from the hashes of a copy; "" if it does not."""
    expected = {"sha256": copy.sha256, "md5": copy.md5}
    digests = {kind: hashlib.new(kind, usedforsecurity=False) for kind, v in expected.items() if v}
    if digests:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                for digest in digests.values():
                    digest.update(chunk)
    for kind, digest in digests.items():
        if digest.hexdigest() != expected[kind]:
            size = path.stat().st_size
            return f"has {kind} {digest.hexdigest()} ({size} bytes), not {expected[kind]}"
    return ""


def forget_unverified(copies: Sequence[Copy]) -> None:
    """Remove copies without hashes from the cache, after the contents had a wrong digest."""
    for copy in copies:
        if copy.url and not copy.is_hashed:
            cached(copy).unlink(missing_ok=True)


def no_copy_message(name: str, copies: Sequence[Copy], problems: Sequence[str]) -> str:
    """The message for a part without a working copy: each problem, and the remedy."""
    lines = [f"dataset {name}: no copy of {copies[0].name} is available:", *problems]
    lines.append(f"put one of these into a folder and run again with {MIRROR}=<that folder>:")
    for copy in copies:
        hashes = {"sha256": copy.sha256, "md5": copy.md5}
        stated = "".join(f", {kind} {value}" for kind, value in hashes.items() if value)
        origin = f" (from {copy.url})" if copy.url else ""
        lines.append(f"  {in_mirror(name, copy)}{stated}{origin}")
    return "\n".join(lines)
