"""Tokens of Humdrum **kern: the notes and rests of one cell of a spine."""

import re
from dataclasses import dataclass
from fractions import Fraction

STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
LENGTH = re.compile(r"(\d+)(?:%(\d+))?")
_PITCH = re.compile(r"([a-g]+|[A-G]+)(#+|-+|)")


@dataclass(frozen=True)
class Token:
    """A note of a cell, or a rest (no pitch), with its duration in quarter notes."""

    pitch: int | None
    duration: Fraction
    tied_in: bool
    tied_out: bool
    is_grace: bool = False


def notes_of(cell: str) -> list[Token]:
    """The notes and rests of a cell. `[` opens a tie, `_` continues it, `]` closes it.

    A note of a chord without a length of its own is like the note before it: as long, or a grace
    note, which has no duration (`q`, `Q`). Dots may stand apart from the number (`4G.`).
    """
    tokens: list[Token] = []
    duration, is_grace = Fraction(0), False
    for text in cell.split(" "):
        length = LENGTH.search(text)
        is_grace = "q" in text.lower() or (is_grace and not length)
        if is_grace:
            duration = Fraction(0)
        elif length:
            duration = quarters(length, dots=text.count("."))
        tied_in, tied_out = "_" in text or "]" in text, "[" in text or "_" in text
        pitch = None if "r" in text else pitch_of(text)
        if pitch is not None or duration:
            tokens.append(Token(pitch, duration, tied_in, tied_out, is_grace))
    return tokens


def quarters(length: re.Match[str], dots: int = 0) -> Fraction:
    """A duration in quarter notes: 4 is a quarter, 0 a breve, 3%2 two thirds of a whole note."""
    number, over = length.groups()
    whole = Fraction(int(over or 1), int(number)) if int(number) else Fraction(2 ** len(number))
    return 4 * whole * (2 - Fraction(1, 2**dots))


def pitch_of(text: str) -> int | None:
    """MIDI pitch: c is middle C, cc the octave above, C the one below."""
    found = _PITCH.search(text)
    if not found:
        return None
    letters, accidentals = found.groups()
    octave = len(letters) + 4 if letters.islower() else 5 - len(letters)
    alter = len(accidentals) * (-1 if accidentals.startswith("-") else 1)
    return 12 * octave + STEPS[letters[0].lower()] + alter
