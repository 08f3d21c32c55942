"""Where the header, the tracks and the events of a Standard MIDI File begin, damaged or not.

One lean loop walks over every track and only notes where events begin. Damage costs what lies
behind it in its track: what was read before it is kept, and the rest is counted. Formats: "Standard
MIDI Files 1.0", MIDI Manufacturers Association 1996; RP-029 (RIFF).
"""

from array import array
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from ostinato.files import DamagedFile

REFUSED = "; MusPy refuses the file"
REFUSED_OR_LESS = "; MusPy refuses the file or reads less"
SMPTE_QPM = 120  # video frames have no beat: a quarter note is taken as half a second
HEADER_BYTES = 6
NO_KIND = 3
MOST_TRACKS = 0xFFFF  # as many as a header can name
_FRAMES = {24: Fraction(24), 25: Fraction(25), 29: Fraction(30000, 1001), 30: Fraction(30)}
_NOTHING_RUNS = 1 << 40  # a running status without a status before it leads beyond any track
_PADDING = bytes(8)  # an event that begins in the last byte is looked at without a check
_META, _END_OF_TRACK, _SYSEX, _ESCAPE = 0xFF, 0x2F, 0xF0, 0xF7
_CHANNEL_BYTES = [2 if 0xC0 <= status < 0xE0 else 3 for status in range(0xF0)]  # with the status
_SYSTEM_BYTES = {0xF1: 2, 0xF2: 3, 0xF3: 2, 0xF6: 1, 0xF8: 1, 0xFA: 1, 0xFB: 1, 0xFC: 1, 0xFE: 1}


@dataclass(frozen=True)
class Header:
    """What MThd says, and the place of the first chunk and of the end of the MIDI data.

    kind: 0, 1 or 2; NO_KIND where the file says something else. resolution: ticks per quarter
    note; a fraction where it is counted in video frames.
    """

    kind: int
    num_tracks: int
    resolution: Fraction
    is_smpte: bool
    first_chunk: int
    end: int


def read_header(data: bytes, oddities: Counter[str]) -> Header:
    """The header of a plain file, of one in a RIFF container, or behind a few foreign bytes.

    A wrong length or type costs nothing else: the header's six bytes are read where they belong.

    Raises:
        DamagedFile: there is none, or its division gives notes no time.
    """
    begin, end = _find_header(data, oddities)
    size = int.from_bytes(data[begin + 4 : begin + 8], "big")
    content = data[begin + 8 : min(begin + 14, end)]
    if len(content) < HEADER_BYTES:
        raise DamagedFile(f"the file ends in its MIDI header, of which it has {len(content)} bytes")
    if size < HEADER_BYTES or begin + 8 + size > end:
        oddities[f"header of {size} bytes, read as {HEADER_BYTES}" + REFUSED] = 0
        size = HEADER_BYTES
    kind, num_tracks, division = (int.from_bytes(content[i : i + 2], "big") for i in (0, 2, 4))
    if kind > 2:
        oddities[f"type {kind}, which does not exist; read as the tracks are"] = 0
        kind = NO_KIND
    resolution, is_smpte = Fraction(division), division >= 0x8000
    if is_smpte:
        frames, ticks = 256 - (division >> 8), division & 255
        if frames not in _FRAMES or not ticks:
            raise DamagedFile(f"a division of {frames} frames of {ticks} ticks does not exist")
        resolution = _FRAMES[frames] * ticks * 60 / SMPTE_QPM
    if not resolution:
        raise DamagedFile("the header gives a quarter note 0 ticks: its notes have no time")
    return Header(kind, num_tracks, resolution, is_smpte, begin + 8 + size, end)


def _find_header(data: bytes, oddities: Counter[str]) -> tuple[int, int]:
    """Where the MThd chunk begins and where the MIDI data end."""
    begin, end = 0, len(data)
    if data[:4] == b"RIFF" and data[8:16] == b"RMIDdata":
        begin, size = 20, int.from_bytes(data[16:20], "little")
        end = begin + size if 0 < size < end - begin else end
        oddities["in a RIFF container" + REFUSED] = 0
    if data[begin : begin + 4] != b"MThd":
        found = data.find(b"MThd", begin, begin + 1024)  # MacBinary, a mail's header, white space
        if found < 0:
            raise DamagedFile("this is no MIDI file: it has no MThd header")
        oddities["bytes before the header" + REFUSED] = found - begin
        begin = found
    return begin, end


class Walk:
    """Where the events of a file begin.

    starts: places in `data` of the delta times of all events of all tracks.
    metas: of every meta event its number in `starts`, kind and content.
    counts: number of events of every track.
    damage: how often what was wrong.
    num_escapes: number of F7 events, with bytes for a device.
    after_end: number of note-ons inside the chunks of tracks, but after their end-of-track event.
    """

    def __init__(self, data: bytes, header: Header) -> None:
        self.data = data + _PADDING
        self.end = header.end
        self.damage: Counter[str] = Counter()
        self.num_escapes = self.after_end = 0
        self.starts = array("q")
        self.metas: list[tuple[int, int, bytes]] = []
        self.counts: list[int] = []
        self._read_chunks(header.first_chunk)

    def _read_chunks(self, position: int) -> None:
        """Read the tracks among the chunks from `position` on; others are passed over."""
        data, end, passed = self.data, self.end, 0
        while position + 8 <= end and len(self.counts) <= MOST_TRACKS:
            name, body = data[position : position + 4], position + 8
            length = int.from_bytes(data[position + 4 : body], "big")
            if name == b"MTrk":
                if passed:
                    self.damage["bytes before a track, passed over" + REFUSED] += passed
                position, passed = self._read_track(body, length), 0
                continue
            is_chunk = name.isalnum() and self._can_end(body + length)
            following = body + length if is_chunk else self._next_track(position)
            position, passed = following, passed + following - position

    def _read_track(self, body: int, length: int) -> int:
        """Keep the events of one track; returns where the next chunk begins."""
        before, declared = len(self.starts), body + length
        limit = declared if self._can_end(declared) else self._next_track(body)
        stop, is_ended, running = self._walk(body, limit, _NOTHING_RUNS)
        if is_ended and (stop == declared or self.data[stop : stop + 4] == b"MTrk"):
            limit = stop
        elif is_ended and limit == declared:
            self._count_after_end(before, stop, limit, running)
        self.counts.append(len(self.starts) - before)
        wanted = declared if declared > self.end == limit else limit  # > end: the file is cut
        if not is_ended and stop < wanted:
            self.damage["tracks that are cut or damaged, read as far as they go" + REFUSED] += 1
            self.damage["bytes of tracks that are missing or make no sense"] += wanted - stop
        elif limit != declared:
            self.damage["tracks whose length is not what they say" + REFUSED_OR_LESS] += 1
        return limit

    def _count_after_end(self, first: int, position: int, end: int, running: int) -> None:
        """Count the note-ons in [position, end), behind the end of the track that begins with the
        event `first`. By the standard they are no part of it, and players are silent there.
        """
        data, starts, tail = self.data, self.starts, len(self.starts)
        num_metas, num_escapes, status, is_ended = len(self.metas), self.num_escapes, 0, True
        while is_ended and position < end:
            position, is_ended, running = self._walk(position, end, running)
        for number in range(first, len(starts)):
            place = starts[number]
            while data[place] > 127:
                place += 1
            if data[place + 1] > 127:
                place += 1
                status = data[place] if data[place] < 240 else status
            if data[place] < 240 and number >= tail:
                self.after_end += status >> 4 == 9 and data[place + 2] > 0
        del starts[tail:], self.metas[num_metas:]
        self.num_escapes = num_escapes

    def _next_track(self, position: int) -> int:
        found = self.data.find(b"MTrk", position, self.end)
        return found if found >= 0 else self.end

    def _can_end(self, position: int) -> bool:
        """Whether a chunk can end here: the file ends, or something begins that has a name."""
        if position >= self.end - 7:
            return position <= self.end
        return self.data[position : position + 4].isalnum()

    def _walk(self, position: int, end: int, running: int) -> tuple[int, bool, int]:
        """Keep where the events in [position, end) begin, up to the end of the track or damage.

        running: how far an event without a status byte goes. Returns where it stopped, whether an
        end-of-track event was there, and `running` then. Sysex and meta events leave the running
        status as it is: files that count on it exist.
        """
        data, starts, append = self.data, self.starts, self.starts.append
        channel_bytes = _CHANNEL_BYTES
        while position < end:
            append(position)
            if data[position] > 127:  # a delta time has four bytes at most
                position += 1
                if data[position] > 127:
                    position += 1
                    if data[position] > 127:
                        position += 1
                        if data[position] > 127:
                            return starts.pop(), False, running
            status = data[position + 1]
            if status < 128:
                position += running
            elif status < 240:
                running = channel_bytes[status]
                position += running + 1
            else:
                position, kind = self._pass_over(position + 1, status, end)
                if kind == _END_OF_TRACK:
                    return position, True, running
        if position == end:
            return end, False, running
        return starts.pop(), False, running  # its last event makes no sense or goes beyond the end

    def _pass_over(self, position: int, status: int, end: int) -> tuple[int, int]:
        """Where the meta, sysex or system event at `position` ends (beyond `end` if it is damaged),
        and the kind of a meta event, else -1.
        """
        if status in _SYSTEM_BYTES:
            return position + _SYSTEM_BYTES[status], -1
        if status not in (_META, _SYSEX, _ESCAPE):
            return end + 1, -1
        self.num_escapes += status == _ESCAPE
        kind = self.data[position + 1] if status == _META else -1
        position += 2 if status == _META else 1
        length, latest = 0, position + 4
        while position < latest:
            byte = self.data[position]
            position += 1
            length = length << 7 | byte & 127
            if byte < 128:
                break
        else:
            return end + 1, -1
        stop = position + length
        if stop > end:
            return end + 1, -1
        if status == _META:
            content = self.data[position:stop]
            self.metas.append((len(self.starts) - 1, kind, content))
        return stop, kind
