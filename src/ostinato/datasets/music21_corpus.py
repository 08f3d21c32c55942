"""Copies files of the corpus inside the installed music21 package.

music21 claims no copyright in it and refers to the terms stated in each file, so the files are not
part of this repository; the manifest states the encoder and the rights of each file.
"""

import fnmatch
import importlib.util
import shutil
import zipfile
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, fromstring

from ostinato.datasets.kinds import Music21Source
from ostinato.files import MissingInput

CREDIT_WORDS = ("encod", "copyright", "edited", "edition", "greentree", "rights", "©", "arr.")
LINES = {  # keys of the lines that state the encoder, and those that state the rights
    ".krn": (
        ("!!!ENC", "!!!EED", "!!!ENP", "!!!END"),
        ("!!!YEP", "!!!YEC", "!!!YER", "!!!YEM"),
    ),
    ".abc": (("Z", "%%abc-edited-by"), ("%%abc-copyright",)),
}


def corpus_folder() -> Path:
    """The folder of the installed corpus, found without importing music21."""
    found = importlib.util.find_spec("music21")
    if found is None or found.origin is None:
        raise MissingInput("the package music21 is not installed; install it with: make setup")
    return Path(found.origin).parent / "corpus"


def copy_files(name: str, source: Music21Source, out: Path) -> dict[str, dict[str, str]]:
    """Copy the files that match; returns what each states about its origin and terms.

    Files of one folder of the corpus are copied into `out` itself; files of several folders keep
    their folders, because names could be equal.

    Raises:
        ValueError: a pattern matches nothing.
    """
    corpus = corpus_folder()
    chosen = _chosen(name, source, corpus)
    several = len({file.parent for file in chosen}) > 1
    origins = {}
    for file in chosen:
        target = out / (file if several else file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(corpus / file, target)
        stated = {"path": f"music21/corpus/{file.as_posix()}"} | stated_origin(target)
        origins[target.relative_to(out).as_posix()] = stated
    return origins


def _chosen(name: str, source: Music21Source, corpus: Path) -> list[Path]:
    """The files to copy, relative to the corpus, sorted."""
    found: set[Path] = set()
    for pattern in source.include:
        matched = [path.relative_to(corpus) for path in corpus.glob(pattern) if path.is_file()]
        if not matched:
            raise ValueError(f"dataset {name}: no file matches {pattern} in music21's corpus")
        found.update(matched)
    excluded = source.exclude or {}
    return sorted(
        (f for f in found if not any(fnmatch.fnmatch(f.as_posix(), p) for p in excluded)),
        key=Path.as_posix,
    )


def stated_origin(path: Path) -> dict[str, str]:
    """Encoder and rights as a score states them; empty if it does not."""
    if path.suffix in LINES:
        encoding, rights = _lines(path)
    else:
        encoding, rights = _elements(path)
    return {"encoding": "; ".join(_clean(encoding)), "rights": "; ".join(_clean(rights))}


def _lines(path: Path) -> tuple[list[str], list[str]]:
    """Encoder and rights from the lines `key: value` of an ABC or kern file."""
    encoding: list[str] = []
    rights: list[str] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        kind, _, text = line.partition(":")
        encoders, owners = LINES[path.suffix]
        encoding += [text] if kind in encoders else []
        rights += [text] if kind in owners else []
    return encoding, rights


def _elements(path: Path) -> tuple[list[str], list[str]]:
    try:
        root = _root(path)
    except (ParseError, zipfile.BadZipFile, KeyError, LookupError, ValueError):
        return [], []
    words = [word.text or "" for word in root.iter("credit-words")]
    credited = [text for text in words if any(mark in text.lower() for mark in CREDIT_WORDS)]
    encoders = [item.text or "" for item in root.iter("encoder")]
    software = [item.text or "" for item in root.iter("software")]
    return credited + encoders + software, [item.text or "" for item in root.iter("rights")]


def _clean(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(" ".join(text.split()) for text in texts if text.strip()))


def _root(path: Path) -> Element:
    if path.suffix == ".mxl":
        with zipfile.ZipFile(path) as archive:
            scores = [n for n in archive.namelist() if not n.startswith("META-INF")]
            return fromstring(archive.read(scores[0]))
    return fromstring(path.read_bytes())
