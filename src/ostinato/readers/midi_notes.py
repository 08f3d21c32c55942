"""Notes from the events of a MIDI file, by MusPy's documented rules.

A note-off ends the note of its track, channel and pitch that began first; a note-off without a note
is nothing; what never ends is closed with its track. Unlike MusPy a note belongs to the program in
force at its onset, not at its end.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ostinato.readers.midi_events import Ints, MidiEvents

Flags = npt.NDArray[np.bool_]
NUM_CHANNELS = 16


@dataclass(frozen=True, eq=False)
class RawNotes:
    """All notes of a file in its own ticks, in the order of their note-ons.

    track: number of the MIDI track; hanging: it was never ended.
    """

    track: Ints
    channel: Ints
    program: Ints
    onset: Ints
    end: Ints
    pitch: Ints
    velocity: Ints
    hanging: Flags

    def __len__(self) -> int:
        return len(self.onset)

    def where(self, keep: Flags) -> "RawNotes":
        """The notes that are to be kept."""
        if keep.all():
            return self
        return RawNotes(*(getattr(self, field.name)[keep] for field in fields(self)))


def pair_notes(events: MidiEvents) -> RawNotes:
    """One note for every note-on whose velocity is not 0."""
    kind = events.status >> 4
    is_note = (kind == 8) | (kind == 9)
    number = np.flatnonzero(is_note)
    voice = (events.track[number] * NUM_CHANNELS + (events.status[number] & 15)) * 128
    voice += events.first[number]
    order = np.argsort(voice, kind="stable")
    number, voice = number[order], voice[order]
    is_on = (kind[number] == 9) & (events.second[number] > 0)
    on, off = _match(voice, is_on)
    on, hanging = number[on], off < 0
    off = number[off]
    in_file = np.argsort(on)
    on, off, hanging = on[in_file], off[in_file], hanging[in_file]
    track = events.track[on]
    return RawNotes(
        track=track,
        channel=events.status[on] & 15,
        program=_programs(events, on),
        onset=events.time[on],
        end=np.where(hanging, events.track_ends[track], events.time[off]),
        pitch=events.first[on],
        velocity=events.second[on],
        hanging=hanging,
    )


def _match(voice: Ints, is_on: Flags) -> tuple[Ints, Ints]:
    """Places of the note-ons and of the note-offs that end them, -1 where none does.

    Of one voice the k-th note-on belongs to the k-th note-off that finds a sounding note. A
    note-off finds none where the count of ons minus offs falls to a new low below zero.
    """
    starts = np.flatnonzero(np.diff(voice, prepend=-1))
    part = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(voice)))
    step = np.where(is_on, 1, -1)
    total = np.cumsum(step)
    sounding = total - (total - step)[starts][part]
    if len(voice) and sounding.min() < 0:
        far = len(voice) + 1  # sets the voices apart, so that each has a running minimum of its own
        low = np.minimum(np.minimum.accumulate(sounding - far * part) + far * part, 0)
        before = np.concatenate(([0], low[:-1]))
        before[starts] = 0
        is_off = ~is_on & (sounding >= before)
    else:
        is_off = ~is_on
    on, off = np.flatnonzero(is_on), np.flatnonzero(is_off)
    ons = np.bincount(part[on], minlength=len(starts))
    offs = np.bincount(part[off], minlength=len(starts))
    rank = np.arange(len(on)) - (np.cumsum(ons) - ons)[part[on]]
    has_off = rank < offs[part[on]]
    end = np.full(len(on), -1, np.int64)
    end[has_off] = off[((np.cumsum(offs) - offs)[part[on]] + rank)[has_off]]
    return on, end


def _programs(events: MidiEvents, on: Ints) -> Ints:
    """The program of the track and channel of every note-on; 0 where none was set before it."""
    change = np.flatnonzero(events.status >> 4 == 12)
    if not len(change):
        return np.zeros(len(on), np.int64)
    size = len(events.status)
    part = events.track * NUM_CHANNELS + (events.status & 15)
    change = change[np.argsort(part[change], kind="stable")]
    last = np.searchsorted(part[change] * size + change, part[on] * size + on) - 1
    is_set = (last >= 0) & (part[change[last]] == part[on])
    return np.where(is_set, events.first[change[last]], 0)
