"""The bytes of a Standard MIDI File as arrays of events.

The walk over the tracks only notes where events begin; numpy then reads the deltas, statuses and
data bytes of all of them at once.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.files import DamagedFile
from ostinato.readers.midi_walk import (
    MOST_TRACKS,
    NO_KIND,
    REFUSED,
    SMPTE_QPM,
    Header,
    Walk,
    read_header,
)

Ints = npt.NDArray[np.int64]
LARGEST_BYTES = 1 << 25  # sixty times as much is needed to read it
LAST_TICK = 2**31 - 1
NUM_CHANNELS = 16
PITCHLESS = "pitch above 127"
AFTER_END = "after the end of its track"
_PORT = 0x21


class Meta(NamedTuple):
    """A meta event: the number of its track, its time in ticks, its kind and its bytes."""

    track: int
    time: int
    kind: int
    content: bytes


@dataclass(frozen=True, eq=False)
class MidiEvents:
    """What a file says, in its own ticks. The arrays hold channel events, in the file's order.

    first, second: data bytes, 0..127; `second` is 0 where an event has one.
    track_ends: time of the last event of every track.
    ports: number of the MIDI port of every track; each port has channels of its own.
    lost: note-ons that are in the file and not in the arrays, by reason.
    is_whole: no track is cut, damaged, missing or other than its length says.
    num_escapes: number of F7 events, whose bytes are passed over.
    """

    header: Header
    time: Ints
    track: Ints
    status: Ints
    first: Ints
    second: Ints
    metas: tuple[Meta, ...]
    track_ends: Ints
    ports: Ints
    lost: Mapping[str, int]
    is_whole: bool
    num_escapes: int
    warnings: tuple[str, ...]

    def parts(self, track: Ints, channel: Ints) -> Ints:
        """The number of the instrument that plays a channel of a track: programs and pedals count
        for all tracks of its port, in files of type 2 for the one track.
        """
        return self.ports[track] * NUM_CHANNELS + channel


def read_events(data: bytes) -> MidiEvents:
    """All events of a MIDI file of type 0, 1 or 2, plain or in a RIFF container.

    Raises:
        DamagedFile: there is no header, no track, or the header says what cannot be; or a track
            lasts more than 2^31 ticks.
    """
    if len(data) > LARGEST_BYTES:
        raise DamagedFile(f"a MIDI file of more than {LARGEST_BYTES >> 20} MB is not read")
    oddities: Counter[str] = Counter()
    header = read_header(data, oddities)
    if header.kind == 2:
        oddities["type 2, its patterns are read as parallel tracks" + REFUSED] = 0
    if header.is_smpte:
        oddities[f"division in video frames, read at {SMPTE_QPM} qpm" + REFUSED] = 0
    walk = Walk(data, header)
    found = len(walk.counts)
    if not found:
        raise DamagedFile("the file has a header and no track")
    if found > MOST_TRACKS:
        raise DamagedFile(f"a MIDI file of more than {MOST_TRACKS} tracks is not read")
    if found < header.num_tracks:
        missing = header.num_tracks - found
        walk.damage["tracks that the header names and the file lacks" + REFUSED] = missing
    elif found > header.num_tracks:
        name = "tracks beyond those that the header names; MusPy leaves them out"
        oddities[name] = found - header.num_tracks
    if header.kind == NO_KIND:
        header = replace(header, kind=min(found, 2) - 1)
    return _collect(walk, header, oddities)


def _collect(walk: Walk, header: Header, oddities: Counter[str]) -> MidiEvents:
    """Read what the walk found, all events at once."""
    raw = np.frombuffer(walk.data, np.uint8)
    delta, place = _deltas(raw, np.array(walk.starts, np.int64))
    counts = np.array(walk.counts, np.int64)
    time, track_ends = _times(delta, counts)
    track = np.repeat(np.arange(len(counts)), counts)
    status, first, second = _messages(raw, place)
    is_channel = status < 240
    num_above = int((is_channel & ((first | second) > 127)).sum())
    if num_above:
        walk.damage["events with a data byte above 127" + REFUSED] = num_above
    keep = is_channel & (first < 128)
    is_pitchless = is_channel & ~keep & (status >> 4 == 9) & (second > 0)
    metas = tuple(
        Meta(int(track[number]), int(time[number]), kind, content)
        for number, kind, content in walk.metas
    )
    ports = np.arange(len(counts)) if header.kind == 2 else np.zeros(len(counts), np.int64)
    for meta in reversed(metas):  # a track's first port is its own
        if meta.kind == _PORT and meta.content and header.kind != 2:
            ports[meta.track] = meta.content[0]
    found = [*oddities.items(), *walk.damage.items()]
    return MidiEvents(
        header,
        time[keep],
        track[keep],
        status[keep],
        first[keep],
        np.minimum(second[keep], 127),
        metas,
        track_ends,
        ports,
        {PITCHLESS: int(is_pitchless.sum()), AFTER_END: walk.after_end},
        is_whole=not walk.damage,
        num_escapes=walk.num_escapes,
        warnings=tuple(f"{text}: {count}" if count else text for text, count in found),
    )


def _deltas(raw: npt.NDArray[np.uint8], place: Ints) -> tuple[Ints, Ints]:
    """Values of the delta times that begin at `place`, and where their last bytes are."""
    byte = raw[place].astype(np.int64)
    value = byte & 127
    longer = np.flatnonzero(byte > 127)
    while len(longer):
        place[longer] += 1
        byte = raw[place[longer]].astype(np.int64)
        value[longer] = value[longer] << 7 | byte & 127
        longer = longer[byte > 127]
    return value, place


def _times(delta: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Time of every event since the start of its track, and of the last one of every track."""
    total = np.concatenate(([0], np.cumsum(delta)))
    ends = np.cumsum(counts)
    before = total[ends - counts]
    last = total[ends] - before
    if last.max() > LAST_TICK:
        raise DamagedFile(f"a track lasts {last.max()} ticks; more than {LAST_TICK} are not read")
    return total[1:] - np.repeat(before, counts), last


def _messages(raw: npt.NDArray[np.uint8], place: Ints) -> tuple[Ints, Ints, Ints]:
    """Status and data bytes of the events whose last delta byte is at `place`.

    Running statuses are replaced by the channel status they repeat; every track begins with one.
    """
    status = raw[place + 1].astype(np.int64)
    is_channel = (status > 127) & (status < 240)
    speaker = np.maximum.accumulate(np.where(is_channel, np.arange(len(status)), 0))
    is_running = status < 128
    first_place = place + 2 - is_running
    status = np.where(is_running, status[speaker], status)
    first = raw[first_place].astype(np.int64)
    second = raw[first_place + 1].astype(np.int64)
    second[(status >= 0xC0) & (status < 0xE0)] = 0
    return status, first, second
