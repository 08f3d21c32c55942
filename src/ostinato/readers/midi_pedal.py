"""The sustain pedal: as annotations, or folded into the durations of the notes it holds."""

from dataclasses import dataclass, replace

import numpy as np

from ostinato.music.piece import Annotation
from ostinato.readers.midi_events import Ints, MidiEvents
from ostinato.readers.midi_notes import Flags, RawNotes
from ostinato.readers.midi_time import LATEST_QUARTERS, LONGEST_QUARTERS, rescale

SUSTAIN, DOWN_FROM = 64, 64  # controller; its values 64..127 are down
_PART = 1 << 32  # beyond any time in ticks
_PITCHES = 128


@dataclass(frozen=True, eq=False)
class Pedal:
    """Presses and releases in the file's ticks, ordered by part, then time; each changes the state.

    part: see `MidiEvents.parts`. end: when a pedal that is never released is taken to be.
    """

    part: Ints
    time: Ints
    is_down: Flags
    end: int


def read_pedal(events: MidiEvents) -> Pedal:
    """The changes of all sustain pedals."""
    number = np.flatnonzero((events.status >> 4 == 11) & (events.first == SUSTAIN))
    part = events.parts(events.track[number], events.status[number] & 15)
    time, is_down = events.time[number], events.second[number] >= DOWN_FROM
    order = np.lexsort((time, part))
    part, time, is_down = part[order], time[order], is_down[order]
    is_first = np.diff(part, prepend=-1) != 0
    before = np.concatenate(([False], is_down[:-1])) & ~is_first
    changes = is_down != before
    return Pedal(part[changes], time[changes], is_down[changes], int(events.track_ends.max()))


def fold(notes: RawNotes, pedal: Pedal, events: MidiEvents) -> RawNotes:
    """Notes that end under a pedal last until it is released or their key is struck again, but not
    longer than is believed.
    """
    if not len(pedal.time) or not len(notes):
        return notes
    part = events.parts(notes.track, notes.channel)
    times = pedal.part * _PART + pedal.time
    last = np.searchsorted(times, part * _PART + notes.end, side="right") - 1
    is_held = (last >= 0) & (pedal.part[last] == part) & pedal.is_down[last]
    following = np.minimum(last + 1, len(times) - 1)
    is_released = (last + 1 < len(times)) & (pedal.part[following] == part)
    release = np.where(is_released, pedal.time[following], pedal.end)
    key = (part * _PITCHES + notes.pitch) * _PART
    strikes = np.sort(key + notes.onset)
    strike = np.searchsorted(strikes, key + notes.end)
    again = strikes[np.minimum(strike, len(strikes) - 1)] - key
    is_struck = (strike < len(strikes)) & (again >= 0) & (again < _PART)
    until = np.where(is_struck, np.minimum(release, again), release)
    until = np.minimum(until, notes.onset + longest_ticks(events))
    return replace(notes, end=np.where(is_held, np.maximum(notes.end, until), notes.end))


def annotate(
    pedal: Pedal, parts: list[int], events: MidiEvents, ticks_per_quarter: int
) -> list[Annotation]:
    """An annotation `pedal` for every change and every track that it holds.

    parts: the part of every track of the piece.
    """
    header = events.header
    early = pedal.time <= int(LATEST_QUARTERS * header.resolution)
    onsets = rescale(pedal.time[early], header.resolution, ticks_per_quarter).tolist()
    values: dict[tuple[int, bool], list[str]] = {}
    for number, part in enumerate(parts):
        values.setdefault((part, True), []).append(f"{number} down")
        values.setdefault((part, False), []).append(f"{number} up")
    changes = zip(onsets, pedal.part[early].tolist(), pedal.is_down[early].tolist(), strict=True)
    return [
        Annotation(onset, "pedal", value)
        for onset, part, is_down in changes
        for value in values.get((part, is_down), ())
    ]


def longest_ticks(events: MidiEvents) -> int:
    """The longest duration that is believed, in the file's ticks."""
    return int(LONGEST_QUARTERS * events.header.resolution)
