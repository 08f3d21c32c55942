"""Marks of a piece, by which copies are found: of its melody, and of its whole texture."""

from dataclasses import dataclass

from ostinato.music import melody
from ostinato.music.piece import Piece
from ostinato.normalization.sketch import (
    Hashes,
    Numbers,
    melody_fingerprint,
    texture_fingerprint,
    texture_sketch,
)


@dataclass(frozen=True)
class Marks:
    """Fingerprints, steps and sketch of a piece (normalization/sketch.py).

    melody: fingerprint of its melody. name: the same, but of the texture if the melody is too short
    to identify a piece; names its group. steps: of the melody, to align it with others (tunes.py).
    """

    melody: str
    name: str
    texture: str
    steps: Numbers
    texture_hashes: Hashes


def marks_of(piece: Piece, keep: int = 1) -> Marks:
    """The marks of a piece; sketches of textures keep one in `keep` passages."""
    return Marks(
        melody=melody.fingerprint(piece),
        name=melody_fingerprint(piece),
        texture=texture_fingerprint(piece),
        steps=melody.steps(piece),
        texture_hashes=texture_sketch(piece, keep),
    )
