"""Lines of ABC files: which belong to which tune, and which are fields, music or neither.

The line rules are those of the ABC standard 2.1 (sections 2.2, 3, 3.3 and 11). A tune begins at its
X: field and ends at the first empty line after its K: field. In a tune, a line is a comment, a
directive (`%%`), a line of a text block (`%%begintext` to `%%endtext` and others of the kind), a
field, or the continuation of a field (`+:`). Every other line of the body is music. Of directives,
those that change what sounds, or what ! and + mean, are read, as I: fields.
"""

import codecs
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ostinato.files import DamagedFile
from ostinato.readers.charsets import guess_charset, text_of

_FIELD = re.compile(r"([A-Za-z+]):(.*)")
_MUSIC = re.compile(r"[A-Ga-gXZxyz]:[|:\]]")  # a note or rest, then a bar line
_CHARSET = re.compile(rb"(?m)^(?:%%|I:)\s*abc-charset\s+([\w-]+)")
_FIELDS = re.compile(rb"(?m)^[A-Za-z]:(.*)")
_BLOCK = re.compile(r"(?:%%|I:)\s*begin(\w+)")
_COMMENT = re.compile(r"(?<!\\)%.*")
_DIRECTIVE = re.compile(
    r"%%\s*(MIDI\s+(r?transpose|(no)?barlines)|propagate-accidentals|linebreak|decoration)\b"
)
_ASIDE = re.compile(r'"[^"]*"|![^!]*!|\[[A-Za-z]:[^\]]*\]')
MUSIC = ""


@dataclass(frozen=True)
class Line:
    """A field by its letter, or a line of music (`MUSIC`), with its text."""

    letter: str
    text: str


@dataclass(frozen=True)
class Tune:
    """Fields up to the first K:, the lines after it, and how many lines with bar lines follow the
    empty line that ends the tune.
    """

    header: list[Line]
    body: list[Line]
    unread: int


def tunes_of(path: Path) -> dict[str, list[str]]:
    """The lines of every tune by its key, with the lines before the first tune in front."""
    state = path.stat()
    return _split(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1)  # tunes are read file by file, and a file may be large
def _split(path: Path, _changed: int, _size: int) -> dict[str, list[str]]:
    data = path.read_bytes()
    text = text_of(data)
    # music is ASCII; of fields see `charset_of`
    return split_tunes(data.decode("latin-1") if text is None else text)


@lru_cache(maxsize=1)
def charset_of(path: Path) -> str:
    """The character set of titles and names that are not in Unicode: as the file says, else
    guessed; "" for Unicode.
    """
    data = path.read_bytes()
    if text_of(data) is not None:
        return ""
    named = _CHARSET.search(data)
    with suppress(LookupError):
        if named and codecs.lookup(named[1].decode()).name != "utf-8":
            return codecs.lookup(named[1].decode()).name
    return guess_charset(_FIELDS.findall(data))


def split_tunes(text: str) -> dict[str, list[str]]:
    """As `tunes_of`. The key is "" in a file of one tune, else the number of its X: field."""
    head: list[str] = []
    tunes: list[tuple[str, list[str]]] = []
    for line in re.split(r"\r\n?|\n", text):
        if number := re.match(r"X:\s*(\d*)", line):
            tunes.append((number[1] or "0", _file_header(head)))
        elif tunes:
            tunes[-1][1].append(line)
        else:
            head.append(line)
    if not tunes and any(line.startswith("K:") for line in head):
        tunes = [("1", head)]
    if len(tunes) == 1:
        return {"": tunes[0][1]}
    seen: Counter[str] = Counter()
    named: dict[str, list[str]] = {}
    for digits, lines in tunes:
        key = digits.zfill(4)
        seen[key] += 1
        named[key if seen[key] == 1 else f"{key}-{seen[key]}"] = lines
    return named


def _file_header(lines: Sequence[str]) -> list[str]:
    """Fields that hold for all tunes: those before the first empty line."""
    block = itertools.takewhile(str.strip, lines)
    return [line for line in block if not line.startswith("K:")]


def read_lines(lines: Sequence[str]) -> Tune:
    """Sort the lines of a tune.

    Raises:
        DamagedFile: the tune has no K: field.
    """
    header: list[Line] = []
    body: list[Line] = []
    has_key = are_lyrics = False
    rest = iter(list(_without_blocks(lines)))
    for raw in rest:
        if not raw.strip():
            if has_key:
                break
            continue
        continues_lyrics, are_lyrics = are_lyrics, False
        line = _line(raw)
        if line is None or (continues_lyrics and line.letter == MUSIC and not is_music(line.text)):
            continue
        target = body if has_key else header
        if line.letter == "+":
            _continue_field(body or header, line.text)
        elif has_key or line.letter != MUSIC:
            target.append(line)
        has_key = has_key or line.letter == "K"
        are_lyrics = line.letter.lower() == "w" and line.text.endswith("\\")  # as in ABC 2.0
    if not has_key:
        raise DamagedFile("the tune has no key (K:), which ends its header")
    return Tune(header, body, sum("|" in _COMMENT.sub("", raw) for raw in rest))


def is_music(text: str) -> bool:
    """Whether a line has bar lines, and no letters but those of notes and rests: more than words
    that an earlier line of lyrics goes on with.
    """
    text = _ASIDE.sub("", text)
    return "|" in text and not re.search("[H-WYh-wy]", text)


def _without_blocks(lines: Sequence[str]) -> Iterator[str]:
    """Leave out text blocks that have an end; in others each line has to begin with `%%`."""
    number = 0
    while number < len(lines):
        if block := _BLOCK.match(lines[number]):
            end = re.compile(rf"(?:%%|I:)\s*end{block[1]}\b")
            ends = (n for n in range(number, len(lines)) if end.match(lines[n]))
            number = next(ends, number)
        yield lines[number]
        number += 1


def _line(raw: str) -> Line | None:
    """A field or music; None for comments and most directives, which are not even empty lines."""
    if _DIRECTIVE.match(raw):
        return Line("I", _COMMENT.sub("", raw[2:]).strip())
    text = _COMMENT.sub("", raw).rstrip()
    if not text.strip():
        return None
    found = _FIELD.match(text)
    if found and not _MUSIC.match(text):
        return Line(found[1], found[2].strip())
    return Line(MUSIC, text)


def _continue_field(lines: list[Line], text: str) -> None:
    if lines and lines[-1].letter != MUSIC:
        lines[-1] = Line(lines[-1].letter, f"{lines[-1].text} {text}")


def values(lines: Iterable[Line], letter: str) -> list[str]:
    """The texts of all fields with a letter."""
    return [line.text for line in lines if line.letter == letter]
