"""One file of a dataset from the first copy that works: the mirror folder, the cache, the web.

The mirror is a folder that OSTINATO_MIRROR names. A copy `mirror: a/b.zip` lies there as a/b.zip;
the file of any url may lie there as <dataset>/<its name>, so that whoever has no network can bring
it on a stick. What came from the web stays in the cache between runs.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ostinato.datasets.kinds import Copy
from ostinato.datasets.web import FetchError, Patience, Say, fetch
from ostinato.files import CHUNK_BYTES

CACHE = Path(".cache/downloads")
MIRROR = "OSTINATO_MIRROR"


@dataclass(frozen=True)
class Found:
    """A copy's file on this machine. where: in words of the configuration, for messages."""

    copy: Copy
    path: Path
    where: str

    def forget(self) -> None:
        """Remove the file from the cache; one in the mirror is not ours to remove."""
        if self.copy.url and self.path == cached(self.copy):
            self.path.unlink(missing_ok=True)


def in_mirror(name: str, copy: Copy) -> str:
    """Where a copy's file may lie in the mirror folder."""
    return copy.mirror or f"{name}/{copy.name}"


def cached(copy: Copy) -> Path:
    """Where the cache keeps the file of a url: by its hash, or else by its url."""
    key = copy.sha256 or copy.md5 or str(copy.url)
    return CACHE / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}-{copy.name}"


def found_copies(
    name: str, copies: Sequence[Copy], problems: list[str], say: Say, patience: Patience
) -> Iterator[Found]:
    """The copies that can be had, verified as far as they have hashes, in the order to try them.

    What was wrong with the others is added to `problems`, one line each. The network is used only
    when the consumer asks for more than the mirror and the cache hold.

    Raises:
        ValueError: OSTINATO_MIRROR names no folder.
    """
    yield from _in_mirror(name, copies, problems, say)
    web = [copy for copy in copies if copy.url]
    for copy in web:
        path = cached(copy)
        if path.is_file():
            if wrong := mismatch(path, copy):
                path.unlink()  # damaged since; fetched anew below
                say(f"{name}: {copy.name} in {CACHE} {wrong}; removed")
            else:
                yield Found(copy, path, str(copy.url))
    for copy in web:
        try:
            yield Found(copy, _fetched(copy, say, patience), str(copy.url))
        except FetchError as error:
            problems.append(f"{copy.url}: {error}")


def _in_mirror(name: str, copies: Sequence[Copy], problems: list[str], say: Say) -> Iterator[Found]:
    mirror = os.environ.get(MIRROR, "")
    if mirror and not Path(mirror).is_dir():
        raise ValueError(f"{MIRROR} is {mirror}, which is no folder; correct or unset it")
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


def _fetched(copy: Copy, say: Say, patience: Patience) -> Path:
    path = cached(copy)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):  # two datasets may share an archive
        if path.is_file() and not mismatch(path, copy):
            return path
        for _ in range(2):
            resumed = fetch(str(copy.url), path, copy.is_hashed, patience, say)
            wrong = mismatch(path, copy)
            if not wrong:
                return path
            path.unlink()
            if not resumed:  # else what was there from before may have been at fault
                break
    raise FetchError(wrong)


def mismatch(path: Path, copy: Copy) -> str:
    """How a file's bytes differ from what a copy promises; "" if they do not."""
    promised = {"sha256": copy.sha256, "md5": copy.md5}
    digests = {kind: hashlib.new(kind, usedforsecurity=False) for kind, v in promised.items() if v}
    if digests:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                for digest in digests.values():
                    digest.update(chunk)
    for kind, digest in digests.items():
        if digest.hexdigest() != promised[kind]:
            size = path.stat().st_size
            return f"has {kind} {digest.hexdigest()} ({size} bytes), not {promised[kind]}"
    return ""


def forget_unverified(copies: Sequence[Copy]) -> None:
    """Remove from the cache what only the contents' digest could verify, and did not."""
    for copy in copies:
        if copy.url and not copy.is_hashed:
            cached(copy).unlink(missing_ok=True)


def nothing_works(name: str, copies: Sequence[Copy], problems: Sequence[str]) -> str:
    """The message for a part of which no copy works: what was wrong with each, and the remedy."""
    lines = [f"dataset {name}: no copy of {copies[0].name} could be had:", *problems]
    lines.append(f"put one of these into a folder and run again with {MIRROR}=<that folder>:")
    for copy in copies:
        hashes = {"sha256": copy.sha256, "md5": copy.md5}
        stated = "".join(f", {kind} {value}" for kind, value in hashes.items() if value)
        origin = f" (from {copy.url})" if copy.url else ""
        lines.append(f"  {in_mirror(name, copy)}{stated}{origin}")
    return "\n".join(lines)
