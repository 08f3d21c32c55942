"""Turns one file into one clean piece, or into the reason why it is rejected.

For every piece, notes read = notes kept + notes dropped, by reason. An `Item` contains everything
else that is needed (name, published metadata), so items can be processed anywhere in any order.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.execution.guard import Limits
from ostinato.files import DamagedFile
from ostinato.music.piece import Piece, sort_notes
from ostinato.music.silence import close_silences
from ostinato.normalization.beats import BeatTables, on_beats
from ostinato.normalization.catalogue import Facts
from ostinato.normalization.marks import Marks, marks_of
from ostinato.normalization.splits import SplitRule, rule_from
from ostinato.readers.read import Reading, ReadOptions, read
from ostinato.settings import checked

REASONS = {
    "unreadable": "the reader failed; its message is in `detail`",
    "no notes": "the file contains no note; dropped notes and warnings are in `detail`",
    "kind not read": "music of a kind that no reader reads",
    "voices missing": "the score does not name every voice that the dataset requires",
    "voices not clear": "a voice has simultaneous notes in more than a few places",
    "time limit": "reading took longer than `limits.seconds` or `limits.wall_seconds`",
    "memory limit": "reading took more than `limits.megabytes`",
    "crash": "the reader's process crashed; how it ended is in `detail`",
    "no official split": "an official or given split does not list this piece",
    "copy": "the same music as the piece in `detail`, and the dataset drops copies",
}


@dataclass(frozen=True, kw_only=True)
class NormalizeOptions:
    """Options of a dataset for its pieces.

    reader: "": chosen by suffix; else the format of all files.
    pedal: keep (as annotations), fold (into durations) or ignore.
    muspy_share: share of MIDI files that MusPy also reads, to compare the notes (0 to 1).
    files: patterns of the music files; empty: every known suffix.
    beats: tables that say where the beats of played music are; none: the files' own beats.
    facts: rules that give titles, works, official splits and labels (see catalogue).
    voices: roles that every piece must have, monophonic; other parts are dropped and counted.
    max_divisi: maximum share of a voice's notes that overlap with others of the same voice.
    longest_silence: in quarter notes; whole bars are cut from rests of all voices that are longer.
    drop_copies: keep one of each set of copies.
    limits: time and memory for one file.
    """

    ticks_per_quarter: int = 480
    expand_repeats: bool = False
    reader: str = ""
    pedal: str = "keep"
    muspy_share: float = 0.01
    files: tuple[str, ...] = ()
    beats: BeatTables | None = None
    facts: tuple[Mapping[str, Any], ...] = ()
    voices: tuple[str, ...] = ()
    max_divisi: float = 0.05
    longest_silence: float = 4.0
    split: SplitRule = field(default_factory=SplitRule)
    drop_copies: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.reading()  # refuses invalid reader options

    def reading(self) -> ReadOptions:
        """The options of readers."""
        return ReadOptions(
            ticks_per_quarter=self.ticks_per_quarter,
            expand_repeats=self.expand_repeats,
            pedal=self.pedal,
            reader=self.reader,
            muspy_share=self.muspy_share,
        )


@dataclass(frozen=True)
class Item:
    """One piece to read: its file, its key if the file has several pieces, and its metadata."""

    path: Path
    key: str
    name: str
    id: str
    facts: Facts


@dataclass(frozen=True)
class Rejected:
    """A file that is not in the corpus: a reason from REASONS, and details."""

    file: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Kept:
    """One clean piece, its dropped notes by reason, and the marks by which copies are found.

    compared: other readers that read it, and whether they disagree (readers/midi_check.py).
    """

    piece: Piece
    facts: Facts
    dropped: Mapping[str, int]
    onset_error: float
    marks: Marks
    compared: Mapping[str, bool] = field(default_factory=dict)


def normalize_item(options: NormalizeOptions, keep: int, item: Item) -> Kept | Rejected:
    """Read and clean one piece, or return why not; `keep`: as in `marks_of`."""
    try:
        reading = read(item.path, item.key, options.reading())
        if options.beats and len(reading.piece.notes):
            reading = on_beats(reading, item.path, options.beats)
    except (DamagedFile, ValueError) as error:
        return Rejected(item.name, "unreadable", str(error).replace(str(item.path), item.name))
    if not len(reading.piece.notes):
        counts = reading.dropped.items()
        dropped = [f"{count} notes dropped: {why}" for why, count in sorted(counts)]
        return Rejected(item.name, "no notes", "; ".join([*dropped, *reading.piece.warnings]))
    piece = replace(
        reading.piece,
        id=item.id,
        source=item.name,
        title=item.facts.title or reading.piece.title,
        labels=dict(reading.piece.labels) | dict(item.facts.labels),
    )
    reading = replace(reading, piece=piece)
    if options.voices:
        voiced = keep_voices(reading, options)
        if isinstance(voiced, Rejected):
            return voiced
        reading = voiced
    return Kept(
        reading.piece,
        item.facts,
        reading.dropped,
        reading.onset_error,
        marks_of(reading.piece, keep),
        reading.compared,
    )


def keep_voices(reading: Reading, options: NormalizeOptions) -> Reading | Rejected:
    """Reduce a score to the required voices, in order, or return why that is impossible."""
    piece = reading.piece
    numbers = {
        role: [i for i, track in enumerate(piece.tracks) if track.role == role]
        for role in options.voices
    }
    missing = [role for role, found in numbers.items() if not found]
    if missing:
        names = ", ".join(track.name for track in piece.tracks)
        return Rejected(piece.source, "voices missing", f"no {', '.join(missing)} among: {names}")
    warnings, parts, dropped = list(piece.warnings), [], Counter(reading.dropped)
    for new, role in enumerate(options.voices):
        first, *others = numbers[role]
        notes = piece.notes[piece.notes["track"] == first].copy()
        notes["track"] = new
        parts.append(notes)
        dropped["second part of a voice"] += int(np.isin(piece.notes["track"], others).sum())
        shared = simultaneous(notes["onset"], notes["duration"])
        if shared > options.max_divisi * len(notes):
            return Rejected(
                piece.source, "voices not clear", f"{role}: {shared} of {len(notes)} notes overlap"
            )
        if shared:
            warnings.append(f"{role} divides: {shared} of its notes sound together with another")
    wanted = [number for found in numbers.values() for number in found]
    dropped["part is not one of the voices"] += int((~np.isin(piece.notes["track"], wanted)).sum())
    voiced = replace(
        piece,
        notes=sort_notes(np.concatenate(parts)),
        tracks=tuple(piece.tracks[numbers[role][0]] for role in options.voices),
    )
    closed, cut = close_silences(voiced, options.longest_silence)
    if cut:
        warnings.append(f"{cut:g} quarter notes of rests in all voices cut")
    return replace(
        reading,
        piece=replace(closed, warnings=tuple(warnings)),
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def simultaneous(onsets: np.ndarray, durations: np.ndarray) -> int:
    """Number of notes that begin before an earlier note has ended."""
    order = np.argsort(onsets, kind="stable")
    ends = np.maximum.accumulate(onsets[order] + durations[order])
    return int((onsets[order][1:] < ends[:-1]).sum())


def options_from(dataset: str, settings: Mapping[str, Any]) -> NormalizeOptions:
    """Options from a dataset's file.

    Raises:
        ValueError: an unknown option, split rule or limit, with the valid names.
    """
    plain = dict(settings)
    try:
        plain["split"] = rule_from(plain.get("split", {}))
        if plain.get("beats") is not None:
            plain["beats"] = checked(BeatTables, "normalize.beats", plain["beats"])
        plain["limits"] = checked(Limits, "normalize.limits", plain.get("limits", {}))
        return checked(NormalizeOptions, "normalize", plain)
    except ValueError as error:
        raise ValueError(f"dataset {dataset}: {error}") from error
