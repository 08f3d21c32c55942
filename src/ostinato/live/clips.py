"""Notes as clips hold them, in beats from the clip's start, and pieces made of clips.

A beat is a quarter note, as in Ableton Live. A note travels over OSC as five values: pitch, start,
duration, velocity, mute (AbletonOSC, `/live/clip/add/notes`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ostinato.music.piece import Meter, Piece, Tempo, Track, make_notes
from ostinato.music.timing import numbered_bars

TICKS = 480  # a quarter
FIELDS = 5  # of a note in a message


@dataclass(frozen=True, order=True)
class ClipNote:
    """start, duration: beats. A muted note does not sound."""

    start: float
    pitch: int
    duration: float
    velocity: int = 80
    mute: bool = False

    def values(self) -> tuple[int, float, float, int, bool]:
        """In the order of a message."""
        return self.pitch, self.start, self.duration, self.velocity, self.mute

    def like(self, other: "ClipNote") -> bool:
        """Equal but for the rounding of 32-bit floats."""
        near = abs(self.start - other.start) < 1e-3 and abs(self.duration - other.duration) < 1e-3
        return near and (self.pitch, self.velocity) == (other.pitch, other.velocity)


def notes_from(values: Sequence[Any]) -> list[ClipNote]:
    """The notes of a message, sorted.

    Raises:
        ValueError: a number of values that is not a multiple of five, or a note that MIDI does not
            have.
    """
    if len(values) % FIELDS:
        raise ValueError(
            f"{len(values)} values are not notes: each note has five, pitch, start, duration, "
            "velocity, mute"
        )
    rows = [values[at : at + FIELDS] for at in range(0, len(values), FIELDS)]
    return sorted(_note(number, row) for number, row in enumerate(rows, 1))


def _note(number: int, row: Sequence[Any]) -> ClipNote:
    try:
        pitch, velocity = int(row[0]), int(row[3])
        start, duration, mute = float(row[1]), float(row[2]), bool(row[4])
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"note {number} is {tuple(row)}; its pitch, start, duration and velocity must be "
            "numbers, its mute 0 or 1"
        ) from error
    if pitch != row[0]:
        raise ValueError(f"note {number} has pitch {row[0]}: pitches are whole numbers, 0 to 127")
    if not (0 <= pitch <= 127 and 0 <= velocity <= 127 and 0 < duration < 1e6 and abs(start) < 1e6):
        raise ValueError(
            f"note {number} has pitch {pitch}, start {start:g}, duration {duration:g}, velocity "
            f"{velocity}; pitch and velocity lie in 0 to 127, a duration is above 0"
        )
    return ClipNote(start, pitch, duration, velocity, mute)


def piece_of(
    clips: Mapping[str, Sequence[ClipNote]], qpm: float, meter: tuple[int, int]
) -> tuple[Piece, int]:
    """A piece with one track for each clip, and how many notes were left out.

    clips: notes by role; a role that the model does not know is a name of a track. Left out are
    muted notes and notes that begin before the clip's start.
    """
    heard = {
        role: [note for note in notes if not note.mute and note.start >= 0]
        for role, notes in clips.items()
    }
    rows = [
        (
            track,
            round(note.start * TICKS),
            max(1, round(note.duration * TICKS)),
            note.pitch,
            max(1, note.velocity),
        )
        for track, notes in enumerate(heard.values())
        for note in notes
    ]
    piece = Piece(
        id="clip",
        ticks_per_quarter=TICKS,
        notes=make_notes(rows),
        tracks=tuple(Track(name=role.capitalize(), role=role) for role in heard),
        tempos=(Tempo(0, qpm),),
        meters=(Meter(0, *meter),),
        source="the clip",
    )
    return piece, sum(map(len, clips.values())) - len(rows)


def clips_of(piece: Piece, skip_bars: int = 0) -> dict[str, list[ClipNote]]:
    """Notes by the name of their track, from bar `skip_bars` + 1 on.

    A pickup stands at the end of a bar of its own, so that bar lines of the piece lie on those of
    the clip.
    """
    origin = _origin(piece, skip_bars)
    names = [track.role or track.name or str(n) for n, track in enumerate(piece.tracks)]
    clips: dict[str, list[ClipNote]] = {name: [] for name in names}
    for note in piece.notes:
        start = Fraction(int(note["onset"]), piece.ticks_per_quarter) - origin
        if start < 0:
            continue
        duration = float(Fraction(int(note["duration"]), piece.ticks_per_quarter))
        made = ClipNote(float(start), int(note["pitch"]), duration, int(note["velocity"]))
        clips[names[int(note["track"])]].append(made)
    return {name: sorted(notes) for name, notes in clips.items()}


def beats_of(piece: Piece, skip_bars: int = 0) -> float:
    """Length of the clip of a piece in beats: whole bars of its last meter."""
    meter = piece.meters[-1] if piece.meters else piece.first_meter()
    bar = meter.bar_quarters()
    length = Fraction(piece.length, piece.ticks_per_quarter) - _origin(piece, skip_bars)
    return float(max(1, -(-length // bar)) * bar)


def _origin(piece: Piece, skip_bars: int) -> Fraction:
    """Quarters of the piece at which its clip begins; below 0 where a pickup is padded."""
    numbered = numbered_bars(piece)
    quarters = {
        number: Fraction(onset, piece.ticks_per_quarter) for onset, number in reversed(numbered)
    }
    if skip_bars:
        if skip_bars + 1 in quarters:
            return quarters[skip_bars + 1]
        return Fraction(piece.length, piece.ticks_per_quarter)
    if not {0, 1} <= set(quarters):  # without bar 1, bar 0 is a first bar that ends early
        return Fraction(0)
    return quarters[1] - piece.first_meter().bar_quarters()


def merged(clips: Mapping[str, Sequence[ClipNote]]) -> tuple[list[ClipNote], int]:
    """The notes of all roles for one clip, and how many were joined or cut.

    A clip of Live holds a key once at a time: of notes that begin together the longest stays, and
    an earlier note ends where a later one of its pitch begins.
    """
    kept: dict[int, list[ClipNote]] = {}
    changed = 0
    every = sorted(note for notes in clips.values() for note in notes)
    for note in every:
        line = kept.setdefault(note.pitch, [])
        before = line[-1] if line else None
        if before is not None and before.start + before.duration > note.start + 1e-6:
            changed += 1
            if note.start - before.start < 1e-6:
                line[-1] = max(before, note, key=lambda one: one.duration)
                continue
            line[-1] = replace(before, duration=note.start - before.start)
        line.append(note)
    return sorted(note for line in kept.values() for note in line), changed
