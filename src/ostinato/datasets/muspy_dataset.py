"""Any of MusPy's dataset classes as a source.

What a class names as its sources comes through our own downloads (mirror, cache, checksums, safe
unpacking) and never through MusPy's; MusPy then finds the unpacked files. Pieces that MusPy cannot
read are listed with the reason in `unreadable.txt`.
"""

import inspect
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ostinato.datasets import archives
from ostinato.datasets.kinds import ArchivesSource, Copy, MuspySource, Part
from ostinato.datasets.music21_corpus import corpus_folder
from ostinato.datasets.web import Say

UNREADABLE = "unreadable.txt"
SUCCESS = ".muspy.success"  # the file by which MusPy knows that a dataset is complete
Origins = dict[str, dict[str, str]]


def copy_files(name: str, source: MuspySource, folder: Path, say: Say) -> Origins:
    """Bring a MusPy dataset into `folder`: its music as MusPy JSON, or the files it reads.

    Raises:
        ValueError: a class that MusPy does not have, naming those it has; arguments that it does
            not take; no root where it needs one; nothing that could be read.
    """
    kind = dataset_class(name, source.class_name)
    scratch = folder.with_name(f".{name}.muspy.part")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        dataset = _open(name, source, kind, scratch, say)
        root = scratch if scratch.exists() else corpus_folder()
        if source.take == "files":
            return _copy(dataset, root, folder)
        return _convert(name, dataset, root, folder, say)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def dataset_class(name: str, class_name: str) -> Any:
    """A dataset class of MusPy by its name."""
    import muspy

    known = {
        key: value
        for key, value in vars(muspy.datasets).items()
        if inspect.isclass(value) and issubclass(value, muspy.Dataset)
    }
    if class_name not in known:
        raise ValueError(
            f"dataset {name}: MusPy has no dataset class {class_name!r}; "
            f"it has: {', '.join(sorted(known))}"
        )
    return known[class_name]


def _open(name: str, source: MuspySource, kind: Any, scratch: Path, say: Say) -> Any:
    """The dataset, over a copy of its files in `scratch` where it is one of files in a folder."""
    arguments: dict[str, Any] = dict(source.arguments or {})
    sources: Mapping[str, Mapping[str, Any]] = getattr(kind, "_sources", {})
    if "root" in inspect.signature(kind).parameters:
        if source.root:
            if not Path(source.root).is_dir():
                raise ValueError(f"dataset {name}: root: {source.root} is no folder")
            shutil.copytree(source.root, scratch, ignore=shutil.ignore_patterns("_converted"))
        elif sources:
            scratch.mkdir(parents=True)
            archives.copy_files(name, _archives(source, sources), scratch, say)
        else:
            raise ValueError(
                f"dataset {name}: {source.class_name} downloads nothing; say where its files are "
                "with root: <folder>"
            )
        (scratch / SUCCESS).touch()
        arguments["root"] = scratch
    elif source.root:
        raise ValueError(f"dataset {name}: {source.class_name} takes no root")
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"dataset {name}: {source.class_name}: {error}") from error


def _archives(source: MuspySource, sources: Mapping[str, Mapping[str, Any]]) -> ArchivesSource:
    """MusPy's list of sources as a source of ours, with the checksums that it states."""
    return ArchivesSource(
        kind="archives",
        digest="",
        licence=source.licence,
        citation=source.citation,
        url=source.url,
        limit_mb=source.limit_mb,
        parts=tuple(
            Part(
                copies=(
                    Copy(
                        url=each["url"],
                        sha256=each.get("sha256"),
                        md5=each.get("md5"),
                        as_name=each["filename"],
                    ),
                )
            )
            for each in sources.values()
        ),
    )


def _labels(dataset: Any, root: Path) -> list[tuple[str, Path | None]]:
    """Of every item a name, and the file that it is read from if the dataset lists files."""
    listed = getattr(dataset, "raw_filenames", None) or getattr(dataset, "filenames", None)
    if listed is None:
        return [(f"{number:06}", None) for number in range(len(dataset))]
    labels: list[tuple[str, Path | None]] = []
    for item in listed:
        path, lines = item if isinstance(item, tuple) else (item, None)
        path = root / path
        label = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        labels.append((f"{label}@{lines[0]:06}" if lines else label, path))
    return labels


def _copy(dataset: Any, root: Path, folder: Path) -> Origins:
    files = {label.partition("@")[0]: path for label, path in _labels(dataset, root) if path}
    for label, path in sorted(files.items()):
        (folder / label).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / label)
    return {label: {} for label in sorted(files)}


def _convert(name: str, dataset: Any, root: Path, folder: Path, say: Say) -> Origins:
    import muspy

    origins: Origins = {}
    unreadable: list[str] = []
    labels = _labels(dataset, root)
    for number in sorted(range(len(dataset)), key=lambda number: labels[number][0]):
        label = labels[number][0]
        try:
            with warnings.catch_warnings():  # of deprecated calls, which are MusPy's to mend
                warnings.simplefilter("ignore")
                music = dataset[number]
        except Exception as error:  # MusPy raises whatever a file makes it stumble over
            words = " ".join(f"{type(error).__name__}: {error}".replace(str(root), "").split())
            unreadable.append(f"{label}: {words}\n")
            continue
        if music.metadata is not None:
            music.metadata.source_filename = PurePosixPath(label).name
        file = f"{label}.json"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        muspy.save_json(folder / file, music)
        origins[file] = {"from": label}
    if not origins:
        raise ValueError(f"dataset {name}: MusPy can read no piece of it; first: {unreadable[:1]}")
    if unreadable:
        say(f"{name}: MusPy cannot read {len(unreadable)} pieces; they are listed in {UNREADABLE}")
        (folder / UNREADABLE).write_text("".join(unreadable), encoding="utf-8")
        origins[UNREADABLE] = {}
    return origins
