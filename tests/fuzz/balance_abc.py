"""Counts the note letters of ABC tunes without the reader: the other side of the balance.

It knows the line rules of the ABC standard 2.1, and removes from each line of music what contains
letters that are no notes. Each of the letters A-G and a-g that remain is a note, or a grace note.
"""

import re

_NOT_NOTES = (
    re.compile(r'"[^"]*"'),  # chord symbols and annotations
    re.compile(r"\[[A-Za-z]:[^\]]*\]"),  # inline fields
    re.compile(r'![^\s!|\[\]:"\\]+!'),  # decorations
)
_PLUS = re.compile(r'\+([^+|\[\]:!"\\]+)\+')
_OUTDATED_CHORD = re.compile(
    r"(?:[ ()~-]|(?:\^\^|__|=|[\^_](?:\d+/?\d*|/\d*)?)?[A-Ga-g][,']*\d*/*\d*)+"
)


def count_notes(text: str) -> dict[str, int]:
    """Number of note letters of each tune, by the key that the reader gives it."""
    tunes: list[tuple[str, int]] = []
    dialect = ""  # of the file header
    chunks = re.split(
        r"(?m)^X:", text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    )
    head, rest = chunks[0], chunks[1:]
    if not rest:
        return {"": _letters(head, "")} if re.search(r"(?m)^K:", head) else {}
    dialect = _dialect(head.split("\n\n")[0])
    for chunk in rest:
        number, _, lines = chunk.partition("\n")
        digits = re.match(r"\s*(\d*)", number)
        tunes.append((((digits and digits[1]) or "0").zfill(4), _letters(lines, dialect)))
    if len(tunes) == 1:
        return {"": tunes[0][1]}
    found: dict[str, int] = {}
    times: dict[str, int] = {}
    for key, letters in tunes:
        times[key] = times.get(key, 0) + 1
        found[key if times[key] == 1 else f"{key}-{times[key]}"] = letters
    return found


def _letters(tune: str, dialect: str) -> int:
    """Letters in the lines of music: after K:, up to an empty line."""
    tune = re.sub(r"(?ms)^(?:%%|I:)[ \t]*begin(\w+).*?^(?:%%|I:)[ \t]*end\1\b[^\n]*\n?", "", tune)
    header, *_, body = re.split(r"(?m)^K:([^\n]*\n?)", tune, maxsplit=1)
    dialect += _dialect(header)
    total, lyrics = 0, False
    for line in body.split("\n"):
        if not line.strip():
            break
        was_lyrics, lyrics = lyrics, False
        line = re.sub(r"(?<!\\)%.*", "", line).rstrip()
        if not re.match(r"[A-Za-z+]:", line) or re.match(r"[A-Ga-gXZxyz]:[|:\]]", line):
            is_words = was_lyrics and ("|" not in line or re.search("[H-WYh-wy]", _bare(line)))
            total += 0 if is_words else _music(line, dialect)
        elif line[0] == "I":
            dialect += _dialect(line)
        lyrics = line[:2].lower() == "w:" and line.endswith("\\")
    return total


def _bare(line: str) -> str:
    for pattern in _NOT_NOTES:
        line = pattern.sub("", line)
    return line


def _dialect(text: str) -> str:
    """The signs that I: fields give another meaning: `!` breaks lines, `+` marks decorations."""
    signs = re.findall(r"(?m)^I:\s*(linebreak|decoration)\s+([^\n%]*)", text)
    breaks = any(name == "linebreak" and "!" in value for name, value in signs)
    return "!+" * breaks + "+" * any(name == "decoration" and "+" in value for name, value in signs)


def _music(line: str, dialect: str) -> int:
    for pattern in _NOT_NOTES[:2]:
        line = pattern.sub("|", line)
    line = re.sub(r"\\%.*", "", line)
    line = line.replace("!", " ") if "!" in dialect else _NOT_NOTES[2].sub(" ", line)
    line = _PLUS.sub(lambda found: _keep_chord(found[1], "+" in dialect), line)
    return len(re.findall("[A-Ga-g]", line))


def _keep_chord(inside: str, is_decoration: bool) -> str:
    """Between two + signs: notes in the outdated way of chords, or the name of a decoration."""
    if not is_decoration and _OUTDATED_CHORD.fullmatch(inside) and inside.strip("f"):
        return inside
    return inside if " " in inside else " "
