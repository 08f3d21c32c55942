"""MusicXML, plain or compressed, read bar by bar.

Tracks, tempos and meters follow MusPy's reader (0.5.0). Its walk over the notes is not used: it
moves back in time at a grace note within a chord, does not advance at a cue note, joins two voices
that meet on one tied pitch, and rejects 229 of OpenEWLD's 502 scores. On the chorales of music21
both find the same notes.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from ostinato.music.piece import Meter, Track
from ostinato.music.roles import role_of
from ostinato.readers.base import Reading, ReadOptions
from ostinato.readers.musicxml_bars import Bar, PartWalk
from ostinato.readers.musicxml_file import root_of
from ostinato.readers.musicxml_signs import bars_of
from ostinato.readers.score import Score, Span, perform
from ostinato.readers.unfold import printed_once, unfold

SUFFIXES = (".mxl", ".xml", ".musicxml")
DRUM_CHANNEL = "10"


def read_musicxml(path: Path, options: ReadOptions) -> Reading:
    """Read a score; chord symbols become annotations such as `Am7`, `C/E`, `Bb7(b9)`, `N.C.`.

    Grace notes, which have no duration, and cue notes, which are not played, are counted as
    dropped. Tied notes are one note. Pitches are those that sound (transposing instruments).
    """
    score = Score()
    root = root_of(path, score.warnings)
    score.title = _title(root)
    parts = _parts(root)
    bars = _walk(parts, root, score)
    if options.expand_repeats:
        played = unfold(bars_of(parts, score.warnings))
    else:
        played = printed_once(bars_of(parts, []))
    score.warnings += played.warnings
    in_page_order = played.order == list(range(len(bars)))
    spans = None if in_page_order else [bars[number] for number in played.order]
    return perform(score, spans, path.stem, path.name, options.ticks_per_quarter)


def _title(root: Element) -> str:
    title = root.findtext("movement-title") or root.findtext("work/work-title") or ""
    return " ".join(title.split())


def _parts(root: Element) -> list[Element]:
    parts = root.findall("part")
    if not parts:
        raise ParseError("the score has no part")
    return parts


def _walk(parts: Sequence[Element], root: Element, score: Score) -> list[Span]:
    """Read all bars into `score`; returns where each begins and ends, in quarter notes."""
    listed = {part.get("id"): part for part in root.findall("part-list/score-part")}
    walks = []
    for part in parts:
        info = listed.get(part.get("id"), Element("score-part"))
        walks.append(PartWalk(score, _tracks_of(info, score), _drum_pitches(info)))
    measures = [part.findall("measure") for part in parts]
    leads = {
        kind: next(
            (n for n, part in enumerate(parts) if next(part.iter(kind), None) is not None), 0
        )
        for kind in ("key", "time")
    }
    spans, start = [], Fraction(0)
    for number in range(max(len(part) for part in measures)):
        present = [n for n, part in enumerate(measures) if number < len(part)]
        bars = [
            walks[n].bar(measures[n][number], start, [k for k, lead in leads.items() if lead == n])
            for n in present
        ]
        implicit = any(measures[n][number].get("implicit") == "yes" for n in present)
        length = _length(bars, score, walks[leads["time"]].meter, implicit=implicit)
        spans.append((start, start + length))
        start += length
    return spans


def _length(bars: Sequence[Bar], score: Score, meter: Meter | None, *, implicit: bool) -> Fraction:
    """The length of a bar, which its parts may fill in different ways.

    An empty bar is as long as its meter. Rests are what such files get wrong: a whole rest in a bar
    of 3/4, two in a bar of 4/4, or fillers in the pickup of a split bar (which is implicit) where
    other parts have one note. So a bar is not longer than its meter if all its notes end by then.
    """
    lengths = {bar.length for bar in bars}
    sounding = max(bar.sounding for bar in bars)
    whole = meter.bar_quarters() if meter else Fraction(0)
    if lengths == {0}:
        return Fraction(0) if implicit else whole
    if len(lengths) > 1:
        score.warnings.append(
            "parts fill a bar in different ways; read as long as its meter or notes"
        )
        if implicit:
            return sounding or min(lengths)
        if whole and whole in lengths:
            return whole
    if 0 < whole < max(lengths) and sounding <= whole:
        score.warnings.append("rests are longer than their bar; cut to its meter")
        return whole
    return max(lengths)


def _tracks_of(info: Element, score: Score) -> dict[str, int]:
    """Make a track for each instrument of a part (one for a whole drum kit); returns their numbers.

    Notes that name no instrument use the number under "".
    """
    name = " ".join((info.findtext("part-name") or "").split())
    midi = {element.get("id", ""): element for element in info.findall("midi-instrument")}
    named = {element.get("id", ""): element for element in info.findall("score-instrument")}
    numbers: dict[str, int] = {}
    kit = None
    for number in list(named or midi) or [""]:
        sound = midi.get(number, Element("midi-instrument"))
        is_drum = (sound.findtext("midi-channel") or "").strip() == DRUM_CHANNEL
        if not (is_drum and kit is not None):
            label = named[number].findtext("instrument-name") if number in named else ""
            title = name or " ".join((label or "").split())
            program = 0 if is_drum else _program(sound, score.warnings)
            score.tracks.append(Track(title, role_of(title, program, is_drum), program, is_drum))
            score.notes.append([])
        numbers[number] = kit if is_drum and kit is not None else len(score.tracks) - 1
        kit = numbers[number] if is_drum else kit
    numbers.setdefault("", next(iter(numbers.values())))
    return numbers


def _program(sound: Element, warnings: list[str]) -> int:
    """MusicXML counts MIDI programs from 1."""
    text = (sound.findtext("midi-program") or "1").strip()
    if not text.isdecimal():
        warnings.append("malformed <midi-program>; it has no effect")
        return 0
    return min(127, max(0, int(text) - 1))


def _drum_pitches(info: Element) -> dict[str, int]:
    """The MIDI pitch of each instrument of a drum kit; MusicXML counts them from 1."""
    return {
        element.get("id", ""): int(pitch) - 1
        for element in info.findall("midi-instrument")
        if (pitch := (element.findtext("midi-unpitched") or "").strip()).isdecimal()
    }
