"""Builds a source from conf/dataset and downloads its files, verified, with a manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.datasets.contents import config_file, digest_mismatch
from ostinato.datasets.kinds import (
    ArchivesSource,
    Copy,
    FolderSource,
    Music21Source,
    MuspySource,
    Part,
    Source,
)
from ostinato.datasets.manifest import FORMAT
from ostinato.datasets.web import SAY, Say
from ostinato.files import (
    atomic_folder,
    checksums,
    sha256_json,
    write_json,
)
from ostinato.settings import Built, checked

MANIFEST = "manifest.json"
KINDS: dict[str, type[Source]] = {
    "music21": Music21Source,
    "archives": ArchivesSource,
    "folder": FolderSource,
    "muspy": MuspySource,
}
WORDS = {"as_name": "as", "class_name": "class"}  # fields whose keys are keywords of Python


def source_from(name: str, settings: Mapping[str, Any]) -> Source:
    """Build a Source from plain settings.

    Raises:
        ValueError: a key is unknown, missing or wrong; names the dataset and the valid keys.
    """
    kind = settings.get("kind")
    if kind not in KINDS:
        raise ValueError(f"dataset {name}: unknown source kind {kind!r}; known: {', '.join(KINDS)}")
    where = f"dataset {name}: source"
    values = dict(settings)
    if isinstance(values.get("parts"), list):
        values["parts"] = [
            _part(f"{where}.parts[{n}]", part) for n, part in enumerate(values["parts"])
        ]
    return _build(KINDS[kind], where, values)


def _part(where: str, settings: Any) -> Part:
    values = _mapping(where, settings)
    if isinstance(values.get("copies"), list):
        values["copies"] = [
            _build(Copy, f"{where}.copies[{n}]", _mapping(f"{where}.copies[{n}]", copy))
            for n, copy in enumerate(values["copies"])
        ]
    return _build(Part, where, values)


def _mapping(where: str, settings: Any) -> dict[str, Any]:
    if not isinstance(settings, Mapping):
        raise ValueError(f"{where} must be a mapping of keys to values, not {settings!r}")
    return dict(settings)


def _build(kind: type[Built], where: str, values: Mapping[str, Any]) -> Built:
    try:
        return checked(kind, where, values, WORDS)
    except ValueError as error:
        words = str(error)
        raise ValueError(words if words.startswith(where) else f"{where}: {words}") from error


def download(
    name: str,
    source: Source,
    out: Path,
    say: Say = SAY,
    normalize: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Download a dataset into `out` with a manifest; on any error `out` stays as it was.

    say: prints the licence, and every url before the network is used. normalize: the dataset's
    section of that name, which names tables of a user's own folder.

    Raises:
        ValueError: no file, or the contents do not have the expected digest.
    """
    say(f"{name}: licence: {source.licence}")
    with atomic_folder(out) as folder:
        origins = _copy_files(name, source, folder, say, normalize)
        digests = checksums(folder)
        if MANIFEST in digests:
            raise ValueError(
                f"dataset {name}: the name {MANIFEST} is reserved; give its part a folder (into: …)"
            )
        digest = sha256_json(digests)
        if source.digest is None:
            say(
                f'{name}: to pin these contents, write into {config_file(name)}: digest: "{digest}"'
            )
        elif digest != source.digest:
            raise ValueError(digest_mismatch(name, source, digests, out))
        manifest = {
            "format": FORMAT,
            "dataset": name,
            "url": source.url,
            "licence": source.licence,
            "citation": source.citation,
            "digest": digest,
            "left_out": dict(source.left_out),
            "files": {file: origins[file] | {"sha256": digests[file]} for file in sorted(origins)},
        }
        write_json(folder / MANIFEST, manifest)
    return manifest


def _copy_files(
    name: str, source: Source, folder: Path, say: Say, normalize: Mapping[str, Any] | None
) -> dict[str, dict[str, str]]:
    """Fill `folder`; returns the manifest's entries of each file, without checksums."""
    from ostinato.datasets import archives, music21_corpus, muspy_dataset, own

    if isinstance(source, Music21Source):
        return music21_corpus.copy_files(name, source, folder)
    if isinstance(source, ArchivesSource):
        return archives.copy_files(name, source, folder, say)
    if isinstance(source, MuspySource):
        return muspy_dataset.copy_files(name, source, folder, say)
    assert isinstance(source, FolderSource)
    return own.copy_files(name, source, folder, say, normalize)
