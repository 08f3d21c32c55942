"""From one file as published to one clean piece, or to the reason why there is none.

For every piece, notes read = notes kept + notes dropped by named reason. What a file needs beyond
its own content (its name, what its publisher says of it) comes in an `Item`, so that items can be
worked on anywhere, in any order.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.execution.guard import Limits
from ostinato.files import DamagedFile
from ostinato.music.piece import Piece, sort_notes
from ostinato.music.silence import close_silences
from ostinato.normalization.catalogue import Facts
from ostinato.normalization.marks import Marks, marks_of
from ostinato.normalization.splits import SplitRule, rule_from
from ostinato.readers.read import Reading, ReadOptions, read

REASONS = {
    "unreadable": "the reader failed; its own words are in `detail`",
    "no notes": "the file holds no note; what was dropped and what was wrong is in `detail`",
    "kind not read": "music of a kind that no reader reads",
    "voices missing": "not every voice the dataset asks for is named in the score",
    "voices not clear": "a voice sounds several notes at once in more than a few places",
    "time limit": "reading took longer than `limits.seconds`",
    "memory limit": "reading took more than `limits.megabytes`",
    "crash": "the file brought the reader's process down; how it ended is in `detail`",
    "no official split": "an official or given split says nothing of this piece",
    "copy": "the same music as the piece in `detail`, and the dataset drops copies",
}


@dataclass(frozen=True, kw_only=True)
class NormalizeOptions:
    """What a dataset asks of its pieces.

    reader: "" reads a file by its suffix; else a format that the suffix does not tell.
    pedal: keep (as annotations), fold (into durations) or ignore.
    muspy_share: of the MIDI files (0 to 1) that MusPy's reader reads as well, to compare the notes.
    files: patterns of the music files; empty takes all that can be read.
    facts: rules that give titles, works, official splits and labels (see catalogue).
    voices: roles that every piece must have, one line each; other parts are left out and counted.
    max_divisi: share of a voice's notes that may sound together with another of the same voice.
    longest_silence: quarter notes; whole bars are cut out of a longer rest of all voices.
    drop_copies: of pieces that are the same music, keep one.
    limits: time and memory that one file may take.
    """

    ticks_per_quarter: int = 480
    expand_repeats: bool = False
    reader: str = ""
    pedal: str = "keep"
    muspy_share: float = 0.01
    files: tuple[str, ...] = ()
    facts: tuple[Mapping[str, Any], ...] = ()
    voices: tuple[str, ...] = ()
    max_divisi: float = 0.05
    longest_silence: float = 4.0
    split: SplitRule = field(default_factory=SplitRule)
    drop_copies: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.reading()  # refuses what no reader knows

    def reading(self) -> ReadOptions:
        """The part of the options that a reader takes."""
        return ReadOptions(
            ticks_per_quarter=self.ticks_per_quarter,
            expand_repeats=self.expand_repeats,
            pedal=self.pedal,
            reader=self.reader,
            muspy_share=self.muspy_share,
        )


@dataclass(frozen=True)
class Item:
    """One piece to be: its file, its key where the file holds several, and what is said of it."""

    path: Path
    key: str
    name: str
    id: str
    facts: Facts


@dataclass(frozen=True)
class Rejected:
    """A file that is not in the corpus: a reason from REASONS, and what was found."""

    file: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Kept:
    """One clean piece, what was left out of it, and the marks by which its copies are found.

    compared: by which readers, and whether they disagree (see readers/midi_check).
    """

    piece: Piece
    facts: Facts
    dropped: Mapping[str, int]
    onset_error: float
    marks: Marks
    compared: Mapping[str, bool] = field(default_factory=dict)


def normalize_item(options: NormalizeOptions, keep: int, item: Item) -> Kept | Rejected:
    """Read and clean one piece, or say why it cannot be had; `keep` is that of its marks."""
    try:
        reading = read(item.path, item.key, options.reading())
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
    """Reduce a score to the voices asked for, in their order, or say why that cannot be."""
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
    """How many notes of one line begin before an earlier one has ended."""
    order = np.argsort(onsets, kind="stable")
    ends = np.maximum.accumulate(onsets[order] + durations[order])
    return int((onsets[order][1:] < ends[:-1]).sum())


def options_from(dataset: str, settings: Mapping[str, Any]) -> NormalizeOptions:
    """Options from a dataset's file, naming what they do not know.

    Raises:
        ValueError: an unknown option, split rule or limit, with the valid names.
    """
    known = [item.name for item in fields(NormalizeOptions)]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(
            f"dataset {dataset}: normalize has no option {', '.join(unknown)}; "
            f"its options are {', '.join(known)}"
        )
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for key, value in settings.items()
    }
    try:
        plain["split"] = rule_from(plain.get("split", {}))
        plain["limits"] = Limits(**plain.get("limits", {}))
        return NormalizeOptions(**plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"dataset {dataset}: {error}") from error
