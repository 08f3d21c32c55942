"""Tokens of a line of ABC music (standard 2.1)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from ostinato.readers.abc_fields import ACCIDENTALS

_LENGTH = r"\d*/*\d*"
_PITCH = r"(?:\^\^|\^|__|_|=)?[A-Ga-g][,']*"
_TOKEN = re.compile(
    r"(?P<field>\[[A-Za-z]:[^\]]*\])"
    r'|(?P<text>"[^"]*")'
    r"|(?P<decoration>![A-Za-z0-9.+<>()]+!|\+[a-z]+\+|[H-Wh-w~]|\.(?!\|))"
    r"|(?P<grace>\{[^}]*\})"
    r"|(?P<bar>\.?(?:\[\||\||:+\||::)[|:\]]*(?:\s*\[\d[\d,\-]*|\d[\d,\-]*)?|\[\d[\d,\-]*)"
    r"|(?P<tuplet>\(\d(?::\d?)?(?::\d?)?)"
    rf"|(?P<chord>\[[^\]|]*\]{_LENGTH})"
    rf"|(?P<note>{_PITCH}{_LENGTH})"
    rf"|(?P<rest>[zxZX]{_LENGTH})"
    r"|(?P<broken>>+|<+)"
    r"|(?P<tie>-)"
    r"|(?P<overlay>&)"
    r"|(?P<nothing>y\d*|[()\\\s`*$!])"
)
_NOTE = re.compile(rf"(\^\^|\^|__|_|=)?([A-Ga-g])([,']*)({_LENGTH})(-?)")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True)
class AbcNote:
    """A note as it is spelled: `alter` is None where the key or an earlier sign decides.

    natural: MIDI pitch without any accidental; length: in unit notes.
    """

    letter: str
    natural: int
    alter: int | None
    length: Fraction
    tied: bool


def tokens_of(line: str) -> Iterator[tuple[str, str]]:
    """Kind and text of the tokens of a line; a character that means nothing is `unknown`."""
    place = 0
    while place < len(line):
        found = _TOKEN.match(line, place)
        if found is None or found.lastgroup is None:
            yield "unknown", line[place]
            place += 1
        else:
            yield found.lastgroup, found.group()
            place = found.end()


def notes_of(text: str) -> list[AbcNote]:
    """The notes in a note, a chord or a group of grace notes."""
    return [
        AbcNote(
            letter.upper(),
            60
            + _STEPS[letter.upper()]
            + 12 * (letter.islower() + octave.count("'") - octave.count(",")),
            ACCIDENTALS[sign] if sign else None,
            factor(length),
            bool(tie),
        )
        for sign, letter, octave, length, tie in _NOTE.findall(text)
    ]


def factor(text: str) -> Fraction:
    """A length such as 3, 3/2, /, // or /4 in unit notes."""
    number, slashes, over = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # type: ignore[union-attr]
    halves = Fraction(1, 2 ** len(slashes)) if slashes and not over else Fraction(1)
    return int(number or 1) * halves / max(1, int(over or 1))


def numbers_of(text: str) -> tuple[int, ...]:
    """Numbers of an ending: 1, `1,3` and `1-3`."""
    numbers: list[int] = []
    for first, last in re.findall(r"(\d{1,2})(?:-(\d{1,2}))?", text):
        numbers += range(int(first), int(last or first) + 1)
    return tuple(numbers)
