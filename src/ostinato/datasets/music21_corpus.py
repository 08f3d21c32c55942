"""The corpus that ships inside the installed music21 package, read at run time.

music21 assumes no copyright in it and points to the terms inside each encoding, so the files are
never part of this project; the manifest repeats for each file who encoded it and what rights it
states.
"""

import fnmatch
import importlib.util
import shutil
import zipfile
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, fromstring

from ostinato.datasets.source import Source
from ostinato.execution.files import MissingInput

CREDIT_WORDS = ("encod", "copyright", "edited", "edition", "greentree", "rights", "©", "arr.")


def corpus_folder() -> Path:
    """The folder of the installed corpus, found without importing music21."""
    found = importlib.util.find_spec("music21")
    if found is None or found.origin is None:
        raise MissingInput("the package music21 is not installed; install it with: make setup")
    return Path(found.origin).parent / "corpus"


def copy_files(source: Source, out: Path) -> dict[str, dict[str, str]]:
    """Copy the files that match, and say of each what it states about its origin and terms."""
    corpus = corpus_folder()
    names = sorted(
        path.relative_to(corpus).as_posix()
        for pattern in source.include
        for path in corpus.glob(pattern)
        if path.is_file()
    )
    origins = {}
    for name in names:
        if any(fnmatch.fnmatch(name, pattern) for pattern in source.exclude or {}):
            continue
        target = out / Path(name).name
        shutil.copyfile(corpus / name, target)
        origins[target.name] = {"path": f"music21/corpus/{name}"} | stated_origin(target)
    return origins


def stated_origin(path: Path) -> dict[str, str]:
    """Credits, rights and encoding software that a MusicXML score states; empty where it is
    silent.
    """
    try:
        root = _root(path)
    except (ParseError, zipfile.BadZipFile, KeyError):
        return {"encoding": "", "rights": ""}
    words = [word.text or "" for word in root.iter("credit-words")]
    credited = [text for text in words if any(mark in text.lower() for mark in CREDIT_WORDS)]
    encoders = [item.text or "" for item in root.iter("encoder")]
    software = [item.text or "" for item in root.iter("software")]
    rights = [item.text or "" for item in root.iter("rights")]
    return {
        "encoding": "; ".join(_clean(credited + encoders + software)),
        "rights": "; ".join(_clean(rights)),
    }


def _clean(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(" ".join(text.split()) for text in texts if text.strip()))


def _root(path: Path) -> Element:
    if path.suffix == ".mxl":
        with zipfile.ZipFile(path) as archive:
            scores = [n for n in archive.namelist() if not n.startswith("META-INF")]
            return fromstring(archive.read(scores[0]))
    return fromstring(path.read_bytes())
