"""Options and results that all readers share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ostinato.music.piece import Piece

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")
PEDALS = ("keep", "fold", "ignore")
READERS = ("", "muspy", "voices_json", "roll_mat", "wjazzd")


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read.

    ticks_per_quarter: the time unit. 480 represents values down to a sixty-fourth triplet exactly.
    expand_repeats: play repeats, endings and jumps; otherwise read each printed bar once, of
    several endings the last.
    pedal: the sustain pedal of MIDI files: `keep` as annotations, `fold` into the durations of the
    notes it holds, or `ignore`.
    reader: "" chooses by the file's suffix; `muspy` uses MusPy's readers; else the name of a format
    without a suffix of its own.
    muspy_share: share of the MIDI files, 0 to 1, that MusPy reads too, for a comparison.
    """

    ticks_per_quarter: int = 480
    expand_repeats: bool = False
    pedal: str = "keep"
    reader: str = ""
    muspy_share: float = 0.0

    def __post_init__(self) -> None:
        if self.ticks_per_quarter < 1:
            raise ValueError(f"ticks_per_quarter={self.ticks_per_quarter} must be at least 1")
        if self.pedal not in PEDALS:
            raise ValueError(f"pedal={self.pedal!r} is unknown; use one of {', '.join(PEDALS)}")
        if self.reader not in READERS:
            names = ", ".join(repr(name) for name in READERS)
            raise ValueError(f"reader={self.reader!r} is unknown; use one of {names}")
        if not 0 <= self.muspy_share <= 1:
            raise ValueError(f"muspy_share={self.muspy_share} must lie between 0 and 1")


@dataclass(frozen=True)
class Reading:
    """A piece, and what reading has dropped or changed.

    dropped: numbers of notes that are not in the piece, by reason.
    tied: notes of a score that ties made part of an earlier note. If repeats are not written out,
    they, the dropped notes and the piece's notes are all notes of the file.
    onset_error: mean absolute change of onsets in quarter notes by rounding to ticks.
    compared: readers whose notes were compared, and whether they differ (`midi_check`).
    """

    piece: Piece
    dropped: Mapping[str, int] = field(default_factory=dict)
    onset_error: float = 0.0
    compared: Mapping[str, bool] = field(default_factory=dict)
    tied: int = 0
