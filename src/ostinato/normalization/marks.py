"""The marks by which copies of a piece are found: of its melody, and of all that sounds."""

from dataclasses import dataclass

from ostinato.music import melody
from ostinato.music.piece import Piece
from ostinato.normalization.sketch import (
    Hashes,
    melody_fingerprint,
    melody_sketch,
    texture_fingerprint,
    texture_sketch,
)


@dataclass(frozen=True)
class Marks:
    """Fingerprints and sketches of a piece (see sketch).

    melody: of its melody, however short. name: the same, but of the texture where the melody is too
    short to tell pieces apart; groups are named by it.
    """

    melody: str
    name: str
    texture: str
    melody_hashes: Hashes
    texture_hashes: Hashes


def marks_of(piece: Piece, keep: int = 1) -> Marks:
    """The marks of a piece, of whose passages one in `keep` is remembered."""
    return Marks(
        melody=melody.fingerprint(piece),
        name=melody_fingerprint(piece),
        texture=texture_fingerprint(piece),
        melody_hashes=melody_sketch(piece, keep),
        texture_hashes=texture_sketch(piece, keep),
    )
