"""Unpacks untrusted archives safely.

An archive is refused as a whole if a name or a link in it leaves the folder, if two names are equal
on a case-insensitive disk, or if its contents exceed the limits; bytes are counted while they are
written. The result depends on names and bytes only, not on the kind of archive, order, dates or
modes.
"""

import lzma
import posixpath
import re
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from ostinato.files import CHUNK_BYTES, DamagedFile

MAX_MEMBERS = 1_000_000  # entries of one archive; Lakh, the largest dataset, has fewer than 200,000
LONGEST_LINK = 4096  # bytes of a path that a link may hold on Linux
MAX_NAME_BYTES = 255  # of one folder or file; the limit of most file systems
UTF8_FLAG, ENCRYPTED_FLAG = 0x800, 0x1  # of a zip member
LEAVES = re.compile(r"^/|^[A-Za-z]:/|(^|/)\.\.(/|$)")
UNREADABLE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,  # a compression method of zip that Python lacks
    ValueError,
    OSError,  # without errno, if it is about the bytes and not about the disk
)


class UnsafeArchive(ValueError):
    """An archive that would write outside its folder, over its own files or beyond the limits."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which files of an archive to unpack, and under which names.

    strip: number of leading folders to remove; files above them are skipped. include, exclude:
    fnmatch patterns on the remaining names. limit: maximum number of bytes to write.
    """

    limit: int
    strip: int = 0
    include: tuple[str, ...] = ("*",)
    exclude: Mapping[str, str] | None = None

    def wants(self, name: str) -> bool:
        """Whether to unpack a file of this name (after `strip`)."""
        return any(fnmatchcase(name, pattern) for pattern in self.include) and not any(
            fnmatchcase(name, pattern) for pattern in self.exclude or {}
        )


@dataclass(frozen=True)
class _Member:
    """One file of an archive: its full name, a function that opens it, the target of a link from
    the archive's root ("": not a link), and what forbids to unpack it ("": nothing).
    """

    name: str
    open: Callable[[], IO[bytes] | None]
    target: str = ""
    obstacle: str = ""


class Names:
    """Names of the files of one folder; refuses names that clash."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Add a name.

        Raises:
            UnsafeArchive: it exists, also if only case or the form of accents differs.
        """
        key = unicodedata.normalize("NFC", name).casefold()
        parts = PurePosixPath(key).parts
        folders = ["/".join(parts[:end]) for end in range(1, len(parts))]
        clash = self._files.get(key) or self._folders.get(key)
        clash = clash or next((self._files[f] for f in folders if f in self._files), None)
        if clash is not None:
            raise UnsafeArchive(f"the names {clash!r} and {name!r} are one file on some disks")
        self._files[key] = name
        self._folders.update(dict.fromkeys(folders, name))


def unpack(archive: Path, kind: str, out: Path, layout: Layout) -> int:
    """Write the wanted files below the empty folder `out`; returns the bytes written.

    kind: the archive's published name; its suffix distinguishes zip from tar.

    Raises:
        UnsafeArchive: see the module. DamagedFile: not a readable archive of its kind.
        ValueError: an include pattern matches nothing.
    """
    names, written, unused = Names(), 0, set(layout.include)
    members = _zip_members if kind.lower().endswith(".zip") else _tar_members
    with _damage_named(kind):
        for count, member in enumerate(members(archive), 1):
            if count > MAX_MEMBERS:
                raise UnsafeArchive(f"it has more than {MAX_MEMBERS} members")
            name = "/".join(_safe_parts(member)[layout.strip :])
            if not name or not layout.wants(name):
                continue
            if member.obstacle:
                raise UnsafeArchive(f"{name!r} {member.obstacle}; leave it out with exclude")
            names.add(name)
            unused = {pattern for pattern in unused if not fnmatchcase(name, pattern)}
            written += _write(member, out / name, layout.limit - written)
    if unused:
        patterns = ", ".join(pattern for pattern in layout.include if pattern in unused)
        raise ValueError(f"no file in {kind} matches {patterns} (strip: {layout.strip})")
    return written


def _write(member: _Member, target: Path, limit: int) -> int:
    content = member.open()
    if content is None:
        raise DamagedFile(f"{member.name!r} has no content")
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with content, target.open("wb") as file:
        while chunk := content.read(CHUNK_BYTES):
            written += len(chunk)
            if written > limit:
                raise UnsafeArchive(
                    f"the contents exceed limit_mb (at {member.name!r}); "
                    "raise limit_mb if the dataset is known to be that large"
                )
            file.write(chunk)
    return written


def _safe_parts(member: _Member) -> tuple[str, ...]:
    """Folders and file of a member's name; refuses names that leave the archive's folder."""
    for what, name in (("name", member.name), ("link to", member.target)):
        if LEAVES.search(name) or "\0" in name:
            raise UnsafeArchive(f"the {what} {name!r} leaves the folder")
    parts = PurePosixPath(member.name).parts
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise UnsafeArchive(f"the name {member.name[:40]!r}… has more than {MAX_NAME_BYTES} bytes")
    return parts


def decoded(name: bytes) -> str:
    """A file's name as text: UTF-8, or else code page 437, as in the zip format.

    The same rule for all archives and disks, so that a repacked dataset keeps its names.
    """
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437")


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            name = info.orig_filename  # `filename` ends at a zero byte and varies with Python
            if not info.flag_bits & UTF8_FLAG:
                name = decoded(name.encode("cp437"))
            name = name.replace("\\", "/")
            if name.endswith("/"):
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            target = obstacle = ""
            if info.flag_bits & ENCRYPTED_FLAG:
                obstacle = "is encrypted"
            elif kind == stat.S_IFLNK:
                obstacle = "is a symbolic link"
                with opened.open(info) as content:
                    target = _link(name, decoded(content.read(LONGEST_LINK)))
            elif kind not in (0, stat.S_IFREG):
                obstacle = "is a device or pipe"
            yield _Member(name, partial(opened.open, info), target, obstacle)


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, encoding="utf-8", errors="surrogateescape") as opened:
        files: dict[str, tarfile.TarInfo] = {}
        for info in opened:
            name = _tar_name(info.name)
            target = obstacle = ""
            if info.isdir():
                continue
            if info.islnk():  # a file stored once under two names
                target = posixpath.normpath(_tar_name(info.linkname))
                info = files.get(target, info)
            if info.issym():
                obstacle = "is a symbolic link"
                target = _link(name, _tar_name(info.linkname))
            elif info.islnk():
                obstacle = f"is a link to {target!r}, which is not an earlier file"
            elif not info.isreg():
                obstacle = "is a device or pipe"
            else:
                files[posixpath.normpath(name)] = info
            yield _Member(name, partial(opened.extractfile, info), target, obstacle)


def _tar_name(name: str) -> str:
    return decoded(name.encode("utf-8", "surrogateescape")).replace("\\", "/")


def _link(name: str, target: str) -> str:
    """Target of a symbolic link, from the archive's root."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), target.replace("\\", "/")))


@contextmanager
def _damage_named(kind: str) -> Iterator[None]:
    """Turn errors of archive readers into DamagedFile; errors of the disk stay as they are."""
    try:
        yield
    except (UnsafeArchive, DamagedFile):
        raise
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedFile(f"{kind} is not a readable archive of its kind ({first})") from error
