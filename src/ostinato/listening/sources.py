"""Finds the music of the systems of a study: samples, held-out pieces, folders of files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ostinato.corpus.store import Entry, iterate_corpus
from ostinato.files import MissingInput, require
from ostinato.listening.study import Source
from ostinato.music.piece import Piece
from ostinato.readers.midi_file import read_midi_file
from ostinato.samples import sample_rows, sampled_by

MIDI = (".mid", ".midi", ".mxl", ".musicxml")
AUDIO = (".wav", ".flac", ".mp3", ".ogg")


@dataclass(frozen=True)
class Recording:
    """Sound of a file, (samples, channels), and its sample rate."""

    sound: npt.NDArray[np.float32]
    rate: int


@dataclass(frozen=True)
class Candidate:
    """One piece or recording of a system; `prompt` names the piece that it continues or renders."""

    system: str
    name: str
    prompt: str
    music: Piece | Recording


Aside = dict[str, str]  # system/name → why it cannot be used


def candidates(system: str, source: Source, root: Path) -> tuple[list[Candidate], Aside]:
    """All music of a system in a fixed order, and what cannot be used, with the reason.

    Raises:
        MissingInput, DamagedFile: a file or folder is missing or damaged; names the remedy.
    """
    if source.samples:
        return _samples(system, source, root)
    if source.corpus:
        return _corpus(system, source, root), {}
    return _folder(system, root / source.folder)


def _samples(system: str, source: Source, root: Path) -> tuple[list[Candidate], Aside]:
    folder = root / "samples" / source.samples
    listed = sample_rows(folder)
    rows = [row for row in listed if row["task"] == source.task]
    if not rows:
        tasks = sorted({row["task"] for row in listed})
        raise ValueError(
            f"systems.{system}: {folder} has no samples of task {source.task!r}; "
            f"it has: {', '.join(tasks)}"
        )
    found, aside = [], {}
    for row in rows:
        name = Path(row["file"] or f"{row['task']}-{row['index']}").stem
        if row["failed"] or not row["file"]:
            aside[f"{system}/{name}"] = str(row["failed"] or "no file")
            continue
        path = require(folder / row["file"], sampled_by(folder))
        try:
            piece = read_midi_file(path)
        except ValueError as error:
            raise ValueError(f"{error}; make it again: {sampled_by(folder)}") from error
        found.append(Candidate(system, name, str(row["prompt"] or ""), piece))
    return found, aside


def _corpus(system: str, source: Source, root: Path) -> list[Candidate]:
    folder = root / "data" / "corpus" / source.corpus
    return held_out(system, source, iterate_corpus(folder))


def held_out(system: str, source: Source, entries: Iterable[Entry]) -> list[Candidate]:
    """The pieces of the wanted splits; raises ValueError where there are none."""
    found, splits = [], set()
    for entry in entries:
        splits.add(str(entry.split))
        if entry.split in source.splits:
            found.append(Candidate(system, entry.piece.id, entry.piece.id, entry.piece))
    if not found:
        raise ValueError(
            f"systems.{system}: {source.corpus} has no pieces of the splits "
            f"{', '.join(source.splits)}; it has: {', '.join(sorted(splits))}"
        )
    return found


def _folder(system: str, folder: Path) -> tuple[list[Candidate], Aside]:
    if not folder.is_dir():
        raise MissingInput(f"systems.{system}.folder={folder} is not a folder; put the files there")
    from ostinato.readers.read import read_piece  # imports every reader, which takes seconds

    found: list[Candidate] = []
    aside: Aside = {}
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if path.name.startswith(".") or path.is_dir():
            continue
        try:
            if suffix in MIDI:
                music: Piece | Recording = read_piece(path)
            elif suffix in AUDIO:
                music = read_sound(path)
            else:
                aside[f"{system}/{path.name}"] = f"not one of {', '.join((*MIDI, *AUDIO))}"
                continue
        except (ValueError, RuntimeError) as error:  # one damaged file
            aside[f"{system}/{path.name}"] = str(error)
            continue
        found.append(Candidate(system, path.stem, path.stem, music))
    if not found and not aside:
        raise ValueError(
            f"systems.{system}: {folder} is empty; put files there: {', '.join((*MIDI, *AUDIO))}"
        )
    return found, aside


def read_sound(path: Path) -> Recording:
    """Sound of a WAV, FLAC, MP3 or Ogg file; raises RuntimeError where it cannot be decoded."""
    import soundfile

    sound, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    return Recording(np.asarray(sound, dtype=np.float32), int(rate))


def all_candidates(
    systems: Mapping[str, Source], root: Path
) -> tuple[dict[str, list[Candidate]], Aside]:
    """The candidates of every system, and everything set aside."""
    found: dict[str, list[Candidate]] = {}
    aside: Aside = {}
    for system, source in systems.items():
        found[system], unusable = candidates(system, source, root)
        aside |= unusable
    return found, aside
