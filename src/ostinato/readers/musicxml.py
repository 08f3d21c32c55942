"""MusicXML, plain or compressed, read bar by bar.

MusPy's reader (0.5.0) is the model for what becomes a track, a tempo, a meter. Its walk over the
notes is not used: it goes back in time at a grace note within a chord, stands still at a cue note,
joins two voices that meet on one tied pitch, and refuses 229 of OpenEWLD's 502 scores. On the
chorales of music21 both find the same notes.
"""

import zipfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring, parse

from ostinato.music.piece import Meter, Track
from ostinato.music.roles import role_of
from ostinato.readers.base import Reading, ReadOptions
from ostinato.readers.musicxml_bars import Bar, PartWalk
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
    root = _partwise(_score_root(path, score.warnings))
    score.title = _title(root)
    parts = _parts(root)
    bars = _walk(parts, root, score)
    signs = bars_of(parts, score.warnings)
    played = unfold(signs) if options.expand_repeats else printed_once(signs)
    score.warnings += played.warnings
    in_page_order = played.order == list(range(len(bars)))
    spans = None if in_page_order else [bars[number] for number in played.order]
    return perform(score, spans, path.stem, path.name, options.ticks_per_quarter)


def _score_root(path: Path, warnings: list[str]) -> Element:
    if path.suffix.lower() != ".mxl":
        return parse(path).getroot()
    with zipfile.ZipFile(path) as archive:
        return fromstring(archive.read(_inner_name(archive, warnings)))


def _inner_name(archive: zipfile.ZipFile, warnings: list[str]) -> str:
    """Name of the score in a compressed file, also where its table of contents is malformed."""
    text = archive.read("META-INF/container.xml")
    try:
        rootfile = fromstring(text).find("{*}rootfiles/{*}rootfile")
    except ParseError as error:
        names = [name for name in archive.namelist() if not name.startswith("META-INF/")]
        scores = sorted(name for name in names if name.lower().endswith((".xml", ".musicxml")))
        if len(scores) != 1:
            raise
        warnings.append(f"META-INF/container.xml is malformed ({error}); took the only score")
        return scores[0]
    if rootfile is None:
        raise ParseError("META-INF/container.xml names no score")
    return rootfile.attrib["full-path"]


def _partwise(root: Element) -> Element:
    """The score with bars within parts; files may hold parts within bars instead."""
    if root.tag == "score-partwise":
        return root
    if root.tag != "score-timewise":
        raise ParseError(f"<{root.tag}> is no MusicXML score")
    parts: dict[str, Element] = {}
    for measure in root.findall("measure"):
        for part in measure.findall("part"):
            name = part.get("id", "")
            if name not in parts:
                parts[name] = SubElement(root, "part", {"id": name})
            SubElement(parts[name], "measure", measure.attrib).extend(list(part))
    return root


def _title(root: Element) -> str:
    title = root.findtext("movement-title") or root.findtext("work/work-title") or ""
    return " ".join(title.split())


def _parts(root: Element) -> list[Element]:
    parts = root.findall("part")
    if not parts:
        raise ParseError("the score has no part")
    return parts


def _walk(parts: Sequence[Element], root: Element, score: Score) -> list[Span]:
    """Read all bars into `score`; returns where each begins and ends on the page."""
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
        length = _length(bars, score, implicit=implicit)
        spans.append((start, start + length))
        start += length
    return spans


def _length(bars: Sequence[Bar], score: Score, *, implicit: bool) -> Fraction:
    """How long a bar is that its parts fill in different ways.

    Rests are what such files get wrong: two whole rests in a bar of 4/4, or fillers in the pickup
    of a split bar (which is implicit) where other parts have one note.
    """
    lengths = {bar.length for bar in bars}
    if len(lengths) == 1:
        return lengths.pop()
    score.warnings.append("parts fill a bar in different ways; read as long as its meter or notes")
    if implicit:
        return max(bar.sounding for bar in bars) or min(lengths)
    marked = (mark.value for mark in reversed(score.marks))
    meter = next((value for value in marked if isinstance(value, Meter)), None)
    if meter and meter.bar_quarters() in lengths:
        return meter.bar_quarters()
    return max(lengths)


def _tracks_of(info: Element, score: Score) -> dict[str, int]:
    """A track for each instrument of a part (one for all of a drum kit); returns their numbers.

    The number under "" is that of notes which name no instrument.
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
            program = 0 if is_drum else _program(sound)
            score.tracks.append(Track(title, role_of(title, program, is_drum), program, is_drum))
            score.notes.append([])
        numbers[number] = kit if is_drum and kit is not None else len(score.tracks) - 1
        kit = numbers[number] if is_drum else kit
    numbers.setdefault("", next(iter(numbers.values())))
    return numbers


def _program(sound: Element) -> int:
    """MusicXML counts MIDI programs from 1."""
    text = sound.findtext("midi-program") or "1"
    return min(127, max(0, int(text) - 1))


def _drum_pitches(info: Element) -> dict[str, int]:
    """The MIDI pitch of each instrument of a drum kit; MusicXML counts those from 1, too."""
    return {
        element.get("id", ""): int(pitch) - 1
        for element in info.findall("midi-instrument")
        if (pitch := element.findtext("midi-unpitched"))
    }
