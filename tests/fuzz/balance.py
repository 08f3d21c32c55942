"""Balances the notes of files: kept + dropped by reason = what an independent count finds.

    python tests/fuzz/balance.py [--unbalanced 20] [--dataset NAME ...] [folder, file or .zip ...]

Without arguments: the archives of OSTINATO_MIRROR, and the corpus inside music21. A dataset is
taken from OSTINATO_MIRROR and read as its file in conf/dataset says. The counters are
`count_notes` in balance_midi.py, balance_musicxml.py, balance_kern.py and balance_abc.py, which do
not use our readers. They count notes as they are written: an ABC note that a tie joins to the one
before it is one of them (`Reading.tied`); in kern and MusicXML a note that ends a tie is none,
unless it follows no note of its pitch (the reader's warning says how many). Prints a table by place
and format, and the files that do not balance; ends with 1 if there is one.

A file is damaged where its counter cannot count it, and refused where our reader does not read it.
"""

import argparse
import importlib
import re
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from balance_midi import Damaged
from published import mirrored

from ostinato.datasets.source import download, source_from
from ostinato.execution.commands import run_command
from ostinato.files import DamagedFile
from ostinato.normalization.build import list_items
from ostinato.normalization.normalize import NormalizeOptions, options_from
from ostinato.readers.base import MIDI_SUFFIXES, Reading
from ostinato.readers.read import SUFFIXES, XML_SUFFIXES, keys_in, read

FORMATS = dict.fromkeys(MIDI_SUFFIXES, "midi") | dict.fromkeys(XML_SUFFIXES, "musicxml")
FORMATS |= {".krn": "kern", ".kern": "kern", ".abc": "abc"}
ANEW = re.compile(r"(\d+) tied notes follow no note of their pitch")


@dataclass
class Account:
    """Files of one place and format. notes: that the counter finds in the files that balance."""

    files: int = 0
    balanced: int = 0
    notes: int = 0
    tied: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)


def main() -> int:
    """Read, count, print; by the exit status whether all files balance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="*", type=Path, help="folders, files, zip archives")
    parser.add_argument("--dataset", nargs="*", default=[], help="names in conf/dataset")
    parser.add_argument("--unbalanced", type=int, default=20, help="files shown of each row")
    args = parser.parse_args()
    places = args.places or ([] if args.dataset else [*mirrored(), music21_corpus()])
    accounts: dict[tuple[str, str], Account] = {}
    for label, files, options in [*folders(places), *datasets(args.dataset)]:
        for file in files():
            kind = FORMATS.get(file.suffix.lower(), "")
            account = accounts.setdefault((label, kind or "other"), Account())
            account.files += 1
            if kind:
                balance(file, kind, options, account)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{label} {kind} {account.files}        ")
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    show(accounts, args.unbalanced)
    return int(any(account.unbalanced for account in accounts.values()))


Files = Callable[[], Iterator[Path]]


def music21_corpus() -> Path:
    """The folder of scores inside the installed package."""
    import music21

    return Path(music21.__file__).parent / "corpus"


def folders(places: Sequence[Path]) -> Iterator[tuple[str, Files, NormalizeOptions]]:
    """Label, files and options of places; an archive is unpacked while it is read."""
    for place in places:
        label = "music21" if place == music21_corpus() else place.stem
        yield label, lambda place=place: _files(place), NormalizeOptions(muspy_share=0)


def _files(place: Path) -> Iterator[Path]:
    if place.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(place) as archive:
            archive.extractall(folder)
            yield from _files(Path(folder))
        return
    found = [place] if place.is_file() else sorted(place.rglob("*"))
    yield from (path for path in found if path.is_file() and path.suffix.lower() in SUFFIXES)


def datasets(names: Sequence[str]) -> Iterator[tuple[str, Files, NormalizeOptions]]:
    """The same of datasets."""
    for name in names:
        settings = yaml.safe_load(Path(f"conf/dataset/{name}.yaml").read_text("utf-8"))
        options = options_from(name, settings["normalize"])

        def files(
            name: str = name, source: dict = settings["source"], options: NormalizeOptions = options
        ) -> Iterator[Path]:
            with tempfile.TemporaryDirectory() as home:
                folder = Path(home, name)
                download(name, source_from(name, source), folder)
                items, _ = list_items(folder, options)
                yield from sorted({item.path for item in items})

        yield name, files, options


def balance(file: Path, kind: str, options: NormalizeOptions, account: Account) -> None:
    """Read a file and count its notes without the reader; book the result."""
    name = f"{file.parent.name}/{file.name}"
    count = importlib.import_module(f"balance_{kind}").count_notes
    try:
        counted = count(file.read_bytes().decode("utf-8", "replace") if kind == "abc" else file)
    except Damaged as error:
        account.damaged.append(f"{name}: {error}")
        return
    try:
        keys = keys_in(file)
        readings = {key: read(file, key, options.reading()) for key in keys}
    except (DamagedFile, ValueError) as error:
        account.refused.append(f"{name}: {error}")
        return
    by_piece = counted if isinstance(counted, dict) else {"": counted}
    wrong = [
        f"{key or 'file'} has {by_piece.get(key, 0)}, read are {accounted(readings[key], kind)}"
        if key in readings
        else f"{key} has {by_piece[key]}, and is not read"
        for key in sorted({*by_piece, *readings})
        if key not in readings or accounted(readings[key], kind) != by_piece.get(key, 0)
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        account.unbalanced.append(f"{name}: {'; '.join(wrong[:3])}{more}")
        return
    account.balanced += 1
    account.notes += sum(by_piece.values())
    for reading in readings.values():
        account.dropped.update(reading.dropped)
        account.tied += getattr(reading, "tied", 0) if kind == "abc" else 0


def accounted(reading: Reading, kind: str) -> int:
    """Notes that the reader kept or dropped, in the terms of the counter of this format."""
    found = len(reading.piece.notes) + sum(reading.dropped.values())
    if kind == "abc":
        return found + getattr(reading, "tied", 0)
    anew = (ANEW.match(warning) for warning in reading.piece.warnings)
    return found - sum(int(match[1]) for match in anew if match) * (kind != "midi")


def show(accounts: dict[tuple[str, str], Account], most: int) -> None:
    """Print the table, then the files that do not balance."""
    names = (
        "place",
        "format",
        "files",
        "balanced",
        "not",
        "damaged",
        "refused",
        "notes",
        "dropped",
    )
    rows = [names]
    for (label, kind), a in accounts.items():
        counts = (a.files, a.balanced, len(a.unbalanced), len(a.damaged), len(a.refused), a.notes)
        tied = [f"{a.tied:,} tied"] if a.tied else []
        reasons = [f"{number:,} {reason}" for reason, number in sorted(a.dropped.items())]
        numbers = [f"{number:,}" for number in counts]
        rows.append((label, kind, *numbers, ", ".join([*reasons, *tied]) or "none"))
    for row in rows:
        sys.stdout.write("| " + " | ".join(row) + " |\n")
    for (label, kind), account in accounts.items():
        for what in ("unbalanced", "damaged", "refused"):
            lines = getattr(account, what)
            sys.stdout.writelines(f"{what}, {label} {kind}: {line}\n" for line in lines[:most])
            if len(lines) > most:
                sys.stdout.write(f"{what}, {label} {kind}: {len(lines) - most} more\n")


if __name__ == "__main__":
    run_command(main)
