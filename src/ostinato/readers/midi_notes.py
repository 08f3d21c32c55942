"""Notes from the events of a MIDI file, by MusPy's documented rules.

A note-off ends the note of its track, channel and pitch that began first; a note-off without a note
is nothing; what never ends is closed with its track. Unlike MusPy a note belongs to the program in
force at its onset, not at its end, and a program counts for all tracks of its channel. Also unlike
MusPy, a message that silences a channel (All Sound Off, All Notes Off, and the modes, which include
it) ends its notes.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ostinato.readers.midi_events import LAST_TICK, NUM_CHANNELS, Ints, MidiEvents

Flags = npt.NDArray[np.bool_]
_TIME_BITS = 32
_SILENCE = (120, 123, 124, 125, 126, 127)  # controllers that end all notes of their channel


@dataclass(frozen=True, eq=False)
class RawNotes:
    """All notes of a file in its own ticks, in the order of their note-ons.

    track: number of the MIDI track; hanging: no note-off ends it; silenced: its channel was told to
    be silent instead; borrowed: its program was set in another track.
    """

    track: Ints
    channel: Ints
    program: Ints
    onset: Ints
    end: Ints
    pitch: Ints
    velocity: Ints
    hanging: Flags
    silenced: Flags
    borrowed: Flags

    def __len__(self) -> int:
        return len(self.onset)

    def where(self, keep: Flags) -> "RawNotes":
        """The notes that are to be kept."""
        if keep.all():
            return self
        return RawNotes(*(getattr(self, field.name)[keep] for field in fields(self)))


def pair_notes(events: MidiEvents) -> RawNotes:
    """One note for every note-on whose velocity is not 0.

    At the tick of a silence, note-offs end earlier notes, and note-ons begin notes that it spares.
    """
    kind = events.status >> 4
    is_note = (kind == 8) | (kind == 9)
    number = np.flatnonzero(is_note)
    is_on = (kind[number] == 9) & (events.second[number] > 0)
    voice = (events.track[number] * NUM_CHANNELS + (events.status[number] & 15)) * 128
    voice += events.first[number]
    silences = _silences(events)
    clock = _clock(events, number)
    before, with_now = (np.searchsorted(silences, clock, side) for side in ("left", "right"))
    voice = voice * (len(silences) + 1) + np.where(is_on, with_now, before)
    order = np.argsort(voice, kind="stable")
    number, voice, is_on = number[order], voice[order], is_on[order]
    on, off = _match(voice, is_on)
    on, hanging = number[on], off < 0
    off = number[off]
    in_file = np.argsort(on)
    on, off, hanging = on[in_file], off[in_file], hanging[in_file]
    track = events.track[on]
    last = events.track_ends[track]
    silence = np.where(hanging, _next(silences, _clock(events, on)), last)
    program, borrowed = _programs(events, on)
    return RawNotes(
        track=track,
        channel=events.status[on] & 15,
        program=program,
        onset=events.time[on],
        end=np.where(hanging, np.minimum(silence, last), events.time[off]),
        pitch=events.first[on],
        velocity=events.second[on],
        hanging=hanging,
        silenced=silence < last,
        borrowed=borrowed,
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


def _clock(events: MidiEvents, number: Ints) -> Ints:
    """Times of events that are far apart for different instruments."""
    parts = events.parts(events.track[number], events.status[number] & 15)
    return (parts << _TIME_BITS) + events.time[number]


def _silences(events: MidiEvents) -> Ints:
    """When channels are told to be silent, as `_clock` counts, ascending."""
    told = (events.status >> 4 == 11) & np.isin(events.first, _SILENCE)
    return np.sort(_clock(events, np.flatnonzero(told)))


def _next(silences: Ints, clock: Ints) -> Ints:
    """When the channel is told to be silent after each of these times, or else after all times."""
    following = np.append(silences, -1)[np.searchsorted(silences, clock, side="right")]
    is_same = following >> _TIME_BITS == clock >> _TIME_BITS
    return np.where(is_same, following & (2**_TIME_BITS - 1), LAST_TICK)


def _programs(events: MidiEvents, on: Ints) -> tuple[Ints, Flags]:
    """The program in force at every note-on, 0 where none was set; and whether another track of the
    channel set it.

    By the standard a channel has one program, whichever track changes it: the latest change before
    the note counts. The standard does not order what several tracks do at one tick: there a change
    in the note's own track hides those in others.
    """
    change = np.flatnonzero(events.status >> 4 == 12)
    if not len(change):
        return np.zeros(len(on), np.int64), np.zeros(len(on), np.bool_)
    size = len(events.status)
    channel = events.status & 15
    part = events.track * NUM_CHANNELS + channel
    own = change[np.argsort(part[change], kind="stable")]
    last = np.searchsorted(part[own] * size + own, part[on] * size + on) - 1
    is_set = (last >= 0) & (part[own[last]] == part[on])
    program = np.where(is_set, events.first[own[last]], 0)
    since = np.where(is_set, events.time[own[last]], -1)
    following = own[np.minimum(last + 1, len(own) - 1)]
    hides = (part[following] == part[on]) & (events.time[following] == events.time[on])
    is_borrowed = np.zeros(len(on), np.bool_)
    clock = _clock(events, np.arange(size))
    every = change[np.argsort(clock[change], kind="stable")]
    changes, now = clock[every], clock[on]
    before, with_now = np.searchsorted(changes, now), np.searchsorted(changes, now, side="right")
    for place, allowed in ((before, True), (with_now, ~hides)):
        found = every[place - 1]  # the last one where place is 0
        is_later = (place > 0) & (clock[found] > now - events.time[on] + since)
        is_other = is_later & (events.track[found] != events.track[on]) & allowed
        program = np.where(is_other, events.first[found], program)
        is_borrowed |= is_other
    return program, is_borrowed
