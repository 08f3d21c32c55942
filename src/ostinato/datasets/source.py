"""Builds a source from conf/dataset and downloads its files, verified, with a manifest."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

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

MANIFEST = "manifest.json"
KINDS: dict[str, type[Source]] = {
    "music21": Music21Source,
    "archives": ArchivesSource,
    "folder": FolderSource,
    "muspy": MuspySource,
}
WORDS = {"as_name": "as", "class_name": "class"}  # fields whose keys are keywords of Python
Settings = TypeVar("Settings")


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
    return _build(KINDS[kind], values, where)


def _part(where: str, settings: Any) -> Part:
    values = _mapping(where, settings)
    if isinstance(values.get("copies"), list):
        values["copies"] = [
            _build(Copy, _mapping(f"{where}.copies[{n}]", copy), f"{where}.copies[{n}]")
            for n, copy in enumerate(values["copies"])
        ]
    return _build(Part, values, where)


def _mapping(where: str, settings: Any) -> dict[str, Any]:
    if not isinstance(settings, Mapping):
        raise ValueError(f"{where} must be a mapping of keys to values, not {settings!r}")
    return dict(settings)


def _build(kind: type[Settings], values: Mapping[str, Any], where: str) -> Settings:
    """A dataclass from plain values."""
    known = {_key(field): field for field in fields(kind)}  # type: ignore[arg-type]
    valid = f"known: {', '.join(known)}"
    if unknown := sorted(str(key) for key in set(values) - set(known)):
        raise ValueError(f"{where} has no {', '.join(unknown)}; {valid}")
    needed = {key for key, field in known.items() if field.default is MISSING}
    if missing := [key for key in known if key in needed - set(values)]:
        raise ValueError(f"{where} lacks {', '.join(missing)}; {valid}")
    plain = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    for key, value in plain.items():
        if not _fits(value, known[key].type):
            raise ValueError(
                f"{where}: {key} is {values[key]!r}, not {_described(known[key].type)}"
            )
    try:
        return kind(**{known[key].name: value for key, value in plain.items()})
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _key(field: "Field[Any]") -> str:
    return WORDS.get(field.name, field.name)


def _fits(value: object, annotation: Any) -> bool:
    """Whether a plain value has an annotated type; true and false are not numbers."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is UnionType:
        return any(_fits(value, each) for each in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, inner[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            isinstance(item, str) for pair in value.items() for item in pair
        )
    if annotation in (int, float):
        number = (int, float) if annotation is float else int
        return isinstance(value, number) and not isinstance(value, bool)
    return isinstance(value, annotation)


def _described(annotation: Any) -> str:
    if get_origin(annotation) is UnionType:
        return " or ".join(_described(each) for each in get_args(annotation))
    names = {str: "a text", int: "a whole number", float: "a number", type(None): "null"}
    origins = {tuple: "a list", Mapping: "a mapping of texts to texts"}
    return names.get(annotation) or origins[get_origin(annotation)]


def download(name: str, source: Source, out: Path, say: Say = SAY) -> dict[str, Any]:
    """Download a dataset into `out` with a manifest; on any error `out` stays as it was.

    say: prints the licence, and every url before the network is used.

    Raises:
        ValueError: no file, or the contents do not have the expected digest.
    """
    say(f"{name}: licence: {source.licence}")
    with atomic_folder(out) as folder:
        origins = _copy_files(name, source, folder, say)
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


def _copy_files(name: str, source: Source, folder: Path, say: Say) -> dict[str, dict[str, str]]:
    """Fill `folder`; returns the manifest's entries of each file, without checksums."""
    from ostinato.datasets import archives, music21_corpus, muspy_dataset, own

    if isinstance(source, Music21Source):
        return music21_corpus.copy_files(name, source, folder)
    if isinstance(source, ArchivesSource):
        return archives.copy_files(name, source, folder, say)
    if isinstance(source, MuspySource):
        return muspy_dataset.copy_files(name, source, folder, say)
    assert isinstance(source, FolderSource)
    return own.copy_files(name, source, folder, say)
