"""What every reader takes and gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ostinato.music.piece import Piece

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")
PEDALS = ("keep", "fold", "ignore")
READERS = ("", "muspy", "voices_json", "roll_mat", "wjazzd")


@dataclass(frozen=True)
class ReadOptions:
    """How a file becomes a piece.

    ticks_per_quarter: the time unit. 480 holds everything to a sixty-fourth triplet exactly.
    expand_repeats: play repeats and endings out; otherwise each printed bar once, last endings
    only.
    pedal: the sustain pedal of MIDI files: `keep` as annotations, `fold` into the durations of the
    notes it holds, or `ignore`.
    reader: "" reads a file by its suffix; `muspy` through MusPy's own readers; else the name of a
    format that its suffix does not tell.
    muspy_share: of the MIDI files, 0 to 1, that MusPy's reader reads as well for a comparison.
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
    """A piece, and what reading it cost.

    dropped: notes that are in the file but not in the piece, by named reason; they and the piece's
    notes are all notes of the file.
    onset_error: mean absolute change of onsets in quarter notes that the rescaling to
    ticks_per_quarter made.
    compared: by which readers the notes were compared, and whether they disagree (see midi_check).
    """

    piece: Piece
    dropped: Mapping[str, int] = field(default_factory=dict)
    onset_error: float = 0.0
    compared: Mapping[str, bool] = field(default_factory=dict)
