"""Counts the note-ons of a MIDI file without our reader: the other side of the balance.

It walks over the bytes of each MTrk chunk by its declared length, to the chunk's end and not only
to the end-of-track event. A note-on with a velocity above 0 is a note.
"""

from pathlib import Path

HEADER = b"MThd\x00\x00\x00\x06"
BYTES_AFTER = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}  # the status of a channel


class Damaged(ValueError):
    """The file is not what its own lengths say; what is in it depends on how it is repaired."""


def count_notes(path: Path) -> int:
    """The number of note-ons in all tracks.

    Raises:
        Damaged: no plain header, or bytes that do not fit the lengths around them.
    """
    data = path.read_bytes()
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = data[20:]
    if not data.startswith(HEADER):
        raise Damaged("no header of six bytes at the beginning")
    place, total = 14, 0
    while place + 8 <= len(data):
        name, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "big")
        place += 8
        if place + length > len(data):
            raise Damaged("a chunk goes beyond the end of the file")
        if name == b"MTrk":
            total += _note_ons(data[place : place + length])
        elif not name.isalnum():
            raise Damaged("bytes that are no chunk")
        place += length
    return total


def _note_ons(track: bytes) -> int:
    place = total = status = 0
    try:
        while place < len(track):
            _, place = _number(track, place)
            byte = track[place]
            if byte >= 0xF0:
                if byte == 0xFF:
                    place += 1
                elif byte not in (0xF0, 0xF7):
                    raise Damaged(f"status {byte:#x} in a file")
                length, place = _number(track, place + 1)
                place += length
                continue
            if byte >= 0x80:
                status, place = byte, place + 1
            if not status:
                raise Damaged("data without a status")
            first, second = track[place], track[place + 1] if BYTES_AFTER[status >> 4] == 2 else 0
            if first > 127 or second > 127:
                raise Damaged("a data byte above 127")
            total += status >> 4 == 9 and second > 0
            place += BYTES_AFTER[status >> 4]
    except IndexError as error:
        raise Damaged("a track ends within an event") from error
    if place != len(track):
        raise Damaged("a track ends within an event")
    return total


def _number(track: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    value = 0
    for _ in range(4):
        value = value << 7 | track[place] & 127
        place += 1
        if track[place - 1] < 128:
            return value, place
    raise Damaged("a number of more than four bytes")
