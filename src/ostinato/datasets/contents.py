"""Explains why the contents of a dataset do not have the expected digest."""

import json
from collections.abc import Mapping
from pathlib import Path

from ostinato.datasets.fetch import forget_unverified
from ostinato.datasets.kinds import ArchivesSource, FolderSource, Source
from ostinato.files import sha256_json

NAMES_SHOWN = 3


def config_file(name: str) -> Path:
    """The dataset's file, relative to the project's folder."""
    return Path(f"conf/dataset/{name}.yaml")


def digest_mismatch(name: str, source: Source, digests: Mapping[str, str], out: Path) -> str:
    """The message: both digests, the difference as far as known, and the remedy.

    digests: the checksums found. out: folder of an earlier download, which may have the expected
    digest. Files in the cache that have no hash of their own are removed.
    """
    found = (
        f"dataset {name}: contents have digest {sha256_json(digests)} ({len(digests)} files), "
        f"{config_file(name)} expects {source.digest or 'none'}"
    )
    before = earlier_download(out, source.digest)
    if before is not None:
        found += f"; compared with {out}: {difference(before, digests)}"
    if not source.digest:
        return f"{found}; if these are the right files, write that digest into it"
    if isinstance(source, FolderSource):
        return (
            f"{found}\nthe folder {source.path} has changed since, or normalize names other tables "
            f"of it; to take it as it is now: python pipelines/download.py update={name}"
        )
    if isinstance(source, ArchivesSource):
        for part in source.parts:
            forget_unverified(part.copies)
        return (
            f"{found}\nif the publisher has changed the dataset and you want the new one, write "
            f"the digest found into {config_file(name)}; else run again, or provide the "
            "original files in a mirror folder (OSTINATO_MIRROR)"
        )
    return f"{found}; install the versions of requirements.lock, or correct the file"


def earlier_download(folder: Path, digest: str | None) -> dict[str, str] | None:
    """Checksums of an earlier download with this digest, from its manifest; None without one."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return files if manifest.get("digest") == digest else None


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Numbers of new, missing and changed files, and the names of the first of each."""
    kinds = {
        "new": sorted(set(after) - set(before)),
        "missing": sorted(set(before) - set(after)),
        "changed": sorted(name for name in set(before) & set(after) if before[name] != after[name]),
    }
    words = []
    for kind, names in kinds.items():
        if names:
            more = ", …" if len(names) > NAMES_SHOWN else ""
            words.append(f"{len(names)} {kind} ({', '.join(names[:NAMES_SHOWN])}{more})")
    return ", ".join(words) or "nothing differs"
