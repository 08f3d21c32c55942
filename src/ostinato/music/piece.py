"""A piece of music as plain data.

Notes are one structured numpy array (a column per attribute), which is stored as columns. Time is
in integer ticks, `ticks_per_quarter` of them to a quarter note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeVar

import numpy as np
import numpy.typing as npt

NOTE = np.dtype(
    [("track", "i4"), ("onset", "i4"), ("duration", "i4"), ("pitch", "i4"), ("velocity", "i4")]
)
Notes = npt.NDArray[np.void]
VOICES = ("soprano", "alto", "tenor", "bass")
DEFAULT_VELOCITY = 80
RELATIVE_MAJOR = 3  # semitones from a minor key's tonic up to that of its relative major
_MAJOR = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
_MINOR = ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")


@dataclass(frozen=True)
class Track:
    """One instrument or voice; `role` is its musical function (soprano, melody, drums …)."""

    name: str = ""
    role: str = ""
    program: int = 0
    is_drum: bool = False


@dataclass(frozen=True)
class Tempo:
    """Quarter notes per minute from `onset` on."""

    onset: int
    qpm: float


@dataclass(frozen=True)
class Meter:
    """A time signature from `onset` on."""

    onset: int
    numerator: int
    denominator: int

    def bar_quarters(self) -> Fraction:
        """Length of a bar in quarter notes."""
        return Fraction(4 * self.numerator, self.denominator)


@dataclass(frozen=True)
class Key:
    """A key signature from `onset` on: sharps (positive) or flats (negative), and the mode."""

    onset: int
    fifths: int
    mode: str = ""

    def midi_name(self) -> str | None:
        """Name of the key in MIDI (`Eb`, `F#m`); other modes are named by their major scale.

        None for more than seven sharps or flats, which MIDI cannot express.
        """
        return MIDI_KEYS.get((self.fifths, self.mode if self.mode == "minor" else "major"))


@dataclass(frozen=True)
class Annotation:
    """Any other event; kind is bar, fermata, chord or phrase."""

    onset: int
    kind: str
    value: str = ""


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece: notes sorted by onset, track and pitch, with their metadata.

    Time begins at 0: ValueError for a note, change or annotation with a negative onset.
    """

    id: str
    ticks_per_quarter: int
    notes: Notes
    tracks: tuple[Track, ...]
    tempos: tuple[Tempo, ...] = ()
    meters: tuple[Meter, ...] = ()
    keys: tuple[Key, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    source: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.ticks_per_quarter < 1:
            raise ValueError(f"ticks_per_quarter={self.ticks_per_quarter} must be at least 1")
        tracks = self.notes["track"]
        if len(tracks) and not 0 <= tracks.min() <= tracks.max() < len(self.tracks):
            raise ValueError(f"a note of {self.id} refers to a track that does not exist")
        changes: tuple[Tempo | Meter | Key | Annotation, ...]
        changes = (*self.tempos, *self.meters, *self.keys, *self.annotations)
        first = min([int(self.notes["onset"].min(initial=0)), *(x.onset for x in changes)])
        if first < 0:
            raise ValueError(f"{self.id} has an onset at tick {first}; time begins at 0")

    @property
    def length(self) -> int:
        """End of the last note in ticks; 0 for a piece without notes."""
        return int((self.notes["onset"] + self.notes["duration"]).max()) if len(self.notes) else 0

    @property
    def quarters(self) -> float:
        """Length in quarter notes."""
        return self.length / self.ticks_per_quarter

    def voice(self, role: str) -> Notes:
        """The notes of all tracks of one role."""
        numbers = [i for i, track in enumerate(self.tracks) if track.role == role]
        return self.notes[np.isin(self.notes["track"], numbers)]

    def first_meter(self) -> Meter:
        """The meter at the start; 4/4 if none is given."""
        return self.meters[0] if self.meters else Meter(0, 4, 4)


MIDI_KEYS = {
    (number - 7, mode): name + suffix
    for mode, suffix, names in (("major", "", _MAJOR), ("minor", "m", _MINOR))
    for number, name in enumerate(names)
}
Change = TypeVar("Change", Tempo, Meter, Key)


def tonic_of(key: Key) -> int:
    """Pitch class of a key's tonic, 0 for C; modes other than minor count as major."""
    return (7 * key.fifths - (RELATIVE_MAJOR if key.mode == "minor" else 0)) % 12


def fifths_of(tonic: int, mode: str) -> int:
    """Sharps (positive) or flats of the key on a pitch class, -5 to 6; mode is major or minor."""
    major = tonic + (RELATIVE_MAJOR if mode == "minor" else 0)
    return (7 * major + 5) % 12 - 5


def make_notes(rows: Sequence[tuple[int, int, int, int, int]]) -> Notes:
    """Sorted notes from (track, onset, duration, pitch, velocity) rows."""
    return sort_notes(np.array(rows, dtype=NOTE))


def sort_notes(notes: Notes) -> Notes:
    """Notes ordered by onset, track, pitch, duration, velocity: a canonical order."""
    return np.sort(notes, order=("onset", "track", "pitch", "duration", "velocity"))


def cut(piece: Piece, start: int, end: int) -> Piece:
    """The notes that begin in [start, end) ticks, shifted to 0 and cut off at `end`."""
    notes = piece.notes[(piece.notes["onset"] >= start) & (piece.notes["onset"] < end)].copy()
    notes["duration"] = np.minimum(notes["duration"], end - notes["onset"])
    notes["onset"] -= start
    return replace(
        piece,
        notes=notes,
        tempos=tuple(
            replace(x, onset=max(0, x.onset - start)) for x in _in_force(piece.tempos, start, end)
        ),
        meters=tuple(
            replace(x, onset=max(0, x.onset - start)) for x in _in_force(piece.meters, start, end)
        ),
        keys=tuple(
            replace(x, onset=max(0, x.onset - start)) for x in _in_force(piece.keys, start, end)
        ),
        annotations=tuple(
            replace(x, onset=x.onset - start) for x in piece.annotations if start <= x.onset < end
        ),
    )


def _in_force(changes: Sequence[Change], start: int, end: int) -> list[Change]:
    before = [x for x in changes if x.onset <= start]
    return before[-1:] + [x for x in changes if start < x.onset < end]


def same_music(a: Piece, b: Piece) -> bool:
    """Whether two pieces have the same notes, roles of tracks, meters and time unit."""
    return (
        a.ticks_per_quarter == b.ticks_per_quarter
        and np.array_equal(a.notes, b.notes)
        and [track.role for track in a.tracks] == [track.role for track in b.tracks]
        and a.meters == b.meters
    )
