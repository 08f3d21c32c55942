"""What to say when a dataset's contents are not those that its digest promises."""

import json
from collections.abc import Mapping
from pathlib import Path

from ostinato.datasets.fetch import forget_unverified
from ostinato.datasets.kinds import ArchivesSource, FolderSource, Source
from ostinato.files import sha256_json

NAMES_SHOWN = 3


def config_file(name: str) -> Path:
    """The dataset's file, from the project's folder."""
    return Path(f"conf/dataset/{name}.yaml")


def other_contents(name: str, source: Source, digests: Mapping[str, str], out: Path) -> str:
    """Both digests, what is known of the difference, and the remedy.

    digests: the checksums found. out: where an earlier download may lie that is as promised. What
    was fetched and could be verified by the contents alone is removed from the cache.
    """
    found = (
        f"dataset {name}: contents have digest {sha256_json(digests)} ({len(digests)} files), "
        f"{config_file(name)} promises {source.digest or 'none'}"
    )
    before = earlier(out, source.digest)
    if before is not None:
        found += f"; beside {out}: {difference(before, digests)}"
    if not source.digest:
        return f"{found}; if they are what you want, write that digest into it"
    if isinstance(source, FolderSource):
        return (
            f"{found}\nthe folder {source.path} has changed since; to take it as it is now: "
            f"python pipelines/download.py update={name}"
        )
    if isinstance(source, ArchivesSource):
        for part in source.parts:
            forget_unverified(part.copies)
        return (
            f"{found}\nif the publisher has changed the set and this is what you want, write the "
            f"digest found into {config_file(name)}; else run again, or bring the files as they "
            "were in a mirror folder (OSTINATO_MIRROR)"
        )
    return f"{found}; install the versions of requirements.lock, or correct the file"


def earlier(folder: Path, digest: str | None) -> dict[str, str] | None:
    """Checksums of an earlier download with this digest, from its manifest; None without one."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return files if manifest.get("digest") == digest else None


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Files that are new, gone and changed: how many, and the first of each."""
    kinds = {
        "new": sorted(set(after) - set(before)),
        "gone": sorted(set(before) - set(after)),
        "changed": sorted(name for name in set(before) & set(after) if before[name] != after[name]),
    }
    words = []
    for kind, names in kinds.items():
        if names:
            more = ", …" if len(names) > NAMES_SHOWN else ""
            words.append(f"{len(names)} {kind} ({', '.join(names[:NAMES_SHOWN])}{more})")
    return ", ".join(words) or "nothing differs"
