"""Marks of a piece, by which copies are found: of its melody, and of its whole texture."""

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
    """Fingerprints and sketches of a piece (normalization/sketch.py).

    melody: fingerprint of its melody. name: the same, but of the texture if the melody is too short
    to identify a piece; names its group.
    """

    melody: str
    name: str
    texture: str
    melody_hashes: Hashes
    texture_hashes: Hashes


def marks_of(piece: Piece, keep: int = 1) -> Marks:
    """The marks of a piece; sketches keep one in `keep` passages."""
    return Marks(
        melody=melody.fingerprint(piece),
        name=melody_fingerprint(piece),
        texture=texture_fingerprint(piece),
        melody_hashes=melody_sketch(piece, keep),
        texture_hashes=texture_sketch(piece, keep),
    )
