"""Tokens of a line of ABC music (standard 2.1, section 4)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from ostinato.readers.abc_fields import ACCIDENTALS, factor

_LENGTH = r"\d*/*\d*"
_PITCH = r"(?:\^\^|__|=|[\^_](?:\d+/?\d*|/\d*)?)?[A-Ga-g][,']*"
TEXT = r'"(?:\\"(?=[AEIOUYaeiouy])|[^"])*"'  # `\"o` is an accent
_NAME = r'[^\s!+|\[\]:"\\]'
_TOKEN = (
    r"(?P<field>\[[A-Za-z]:[^\]]*\])"
    rf"|(?P<text>{TEXT})"
    rf"|(?P<plus>\+(?!f{{1,4}}\+)(?:{_PITCH}{_LENGTH}|[ ()\-~])+\+{_LENGTH})"
    rf"|(?P<decoration>!(?:{_NAME}|\+)+!|\+{_NAME}+\+|[H-Wh-w~]|\.(?!\|))"
    r"|(?P<grace>\{[^}]*\})"
    r"|(?P<bar>\.?(?:\[\||\||:+[|\]]|::)[|:\]]*(?:\s*\[\d[\d,\-]*|\d[\d,\-]*)?"
    r'|\[\d[\d,\-]*|\["\d[^"|]*"(?![^|\[]*\]))'
    r"|(?P<tuplet>\([1-9]\d?(?::\d{0,2}){0,2})"
    rf'|(?P<chord>\[(?:{TEXT}|!(?:{_NAME}|\+)+!|[^\]\[|"!])*\]{_LENGTH})'
    rf"|(?P<note>{_PITCH}{_LENGTH})"
    rf"|(?P<rest>[zxZX]{_LENGTH})"
    r"|(?P<broken>>+|<+)"
    r"|(?P<tie>-)"
    r"|(?P<group>\(&|&\))"
    r"|(?P<overlay>&)"
    r"|(?P<nothing>y\d*|\\%.*|[()\\\s`*$!])"
)
_TOKENS = {
    False: re.compile(_TOKEN),
    True: re.compile(_TOKEN.replace("(?P<plus>", "(?P<plus>(?!)")),  # no chords between + signs
}
_NOTE = re.compile(rf"([\^_=]*)([\d/]*)([A-Ga-g])([,']*)({_LENGTH})")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True)
class AbcNote:
    """A note as it is spelled.

    natural: MIDI pitch without any accidental. alter: semitones of its own accidental, or None.
    length: in unit notes.
    """

    letter: str
    natural: int
    alter: Fraction | None
    length: Fraction


class Dialect:
    """How I: fields change the meaning of ! and + (standard 12.1)."""

    def __init__(self) -> None:
        self._breaks_lines = self._plus_decorates = False

    def read(self, instruction: str) -> None:
        """Read an I: field; other instructions have no effect."""
        name, _, setting = instruction.strip().partition(" ")
        if name == "linebreak":
            self._breaks_lines = self._plus_decorates = "!" in setting
        elif name == "decoration":
            self._plus_decorates = "+" in setting

    def tokens(self, line: str) -> Iterator[tuple[str, str]]:
        """As `tokens_of`."""
        line = line.replace("!", " ") if self._breaks_lines else line
        return tokens_of(line, plus_decorates=self._plus_decorates)


def tokens_of(line: str, *, plus_decorates: bool = False) -> Iterator[tuple[str, str]]:
    """Kind and text of each token; a character that has no meaning is `unknown`."""
    pattern = _TOKENS[plus_decorates]
    place = 0
    while place < len(line):
        found = pattern.match(line, place)
        if found is None or found.lastgroup is None:
            yield "unknown", line[place]
            place += 1
        else:
            yield found.lastgroup, found.group()
            place = found.end()


def note_of(text: str) -> AbcNote:
    """The note of a token of the kind `note`."""
    found = _NOTE.fullmatch(text)
    assert found, text
    sign, share, letter, octave, length = found.groups()
    alter = None if not sign else Fraction(ACCIDENTALS[sign]) * (factor(share) if share else 1)
    step = _STEPS[letter.upper()]
    octaves = letter.islower() + octave.count("'") - octave.count(",")
    return AbcNote(letter.upper(), 60 + step + 12 * octaves, alter, factor(length))


def notes_in(text: str) -> Iterator[AbcNote]:
    """The notes of a group of grace notes, chords included."""
    for kind, token in tokens_of(text):
        if kind in ("chord", "plus"):
            yield from notes_in(chord_parts(token)[0])
        elif kind == "note":
            yield note_of(token)


def chord_parts(token: str) -> tuple[str, Fraction]:
    """What a chord contains, and the factor of its length; `+CEG+` is the outdated form."""
    inside, _, length = token[1:].rpartition("+" if token[0] == "+" else "]")
    return inside, factor(length)
