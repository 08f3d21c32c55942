"""What a dataset's file in conf/dataset says, and the one place where a kind of source becomes
code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ostinato.datasets.manifest import FORMAT
from ostinato.execution.files import atomic_folder, checksums, sha256_json, write_json


@dataclass(frozen=True, kw_only=True)
class Source:
    """A dataset's origin.

    kind: "music21", the corpus inside the installed package. include: patterns below it. exclude:
    patterns with the reason. digest: of the sorted contents, so that any copy of the same files is
    the same dataset.
    """

    kind: str
    include: tuple[str, ...]
    digest: str
    licence: str
    citation: str
    url: str
    exclude: Mapping[str, str] | None = None


def source_from(name: str, settings: Mapping[str, Any]) -> Source:
    """Build a Source, naming what it does not know or lacks."""
    known = [field.name for field in fields(Source)]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(
            f"dataset {name}: source has no {', '.join(unknown)}; known: {', '.join(known)}"
        )
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    try:
        return Source(**plain)
    except TypeError as error:
        raise ValueError(f"dataset {name}: {error}") from error


def download(name: str, source: Source, out: Path) -> dict[str, Any]:
    """Bring a dataset's files into `out` with a manifest, or leave nothing.

    Raises:
        ValueError: an unknown kind of source, no file, or contents other than the digest promises.
    """
    from ostinato.datasets import music21_corpus

    kinds = {"music21": music21_corpus}
    if source.kind not in kinds:
        raise ValueError(
            f"dataset {name}: unknown source kind {source.kind!r}; known: {', '.join(kinds)}"
        )
    with atomic_folder(out) as folder:
        origins = kinds[source.kind].copy_files(source, folder)
        if not origins:
            raise ValueError(f"dataset {name}: no file matches {', '.join(source.include)}")
        digests = checksums(folder)
        digest = sha256_json(digests)
        if digest != source.digest:
            raise ValueError(
                f"dataset {name}: contents have digest {digest}, conf/dataset/{name}.yaml promises "
                f"{source.digest}; install the versions of requirements.lock, or correct the file"
            )
        manifest = {
            "format": FORMAT,
            "dataset": name,
            "url": source.url,
            "licence": source.licence,
            "citation": source.citation,
            "digest": digest,
            "left_out": dict(source.exclude or {}),
            "files": {file: origins[file] | {"sha256": digests[file]} for file in sorted(origins)},
        }
        write_json(folder / "manifest.json", manifest)
    return manifest
