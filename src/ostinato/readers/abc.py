"""ABC tunes: files that hold one or many of them.

An own reader: MusPy (0.5.0) drops the first tune of a file and the last line of the last one;
music21 (9.9.2) drops meters that change within a tune, ties and grace notes of chords, and needs
66 ms for a tune. Read are notes, chords, ties, tuplets, broken rhythms, voices, overlays, keys of
all modes, chord symbols, fermatas, parts, repeats and endings; not lyrics, macros and playback
directives.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from ostinato.files import DamagedFile
from ostinato.music.piece import Annotation, Key, Meter, Tempo, Track
from ostinato.music.roles import role_of
from ostinato.readers import abc_fields
from ostinato.readers.abc_voice import BarSigns, Voice
from ostinato.readers.base import Reading, ReadOptions
from ostinato.readers.repeats import RepeatedBar, last_endings, played_out
from ostinato.readers.score import Score, Span, perform

SUFFIXES = (".abc",)
_FIELD = re.compile(r"([A-Za-z]):(?![|:\]])(.*)")
_VOICE_NAME = re.compile(r'(?:name|nm)\s*=\s*(?:"([^"]*)"|(\S+))')


@dataclass
class Header:
    """What the fields before the music say; `shift` in semitones, voices by their id."""

    title: str = ""
    meter: tuple[int, int] | None = None
    unit: Fraction | None = None
    key: str = ""
    tempo: str = ""
    parts: list[str] = field(default_factory=list)
    voices: dict[str, str] = field(default_factory=dict)


def abc_keys(path: Path) -> list[str]:
    """One key for each tune of a file: its X number (`0001`); "" for a file of one tune."""
    return sorted(_tunes_of(path))


def read_abc(path: Path, key: str, options: ReadOptions) -> Reading:
    """Read one tune. Accidentals hold to the end of the bar in all octaves, as the standard says.

    Grace notes are counted as dropped.
    """
    tunes = _tunes_of(path)
    if key not in tunes:
        raise DamagedFile(f"there is no tune {key!r} among {len(tunes)}")
    header, body = _header(tunes[key])
    score = Score(title=header.title)
    voices = _voices(header, body, score)
    lead = voices[0]
    end = max(voice.time for voice in voices)
    unknown = sum((voice.unknown for voice in voices), Counter[str]())
    if unknown:
        signs = " ".join(sorted(unknown))
        score.warnings.append(f"{unknown.total()} characters are no ABC music: {signs}")
    _mark_bars(lead, end, score)
    spans = _spans(lead, end, header.parts if options.expand_repeats else None, options)
    name = f"{path.stem}-{key}" if key else path.stem
    return perform(score, spans, name, path.name, options.ticks_per_quarter)


def _tunes_of(path: Path) -> dict[str, list[str]]:
    state = path.stat()
    return _split(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1)  # tunes are read file by file, and a file may be huge
def _split(path: Path, _changed: int, _size: int) -> dict[str, list[str]]:
    """The lines of every tune by its key; fields before the first tune hold for all of them."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    head: list[str] = []
    tunes: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if number := re.match(r"X:\s*(\d*)", line):
            tunes.append((number[1] or "0", [*head]))
        elif tunes:
            tunes[-1][1].append(line)
        else:
            head.append(line)
    if not tunes and any(line.startswith("K:") for line in head):
        tunes = [("1", head)]
    if len(tunes) == 1:
        return {"": tunes[0][1]}
    named: dict[str, list[str]] = {}
    for digits, lines in tunes:
        key, again = digits.zfill(4), 2
        while key in named:
            key, again = f"{digits.zfill(4)}-{again}", again + 1
        named[key] = lines
    return named


def _header(lines: list[str]) -> tuple[Header, list[str]]:
    """The fields up to the first K: and the lines after it."""
    header = Header()
    for place, line in enumerate(lines):
        found = _FIELD.match(_plain(line))
        if not found:
            continue
        letter, value = found[1], found[2].strip()
        if letter == "T":
            header.title = header.title or value
        elif letter == "M":
            header.meter = abc_fields.meter_of(value)
        elif letter == "L":
            header.unit = abc_fields.unit_of(value)
        elif letter == "Q":
            header.tempo = value
        elif letter == "P":
            header.parts = abc_fields.part_order(value)
        elif letter == "V" and value:
            header.voices.setdefault(value.split()[0], value)
        elif letter == "K":
            header.key = value
            return header, lines[place + 1 :]
    raise DamagedFile("the tune has no key (K:), which ends its header")


def _plain(line: str) -> str:
    """A line without its comment."""
    return re.sub(r"(?<!\\)%.*", "", line)


def _voices(header: Header, body: list[str], score: Score) -> list[Voice]:
    """Read the music; music before the first V: field is the first voice's."""
    voices: dict[str, Voice] = {}
    first = next(iter(header.voices), "1")
    current = _voice(header, first, score, voices)
    silent = False
    for line in map(_plain, body):
        found = _FIELD.match(line)
        silent = (silent or not line.strip()) and not (found or "|" in line)
        if silent or not line.strip():
            continue  # words between tunes
        if found and found[1] != "V":
            current.field(found[1], found[2])
            continue
        for part in re.split(r"(\[V:[^\]]*\])", f"[V:{found[2]}]" if found else line):
            if part.startswith("[V:"):
                name = (part[3:-1].split() or [first])[0]
                header.voices.setdefault(name, part[3:-1])
                current = voices.get(name) or _voice(header, name, score, voices)
            else:
                current.line(part)
    return list(voices.values())


def _voice(header: Header, name: str, score: Score, voices: dict[str, Voice]) -> Voice:
    key = abc_fields.key_of(header.key) or abc_fields.KeySign()
    unit = header.unit or abc_fields.default_unit(header.meter)
    settings = header.voices.get(name, "")
    voice = Voice(
        score, len(score.tracks), name, unit, header.meter, key, leads=not voices,
        shift=abc_fields.octaves_of(settings) or abc_fields.octaves_of(header.key),
    )  # fmt: skip
    if not voices:
        score.mark(Fraction(0), Key(0, key.fifths, key.mode))
        if header.meter:
            score.mark(Fraction(0), Meter(0, *header.meter))
        if qpm := abc_fields.qpm_of(header.tempo, unit):
            score.mark(Fraction(0), Tempo(0, qpm))
    label = _VOICE_NAME.search(settings)
    title = (label[1] or label[2] or "") if label else ""
    role = role_of(title) if title else "melody" if not voices else ""
    score.tracks.append(Track(title, role))
    score.notes.append([])
    voices[name] = voice
    return voice


def _mark_bars(voice: Voice, end: Fraction, score: Score) -> None:
    """Mark where bars begin: not at a repeat sign within a bar, nor at the end."""
    starts = [bar.start for bar in voice.bars] + [end]
    meters = [mark for mark in score.marks if isinstance(mark.value, Meter)]
    begun = Fraction(0)
    for number, bar in enumerate(voice.bars):
        if bar.start >= end and end:
            continue
        here = [m.value for m in meters if m.onset <= bar.start and isinstance(m.value, Meter)]
        full = here[-1].bar_quarters() if here else Fraction(0)
        completes = begun < bar.start < begun + full == starts[number + 1]
        if not (completes and (bar.opens or voice.bars[number - 1].times > 1)):
            begun = bar.start
            score.mark(begun, Annotation(0, "bar"))


def _spans(
    voice: Voice, end: Fraction, order: list[str] | None, options: ReadOptions
) -> list[Span] | None:
    bars = [bar for bar in voice.bars if bar.start < end]
    starts = [bar.start for bar in bars] + [end]
    if options.expand_repeats:
        numbers = _expanded(bars, order or [])
    else:
        numbers = last_endings([max(bar.endings, default=0) for bar in bars])
    if numbers == list(range(len(bars))):
        return None
    return [(starts[number], starts[number + 1]) for number in numbers]


def _expanded(bars: list[BarSigns], order: list[str]) -> list[int]:
    """All repeats played; parts in the order the header gives, where all of them are there."""
    parts: dict[str, list[int]] = {"": []}
    label = ""
    for number, bar in enumerate(bars):
        label = bar.label or label
        parts.setdefault(label, []).append(number)
    if not order or not set(order) <= set(parts):
        order = list(parts)
    elif parts[""]:
        order = ["", *order]
    numbers: list[int] = []
    for label in order:
        part = [bars[number] for number in parts[label]]
        signs = [RepeatedBar(bar.opens, bar.times, bar.endings) for bar in part]
        numbers += [parts[label][number] for number in played_out(signs)]
    return numbers
