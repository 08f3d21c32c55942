"""A score as it is written, in exact fractions of a quarter note, and how it becomes a piece.

Readers of notated music fill a `Score` in page order. `perform` then plays spans of the page in any
order (repeats, endings, sections), joins tied notes, and rounds to ticks once, at the end, so that
rounding errors do not add up.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeVar

import numpy as np

from ostinato.files import DamagedFile
from ostinato.music.piece import (
    NOTE,
    Annotation,
    Change,
    Key,
    Meter,
    Notes,
    Piece,
    Tempo,
    Track,
    sort_notes,
)
from ostinato.readers.base import Reading

NOT_PLAYED = "ending or section not played"
ROUNDED = Fraction(1, 12)  # of a quarter: the most that files leave between notes by rounding

Span = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Written:
    """A note as it is written; tied to an earlier one (`tied_in`) or a later one (`tied_out`)."""

    onset: Fraction
    duration: Fraction
    pitch: int
    velocity: int = 80
    voice: str = ""
    tied_in: bool = False
    tied_out: bool = False


@dataclass(frozen=True)
class Mark:
    """A tempo, meter, key or annotation (its own onset is 0) at a time in quarter notes."""

    onset: Fraction
    value: Tempo | Meter | Key | Annotation


Event = TypeVar("Event", Written, Mark)


@dataclass
class Score:
    """What a reader found on the page: `notes` has a list for each of `tracks`."""

    title: str = ""
    tracks: list[Track] = field(default_factory=list)
    notes: list[list[Written]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)

    def mark(self, onset: Fraction, value: Tempo | Meter | Key | Annotation) -> None:
        """Add a mark at `onset` quarter notes."""
        self.marks.append(Mark(onset, value))

    def end(self) -> Fraction:
        """End of the last written note in quarter notes."""
        ends = [note.onset + note.duration for notes in self.notes for note in notes]
        return max(ends, default=Fraction(0))


def perform(
    score: Score, spans: Sequence[Span] | None, piece_id: str, source: str, ticks_per_quarter: int
) -> Reading:
    """Play the spans of a score one after another; None plays the page as it is written.

    Notes belong to the span they begin in; those of no span are counted as dropped. Tracks without
    a note are left out. Tied notes without a note before them are struck, with a warning.
    """
    notes, marks = score.notes, sorted(score.marks, key=lambda mark: mark.onset)
    tied = 0
    if spans is not None:
        spans = _merged(spans)
        unplayed = sum(_unplayed(track, spans) for track in notes)
        score.dropped[NOT_PLAYED] += unplayed
        tied = sum(not _is_played(note, spans) for track in notes for note in track) - unplayed
        notes = [_played(track, spans) for track in notes]
        marks = _played_marks(marks, spans)
    joined = [join_ties(track) for track in notes]
    tied += sum(map(len, notes)) - sum(map(len, joined))
    if struck := sum(note.tied_in for track in joined for note in track):
        score.warnings.append(f"{struck} tied notes follow no note of their pitch; struck anew")
    used = [number for number, track in enumerate(joined) if track]
    rows, error = _rows([joined[number] for number in used], ticks_per_quarter)
    piece = Piece(
        id=piece_id,
        ticks_per_quarter=ticks_per_quarter,
        notes=rows,
        tracks=tuple(score.tracks[number] for number in used),
        tempos=changes(_placed(marks, Tempo, ticks_per_quarter)),
        meters=changes(_placed(marks, Meter, ticks_per_quarter)),
        keys=changes(_placed(marks, Key, ticks_per_quarter)),
        annotations=ordered(_placed(marks, Annotation, ticks_per_quarter)),
        title=score.title,
        source=source,
        warnings=tuple(dict.fromkeys(score.warnings)),
    )
    return Reading(piece, counts(score.dropped), error, tied=tied)


def counts(dropped: Counter[str]) -> Mapping[str, int]:
    """The reasons that occurred, in alphabetical order."""
    return {reason: number for reason, number in sorted(dropped.items()) if number}


def ticks(onset: Fraction, ticks_per_quarter: int) -> int:
    """The nearest tick, the later one of two equally near."""
    return int((onset * ticks_per_quarter * 2 + 1) // 2)


def join_ties(notes: Iterable[Written]) -> list[Written]:
    """Make one note of every chain of tied notes.

    A tie joins notes of one pitch that follow each other without a gap, up to `ROUNDED`: within a
    named voice, or into a note that is marked as tied to the one before. A marked note also ends a
    tie that is still sounding, in a bar that is filled wrongly. A tie to no note is ignored.
    """
    joined: list[Written] = []
    open_ties: dict[int, list[int]] = defaultdict(list)  # by pitch: numbers of notes in `joined`
    for note in sorted(notes, key=lambda note: note.onset):
        gaps = {n: note.onset - _end(joined[n]) for n in open_ties[note.pitch]}
        waiting = [n for n, gap in gaps.items() if gap <= ROUNDED]
        ending = sorted((n for n in waiting if gaps[n] >= 0), key=gaps.__getitem__)
        sounding = [n for n in waiting if joined[n].onset < note.onset] if note.tied_in else []
        found = [
            *(n for n in ending if note.voice and joined[n].voice == note.voice),
            *(ending if note.tied_in else []),
            *(n for n in sounding if joined[n].voice == note.voice),
        ]
        if found:
            number = found[0]
            waiting.remove(number)
            first = joined[number]
            end = max(_end(first), _end(note))
            joined[number] = replace(first, duration=end - first.onset)
        else:
            number = len(joined)
            joined.append(note)
        open_ties[note.pitch] = [*waiting, number] if note.tied_out else waiting
    return joined


def _end(note: Written) -> Fraction:
    return note.onset + note.duration


def changes(values: Iterable[Change]) -> tuple[Change, ...]:
    """Sorted by onset, the last of several at one onset, without those that change nothing."""
    at_onset = {value.onset: value for value in values}
    kept: list[Change] = []
    for _, value in sorted(at_onset.items()):
        if not kept or vars(kept[-1]) | {"onset": 0} != vars(value) | {"onset": 0}:
            kept.append(value)
    return tuple(kept)


def ordered(annotations: Iterable[Annotation]) -> tuple[Annotation, ...]:
    """Sorted by onset and kind, each once: parts of a score often repeat the same one."""
    return tuple(sorted(dict.fromkeys(annotations), key=lambda a: (a.onset, a.kind)))


Placed = TypeVar("Placed", Tempo, Meter, Key, Annotation)


def _placed(marks: Sequence[Mark], kind: type[Placed], ticks_per_quarter: int) -> list[Placed]:
    return [
        replace(mark.value, onset=ticks(mark.onset, ticks_per_quarter))
        for mark in marks
        if isinstance(mark.value, kind)
    ]


def _merged(spans: Sequence[Span]) -> list[Span]:
    """Joins spans that follow each other on the page."""
    merged: list[Span] = []
    for start, end in spans:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def _played(events: Sequence[Event], spans: Sequence[Span]) -> list[Event]:
    """Events of every span at the time it is played; those at its end belong to the next."""
    events = sorted(events, key=lambda event: event.onset)
    onsets = [event.onset for event in events]
    played: list[Event] = []
    time = Fraction(0)
    for start, end in spans:
        inside = events[bisect_left(onsets, start) : bisect_left(onsets, end)]
        played += [replace(event, onset=event.onset - start + time) for event in inside]
        time += end - start
    return played


def _unplayed(notes: Sequence[Written], spans: Sequence[Span]) -> int:
    """Number of struck notes that no span plays; a chain of tied notes on the page is one."""
    left_out = (note for note in join_ties(notes) if not _is_played(note, spans))
    return sum(not note.tied_in for note in left_out)


def _is_played(note: Written, spans: Sequence[Span]) -> bool:
    return any(start <= note.onset < end for start, end in spans)


def _played_marks(marks: Sequence[Mark], spans: Sequence[Span]) -> list[Mark]:
    """Marks of every span; after a jump also the tempo, meter and key in force there."""
    played, time, previous = [], Fraction(0), Fraction(0)
    for start, end in spans:
        if start != previous:
            played += [replace(mark, onset=time) for mark in _in_force(marks, start)]
        inside = _played([mark for mark in marks if start <= mark.onset < end], [(start, end)])
        played += [replace(mark, onset=mark.onset + time) for mark in inside]
        time, previous = time + end - start, end
    return played


def _in_force(marks: Sequence[Mark], onset: Fraction) -> list[Mark]:
    latest: dict[type, Mark] = {}
    for mark in marks:
        if mark.onset <= onset and not isinstance(mark.value, Annotation):
            latest[type(mark.value)] = mark
    return list(latest.values())


def _rows(tracks: Sequence[Sequence[Written]], ticks_per_quarter: int) -> tuple[Notes, float]:
    """Notes in ticks (at least one each), and the mean absolute change of onsets in quarters."""
    rows, moved = [], Fraction(0)
    last = max((_end(note) for track in tracks for note in track), default=Fraction(0))
    if last * ticks_per_quarter > np.iinfo(np.int32).max:
        raise DamagedFile(f"it lasts {float(last):.3g} quarter notes, too long to count in ticks")
    for number, track in enumerate(tracks):
        for note in track:
            onset = ticks(note.onset, ticks_per_quarter)
            end = ticks(note.onset + note.duration, ticks_per_quarter)
            rows.append((number, onset, max(1, end - onset), note.pitch, note.velocity))
            moved += abs(Fraction(onset, ticks_per_quarter) - note.onset)
    return sort_notes(np.array(rows, dtype=NOTE)), float(moved / len(rows)) if rows else 0.0


def concert_fifths(fifths: int, transpose: int) -> int:
    """The key that sounds where `fifths` is written for an instrument `transpose` semitones off."""
    if not transpose % 12:
        return fifths
    sounding = fifths + (7 * transpose + 6) % 12 - 6
    return sounding - 12 if sounding > 7 else sounding + 12 if sounding < -7 else sounding
