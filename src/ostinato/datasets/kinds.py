"""Kinds of source in conf/dataset, each with its settings.

Contradictory settings raise ValueError with the remedy when the file is read, before a download.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
TAKEN = ("music", "files")
HEX_DIGITS = {"sha256": 64, "md5": 32}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Origin and terms of a dataset; subclasses define where its files are.

    digest: SHA-256 over the sorted checksums of its files, so that any copy of the same files is
    the same dataset; None if all archives have hashes of their own.
    """

    kind: str
    digest: str | None
    licence: str
    citation: str
    url: str

    def __post_init__(self) -> None:
        if self.digest != "":  # not known yet: the first download prints it
            _check_hex("digest", self.digest, HEX_DIGITS["sha256"])

    @property
    def left_out(self) -> Mapping[str, str]:
        """Patterns of files that are not used, each with its reason."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Music21Source(Source):
    """Files of the corpus inside the installed music21 package.

    include: glob patterns below that corpus; exclude: patterns with the reason.
    """

    include: tuple[str, ...]
    exclude: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.digest is None:
            raise ValueError("kind music21 needs a digest: the installed package can change")

    @property
    def left_out(self) -> Mapping[str, str]:
        """The excluded patterns."""
        return self.exclude or {}


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One place that has a part of a dataset: `mirror`, a path inside the mirror folder, or `url`.

    sha256, md5: of the file itself; None if its publisher repacks it from time to time. strip:
    number of leading folders removed from the names in it. as_name (`as` in the file): the file's
    name if the url does not end with one.
    """

    mirror: str | None = None
    url: str | None = None
    sha256: str | None = None
    md5: str | None = None
    strip: int = 0
    as_name: str | None = None

    def __post_init__(self) -> None:
        if (self.mirror is None) == (self.url is None):
            raise ValueError("a copy has either a mirror (path in the mirror folder) or a url")
        for key, digits in HEX_DIGITS.items():
            _check_hex(key, getattr(self, key), digits)
        if self.url is not None and not self.url.startswith(("https://", "http://")):
            raise ValueError(f"url {self.url} must begin with https:// or http://")
        _check_relative("mirror", self.mirror)
        if self.strip < 0:
            raise ValueError(f"strip: {self.strip} must be the number of folders to cut, 0 or more")
        if not self.name or "/" in self.name or self.name in (".", ".."):
            raise ValueError(
                f"{self.url or self.mirror} does not end with a file name; add `as: <name>`"
            )

    @property
    def name(self) -> str:
        """The file's name; its suffix tells whether it is an archive."""
        place = urlsplit(self.url).path if self.url else str(self.mirror)
        return self.as_name or unquote(PurePosixPath(place).name)

    @property
    def is_archive(self) -> bool:
        """Whether it is an archive to unpack, not a plain file."""
        return self.name.lower().endswith(ARCHIVES)

    @property
    def is_hashed(self) -> bool:
        """Whether its bytes can be verified before they are read."""
        return bool(self.sha256 or self.md5)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file or archive of a dataset, with its copies.

    into: folder below data/raw/<dataset>. include, exclude: fnmatch patterns on the names in the
    archive after `strip`; a `*` also matches "/".
    """

    copies: tuple[Copy, ...]
    into: str = ""
    include: tuple[str, ...] = ("*",)
    exclude: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not self.copies:
            raise ValueError("a part needs at least one copy (a mirror path or a url)")
        if not self.include:
            raise ValueError("include: [] selects nothing; remove it to use every file")
        _check_relative("into", self.into)


@dataclass(frozen=True, kw_only=True)
class ArchivesSource(Source):
    """Archives and files of a mirror folder or the web; every part is needed.

    limit_mb: most that may be unpacked, in 10^6 bytes.
    """

    parts: tuple[Part, ...]
    limit_mb: float = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parts:
            raise ValueError("parts: [] is empty; list at least one part with its copies")
        if self.limit_mb <= 0:
            raise ValueError(f"limit_mb: {self.limit_mb} must be above 0")
        copies = [copy for part in self.parts for copy in part.copies]
        bare = [copy.url or copy.mirror for copy in copies if not copy.is_hashed]
        if self.digest is None and bare:
            raise ValueError(
                f"digest: null needs a sha256 or md5 of every copy; {bare[0]} has none"
            )

    @property
    def left_out(self) -> Mapping[str, str]:
        """The excluded patterns of all parts, as paths below data/raw/<dataset>."""
        return {
            (PurePosixPath(part.into) / pattern).as_posix(): reason
            for part in self.parts
            for pattern, reason in (part.exclude or {}).items()
        }


@dataclass(frozen=True, kw_only=True)
class FolderSource(Source):
    """A user's own files; a relative path counts from the project's folder."""

    path: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.digest is None:
            raise ValueError("kind folder needs the digest of the folder's contents")


@dataclass(frozen=True, kw_only=True)
class MuspySource(Source):
    """A dataset class of MusPy, `class` in the file.

    take: `music`, the muspy.Music of every item as JSON, to be read with `reader: muspy`; or
    `files`, the files that the class reads, for our own readers. root: a folder that has the files
    already; else what the class names as its sources is downloaded. arguments: of the class, such
    as {composer: bach} for Music21Dataset. limit_mb: as of archives.
    """

    class_name: str
    take: str = "music"
    root: str | None = None
    arguments: Mapping[str, str] | None = None
    limit_mb: float = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.digest is None:
            raise ValueError("kind muspy needs a digest: what MusPy reads depends on its version")
        if not self.licence.strip():
            raise ValueError("licence: say what others may do with the music; MusPy does not check")
        if self.take not in TAKEN:
            raise ValueError(f"take: {self.take} is unknown; use one of {', '.join(TAKEN)}")


def _check_hex(key: str, value: str | None, digits: int) -> None:
    if value is not None and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
        raise ValueError(f"{key} {value!r} must be {digits} digits of 0-9a-f, or null")


def _check_relative(key: str, value: str | None) -> None:
    path = PurePosixPath(value or "")
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{key}: {value} must be a relative path without '..'")
