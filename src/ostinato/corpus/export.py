"""Writes a corpus as a folder of files that other software opens, and says what they do not hold.

`pieces/<split>/` has one file a piece; in the format `muspy`, `muspy.MusicDataset` opens the folder
of a split or all of `pieces`. Every file is read back, and what differs is counted in
`manifest.json`: what is lost is measured, and not what a format is believed to lose.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ostinato.corpus.store import Entry, iterate_corpus, read_summary
from ostinato.execution.parallel import map_items
from ostinato.files import atomic_folder, checksums, write_json
from ostinato.music.convert_muspy import from_muspy, to_muspy
from ostinato.music.piece import Piece
from ostinato.music.write import write_midi
from ostinato.music.write_musicxml import write_musicxml
from ostinato.readers.read import ReadOptions, read

FORMAT = 1
AT_ONCE = 256  # pieces in memory
QPM_DIGITS = 2  # MIDI keeps tempos in whole microseconds a quarter
UNSAFE = re.compile(r"[^\w.-]+")


def _write_muspy(path: Path, piece: Piece) -> None:
    import muspy

    muspy.save_json(path, to_muspy(piece))


def _read_muspy(path: Path, piece: Piece) -> Piece:
    import muspy

    return from_muspy(muspy.load_json(path))


def _read(path: Path, piece: Piece) -> Piece:
    return read(path, "", ReadOptions(ticks_per_quarter=piece.ticks_per_quarter)).piece


@dataclass(frozen=True)
class FileFormat:
    """A kind of file: its suffix, how a piece is written, and how it is read back."""

    suffix: str
    write: Callable[[Path, Piece], None]
    read: Callable[[Path, Piece], Piece]


FORMATS: Mapping[str, FileFormat] = {
    "muspy": FileFormat(".json", _write_muspy, _read_muspy),
    "midi": FileFormat(".mid", write_midi, _read),
    "musicxml": FileFormat(".musicxml", write_musicxml, _read),
}


@dataclass(frozen=True)
class Written:
    """What became of a piece: items that its file does not hold, or why there is no file."""

    unsaid: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


def export_corpus(
    corpus: Path, out: Path, written_as: str, workers: int | None = None
) -> dict[str, Any]:
    """Write data/corpus/<dataset> into `out`, atomically; returns the manifest.

    workers: processes; default: OSTINATO_WORKERS, else one for each core.

    Raises:
        ValueError: an unknown format, naming the valid ones; an `out` with other files than an
            export's; no piece that could be written.
        MissingInput, DamagedFile: as `store.iterate_corpus`.
    """
    if written_as not in FORMATS:
        raise ValueError(f"format={written_as} is unknown; valid: {', '.join(FORMATS)}")
    _refuse_other_files(out)
    summary = read_summary(corpus)
    items, pieces, splits = Counter[str](), Counter[str](), Counter[str]()
    set_aside: dict[str, str] = {}
    with atomic_folder(out) as folder:
        names = _names(FORMATS[written_as].suffix)
        stream = iterate_corpus(corpus)
        while entries := list(islice(stream, AT_ONCE)):
            files = [folder / "pieces" / entry.split / names(entry) for entry in entries]
            found = map_items(
                _write_one, [written_as] * len(files), files, entries, workers=workers
            )
            for entry, written in zip(entries, found, strict=True):
                items.update(written.unsaid)
                pieces.update(dict.fromkeys(written.unsaid, 1))
                if written.problem:
                    set_aside[entry.piece.id] = written.problem
                else:
                    splits[entry.split] += 1
        if not splits:
            raise ValueError(f"no piece of {corpus} could be written; first: {set_aside}")
        manifest = {
            "format": FORMAT,
            "dataset": summary["dataset"],
            "written_as": written_as,
            **summary["origin"],
            "pieces": dict(splits),
            "unsaid": {what: {"items": items[what], "pieces": pieces[what]} for what in items},
            "set_aside": set_aside,
            "files": checksums(folder),
        }
        write_json(folder / "manifest.json", manifest)
    return manifest


def _refuse_other_files(out: Path) -> None:
    """Raise ValueError for a file, or a folder of other files, all of which would be lost."""
    if not out.exists() or ((out / "manifest.json").exists() and (out / "pieces").is_dir()):
        return
    if not out.is_dir() or any(out.iterdir()):
        raise ValueError(
            f"out={out} exists and is no export; an export would replace all that is in it: "
            "give another folder with out=…"
        )


def unsaid(piece: Piece, back: Piece) -> dict[str, int]:
    """Of each kind, how many items of a piece are not in what was read back; {} for nothing.

    Notes are compared by onset, duration and pitch, and apart from that by velocity.
    """
    found = {kind: (Counter(_items(piece)[kind]), Counter(_items(back)[kind])) for kind in KINDS}
    lost = {kind: (here - there).total() for kind, (here, there) in found.items()}
    lost["velocities"] -= lost["notes"]
    for note, number in (Counter(piece.annotations) - Counter(back.annotations)).items():
        kind = f"annotations: {note.kind or 'without a kind'}"
        lost[kind] = lost.get(kind, 0) + number
    return {kind: number for kind, number in lost.items() if number > 0}


KINDS = (
    "notes", "velocities", "tracks", "roles", "tempos", "meters", "keys", "labels", "warnings",
    "title", "id", "source",
)  # fmt: skip


def _items(piece: Piece) -> dict[str, Iterable[Hashable]]:
    rows = piece.notes[["onset", "duration", "pitch", "velocity"]].tolist()
    return {
        "notes": [row[:3] for row in rows],
        "velocities": rows,
        "tracks": [(track.name, track.program, track.is_drum) for track in piece.tracks],
        "roles": [track.role for track in piece.tracks if track.role],
        "tempos": [(tempo.onset, round(tempo.qpm, QPM_DIGITS)) for tempo in piece.tempos],
        "meters": piece.meters,
        "keys": piece.keys,
        "labels": piece.labels.items(),
        "warnings": piece.warnings,
        "title": [piece.title] if piece.title else [],
        "id": [piece.id],
        "source": [piece.source] if piece.source else [],
    }


def _write_one(written_as: str, path: Path, entry: Entry) -> Written:
    kind = FORMATS[written_as]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        kind.write(path, entry.piece)
        return Written(unsaid(entry.piece, kind.read(path, entry.piece)))
    except ValueError as error:
        path.unlink(missing_ok=True)
        return Written(problem=str(error).replace(str(path), path.name))


def _names(suffix: str) -> Callable[[Entry], str]:
    """File names from ids, without letters that some file system refuses; each once a split."""
    taken = Counter[tuple[str, str]]()

    def name(entry: Entry) -> str:
        safe = UNSAFE.sub("_", entry.piece.id).strip(".") or "piece"
        taken[entry.split, safe.lower()] += 1
        number = taken[entry.split, safe.lower()]
        return f"{safe}{suffix}" if number == 1 else f"{safe}~{number}{suffix}"

    return name
