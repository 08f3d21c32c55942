"""Macros of ABC tunes (standard 2.1, section 9): texts that stand for others in lines of music.

`m: ~G3 = G{A}G{F}G` replaces each `~G3`. A target with an `n` stands for every note, and the
letters h to z of its replacement for notes around it: n is the note, m the one below, o the one
above. A macro holds from its field on, a field in the header for the whole tune.
"""

import re
from collections.abc import Callable, Iterable

from ostinato.readers.abc_tokens import TEXT

_LETTERS = "CDEFGAB"
_NOTE = r"([A-Ga-g][,']*)"
_LONGEST = 10_000  # characters of a line with its macros replaced


class Macros:
    """The macros of a tune, by their definitions: `target = replacement`."""

    def __init__(self, definitions: Iterable[str]) -> None:
        self._rules: dict[str, tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = {}
        for text in definitions:
            self.define(text)

    def define(self, text: str) -> None:
        """Add a macro, or replace the one of the same target; a text without `=` has no effect."""
        target, _, replacement = (part.strip() for part in text.partition("="))
        if target and replacement and "n" in target:
            before, _, after = target.partition("n")
            pattern = re.escape(before) + _NOTE + re.escape(after)
            self._rules[target] = re.compile(pattern), lambda found: _around(found[1], replacement)
        elif target and replacement:
            self._rules[target] = re.compile(re.escape(target)), lambda found: replacement

    def expand(self, line: str) -> str:
        """A line of music without macros; longer targets first, chord symbols and fields kept."""
        for target in sorted(self._rules, key=len, reverse=True):
            pattern, replace = self._rules[target]
            parts = re.split(rf"({TEXT}|\[[A-Za-z]:[^\]]*\])", line)
            parts[::2] = [pattern.sub(replace, part) for part in parts[::2]]
            line = "".join(parts)[:_LONGEST]
        return line


def _around(note: str, replacement: str) -> str:
    """The replacement with its letters h to z as notes around this one."""
    octaves = note.count("'") - note.count(",") + note[0].islower()
    place = _LETTERS.index(note[0].upper()) + 7 * octaves

    def spell(found: re.Match[str]) -> str:
        if len(found[0]) > 1:
            return found[0]  # a decoration
        octave, step = divmod(place + ord(found[0]) - ord("n"), 7)
        letter = _LETTERS[step]
        return letter.lower() + "'" * (octave - 1) if octave > 0 else letter + "," * -octave

    return re.sub(r"![^!]*!|[h-z]", spell, replacement)
