"""Damages MIDI files at random and says whether a reader got through them.

Loaded by path, from the script beside it and from the tests: no package holds it.
"""

import io
import signal
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import mido
import numpy as np

from ostinato.files import DamagedFile
from ostinato.music.piece import Piece, sort_notes
from ostinato.readers.base import Reading, ReadOptions
from ostinato.readers.midi import read_midi_bytes
from ostinato.readers.midi_events import read_events

LIMIT_SECONDS = 2.0
NOT_OF_FILES = ("quarter_frame", "songpos", "song_select", "tune_request")
MIDO_BYTES = 20_000  # smaller mutants are counted by mido too
OPTIONS = tuple(
    ReadOptions(ticks_per_quarter=tpq, pedal=pedal)
    for tpq in (480, 24)
    for pedal in ("keep", "fold", "ignore")
)
END = b"\x00\xff\x2f\x00"


class Overtime(Exception):
    """The reader did not come back in time."""


@dataclass(frozen=True)
class Outcome:
    """How reading a mutant ended: `kind` is for counting, a violation says what is wrong."""

    kind: str
    seconds: float
    violation: str = ""


def file_of(tracks: Sequence[bytes], *, kind: int = 1, division: int = 480) -> bytes:
    """A MIDI file of the content of its tracks."""
    header = b"MThd" + struct.pack(">IHHH", 6, kind, len(tracks), division)
    return header + b"".join(b"MTrk" + struct.pack(">I", len(t)) + t for t in tracks)


def delta_of(ticks: int) -> bytes:
    """Ticks as a variable-length number."""
    out = [ticks & 127]
    while ticks := ticks >> 7:
        out.append(ticks & 127 | 128)
    return bytes(reversed(out))


def small_files() -> list[bytes]:
    """Seeds of a few hundred bytes that hold every construct of the format."""
    rng = np.random.default_rng(0)
    meta = (
        b"\x00\xff\x03\x05Piece\x00\xff\x58\x04\x03\x02\x18\x08\x00\xff\x59\x02\xfd\x01"
        b"\x00\xff\x51\x03\x07\xa1\x20\x60\xff\x51\x03\x06\x00\x00\x10\xff\x06\x01A"
    )
    words = b"\x00\xff\x01\x02@K\x00\xff\x01\x03\\La\x30\xff\x01\x03/lo\x00\xff\x05\x02la"
    tracks = [meta + END, words + END]
    for channel in (0, 0, 3, 9):
        body = b"\x00\xff\x03\x04Trk" + bytes([65 + channel, 0, 0xC0 | channel, 40 + channel])
        for number in range(12):
            pitch = int(rng.integers(50, 60))
            body += delta_of(int(rng.integers(0, 300)))
            body += bytes([0x90 | channel, pitch, int(rng.integers(1, 128))])
            body += delta_of(int(rng.integers(0, 300)))
            running = [pitch, 0] if number % 2 else [0x80 | channel, pitch, 64]
            body += bytes(running)
            if number % 4 == 0:
                body += bytes([20, 0xB0 | channel, 64, 127 if number % 8 else 0])
        tracks.append(body + b"\x00\xf0\x03\x01\x02\xf7" + END)
    whole = file_of(tracks)
    return [
        whole,
        file_of(tracks[:3], kind=2, division=96),
        file_of([tracks[0][:-4] + b"\x00\xf7\x01\x05" + tracks[2]], kind=0, division=0xE728),
        b"RIFF" + struct.pack("<I", len(whole) + 12) + b"RMIDdata"
        + struct.pack("<I", len(whole)) + whole,
    ]  # fmt: skip


def flip(data: bytearray, rng: np.random.Generator, other: bytes) -> bytearray:
    """One to eight bytes become others."""
    for place in rng.integers(0, len(data), int(rng.integers(1, 9))):
        data[place] ^= int(rng.integers(1, 256))
    return data


def shorten(data: bytearray, rng: np.random.Generator, other: bytes) -> bytearray:
    """The file ends early."""
    return data[: int(rng.integers(0, len(data)))]


def take_out(data: bytearray, rng: np.random.Generator, other: bytes) -> bytearray:
    """Some bytes in the middle are gone."""
    start = int(rng.integers(0, len(data)))
    del data[start : start + int(rng.integers(1, 64))]
    return data


def put_in(data: bytearray, rng: np.random.Generator, other: bytes) -> bytearray:
    """Some bytes in the middle are new."""
    start = int(rng.integers(0, len(data)))
    data[start:start] = rng.bytes(int(rng.integers(1, 64)))
    return data


def splice(data: bytearray, rng: np.random.Generator, other: bytes) -> bytearray:
    """The beginning of one file and the end of another."""
    return data[: int(rng.integers(0, len(data)))] + other[int(rng.integers(0, len(other))) :]


def lie_about_length(data: bytearray, rng: np.random.Generator, other: bytes) -> bytearray:
    """A track says that it has another length."""
    found = [i for i in range(len(data)) if data[i : i + 4] == b"MTrk"]
    if found:
        place = int(rng.choice(found)) + 4
        right = int.from_bytes(data[place : place + 4], "big")
        wrong = (0, 1, right + 1, right - 1, right * 2, right + 8, 2**32 - 1, 2**31)
        data[place : place + 4] = (int(rng.choice(wrong)) % 2**32).to_bytes(4, "big")
    return data


def lie_in_header(data: bytearray, rng: np.random.Generator, other: bytes) -> bytearray:
    """The header says something else."""
    place = data.find(b"MThd") + int(rng.integers(4, 14))
    if place < len(data):
        data[place] = int(rng.choice([0, 1, 2, 6, 127, 128, 0xE7, 255, int(rng.integers(256))]))
    return data


MUTATIONS: tuple[Callable[[bytearray, np.random.Generator, bytes], bytearray], ...] = (
    flip, flip, shorten, take_out, put_in, splice, lie_about_length, lie_in_header,
)  # fmt: skip


def mutant(seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """One damaged file: a pure function of its arguments; one to three mutations of one seed."""
    rng = np.random.default_rng([seed, number])
    data = bytearray(seeds[int(rng.integers(len(seeds)))])
    for _ in range(int(rng.integers(1, 4))):
        other = seeds[int(rng.integers(len(seeds)))]
        data = MUTATIONS[int(rng.integers(len(MUTATIONS)))](data, rng, other)
        if not data:
            break
    return bytes(data)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises Overtime inside the block after so many seconds; the main thread only."""

    def stop(number: int, frame: object) -> None:
        raise Overtime(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check(data: bytes, options: ReadOptions, limit: float = LIMIT_SECONDS) -> Outcome:
    """Read bytes as a MIDI file: it must become a sound piece with all its notes, or be refused."""
    start = time.perf_counter()
    try:
        with time_limit(limit):
            reading = read_midi_bytes(data, "mutant.mid", options)
    except (DamagedFile, ValueError) as error:
        kind = "refused: " + "".join(c for c in str(error) if not c.isdigit())[:60]
        return Outcome(kind, time.perf_counter() - start)
    except Exception as error:
        return Outcome("violation", time.perf_counter() - start, f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - start
    violation = wrong_count(reading, data) or wrong_piece(reading.piece)
    warned = [w for w in reading.piece.warnings if not w.startswith("symusic")]
    read = "read with warnings" if warned else "read"
    return Outcome("violation" if violation else read, seconds, violation)


def wrong_count(reading: Reading, data: bytes) -> str:
    """What is wrong with the number of notes, against the file's events and against mido."""
    total = len(reading.piece.notes) + sum(reading.dropped.values())
    events = read_events(data)
    ons = int(((events.status >> 4 == 9) & (events.second > 0)).sum())
    ons += sum(events.lost.values())
    if total != ons:
        return f"{ons} note-ons became {total} notes"
    is_same = events.is_whole and len(events.track_ends) == events.header.num_tracks
    if len(data) > MIDO_BYTES or not is_same:
        return ""
    try:
        midi = mido.MidiFile(file=io.BytesIO(data))
    except Exception:  # mido raises whatever a broken file makes it stumble over
        return ""
    if any(message.type in NOT_OF_FILES for track in midi.tracks for message in track):
        return ""  # what the running status is after them no standard says, and mido's is another
    counted = sum(_note_ons(track) for track in midi.tracks)
    return "" if counted == total else f"mido reads {counted} note-ons, there are {total} notes"


def _note_ons(track: mido.MidiTrack) -> int:
    return sum(message.type == "note_on" and message.velocity > 0 for message in track)


def wrong_piece(piece: Piece) -> str:
    """What a piece has that no piece may have."""
    notes, latest = piece.notes, 2**31
    texts = [piece.title, *(t.name for t in piece.tracks), *(a.value for a in piece.annotations)]
    onsets = [x.onset for x in (*piece.tempos, *piece.meters, *piece.keys, *piece.annotations)]
    checks = {
        "notes out of order": np.array_equal(notes, sort_notes(notes)),
        "an onset before 0": len(notes) == 0 or notes["onset"].min() >= 0,
        "a note without duration": len(notes) == 0 or notes["duration"].min() >= 1,
        "a pitch out of range": bool(((notes["pitch"] >= 0) & (notes["pitch"] < 128)).all()),
        "a velocity out of range": bool(
            ((notes["velocity"] > 0) & (notes["velocity"] < 128)).all()
        ),
        "a track without notes": len(np.unique(notes["track"])) == len(piece.tracks),
        "an end beyond 32 bits": piece.length >= 0,
        "a change out of range": all(0 <= onset < latest for onset in onsets),
        "a tempo that cannot be": all(0 < x.qpm < float("inf") for x in piece.tempos),
        "a meter that cannot be": all(x.numerator > 0 for x in piece.meters),
        "text that cannot be written": all(text.encode() or not text for text in texts),
        "a warning of many lines": all("\n" not in text for text in piece.warnings),
    }
    return "; ".join(name for name, is_fine in checks.items() if not is_fine)
