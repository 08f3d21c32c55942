"""Reads Standard MIDI Files, whole or damaged, and accounts for every note.

Notes follow MusPy's documented rules (see midi_notes), in a tenth of its time: MusPy reads
through mido, which makes an object of every event. What MusPy refuses or reads otherwise is said in
the piece's warnings, and so is what other readers read otherwise (see midi_check).
"""

from pathlib import Path

import numpy as np

from ostinato.music.piece import NOTE, Notes, Piece
from ostinato.music.signatures import with_pickup
from ostinato.readers.base import Reading, ReadOptions
from ostinato.readers.midi_check import opinions
from ostinato.readers.midi_events import Ints, MidiEvents, read_events
from ostinato.readers.midi_meta import read_metas
from ostinato.readers.midi_notes import Flags, RawNotes, pair_notes
from ostinato.readers.midi_pedal import annotate, fold, longest_ticks, read_pedal
from ostinato.readers.midi_time import LATEST_QUARTERS, LONGEST_QUARTERS, rescale
from ostinato.readers.midi_tracks import name_tracks, number_tracks

ZERO_LENGTH = "zero length"
TOO_LONG = f"longer than {LONGEST_QUARTERS} quarters"
TOO_LATE = f"later than {LATEST_QUARTERS} quarters"
STRUCK_TWICE = "struck twice at once"
BORROWED = (
    "notes whose program another track of their channel set; MusPy reads the one of their own track"
)
_ORDER = ("velocity", "duration", "pitch", "track", "onset")  # the last one counts most


def read_midi(path: Path, options: ReadOptions) -> Reading:
    """Read a MIDI file of any type.

    Raises:
        DamagedFile: the file has no header, no time unit, no track, or lasts too long.
        ValueError: the piece does not fit into 32 bits of the wanted ticks.
    """
    return read_midi_bytes(path.read_bytes(), path.name, options)


def read_midi_bytes(data: bytes, name: str, options: ReadOptions) -> Reading:
    """Read the content of a MIDI file called `name`; see `read_midi`."""
    events = read_events(data)
    every = pair_notes(events)
    meta = read_metas(events, options.ticks_per_quarter)
    notes, dropped = _drop(every, events)
    number, example = number_tracks(notes)
    tracks, kits = name_tracks(notes, number, example, meta.names)
    pedal = read_pedal(events)
    annotations = meta.words
    if options.pedal == "fold":
        notes = fold(notes, pedal, events)
    elif options.pedal == "keep":
        parts = events.parts(notes.track[example], notes.channel[example])
        annotations += annotate(pedal, parts.tolist(), events, options.ticks_per_quarter)
    arranged, error = _arrange(notes, number, events, options.ticks_per_quarter)
    silenced = int(every.silenced.sum())
    hanging = int(every.hanging.sum()) - silenced
    unended = [f"notes never ended, closed with their track: {hanging}"] if hanging else []
    unended += [f"notes ended by a message to their channel: {silenced}"] if silenced else []
    borrowed = int(every.borrowed.sum())
    programs = [f"{BORROWED}: {borrowed}"] if borrowed else []
    others = opinions(data, events, every, options.muspy_share)
    piece = Piece(
        id=Path(name).stem,
        ticks_per_quarter=options.ticks_per_quarter,
        notes=arranged,
        tracks=tracks,
        tempos=meta.tempos,
        meters=meta.meters,
        keys=meta.keys,
        annotations=tuple(sorted(annotations, key=lambda a: (a.onset, a.kind))),
        title=meta.title,
        source=name,
        warnings=(
            *events.warnings,
            *meta.warnings,
            *unended,
            *programs,
            *kits,
            *others.warnings,
        ),
    )
    return Reading(with_pickup(piece), dropped, error, others.compared)


def _drop(notes: RawNotes, events: MidiEvents) -> tuple[RawNotes, dict[str, int]]:
    """The notes that can be, and the number of the others by reason."""
    dropped = dict(events.lost)
    latest, longest = int(LATEST_QUARTERS * events.header.resolution), longest_ticks(events)
    for reason, is_good in (
        (TOO_LATE, lambda some: some.onset <= latest),
        (ZERO_LENGTH, lambda some: some.end > some.onset),
        (TOO_LONG, lambda some: some.end - some.onset <= longest),
        (STRUCK_TWICE, _is_longest),
    ):
        kept = notes.where(is_good(notes))
        dropped[reason] = len(notes) - len(kept)
        notes = kept
    return notes, {reason: count for reason, count in sorted(dropped.items()) if count}


def _is_longest(notes: RawNotes) -> Flags:
    """Of the notes of one track, onset and pitch the longest, of equals the loudest."""
    number, _ = number_tracks(notes)
    key = (number << 38) + (notes.onset << 7) + notes.pitch  # an onset has 31 bits
    keep = np.ones(len(notes), np.bool_)
    if not np.diff(np.sort(key)).all():
        order = np.lexsort((notes.velocity, notes.end, key))
        keep[order[:-1]] = np.diff(key[order]) != 0
    return keep


def _arrange(
    notes: RawNotes, number: Ints, events: MidiEvents, ticks_per_quarter: int
) -> tuple[Notes, float]:
    """The piece's notes in its order and ticks, and the mean change of their onsets (quarters)."""
    resolution = events.header.resolution
    onset = rescale(notes.onset, resolution, ticks_per_quarter)
    end = rescale(notes.end, resolution, ticks_per_quarter)
    arranged = np.empty(len(notes), NOTE)
    arranged["track"], arranged["onset"] = number, onset
    arranged["duration"] = np.maximum(end - onset, 1)
    arranged["pitch"], arranged["velocity"] = notes.pitch, notes.velocity
    order = np.lexsort([arranged[field] for field in _ORDER])
    if not len(notes):
        return arranged, 0.0
    moved = np.abs(onset / ticks_per_quarter - notes.onset / float(resolution))
    return arranged[order], float(moved.mean())
