"""Counts the notes of a MusicXML file without our reader, for the balance of notes.

Counted are the notes that are struck: every <note> with a pitch or an unpitched place, grace and
cue notes included, each as it is written (repeats are not played). Not counted is a note that ends
a tie (`<tie type="stop"/>`), or that follows the start of a tie on its pitch in its voice without
saying so, rests aside (some fill bars that are full); a tie into the first ending leads into the
later ones as well. A tied note that follows no note of its pitch is struck all the same; the
reader's warning says how many there are, and they come on top of this count.
"""

import re
import zipfile
from collections import defaultdict
from pathlib import Path

_TOKEN = re.compile(
    r"<(?:\w+:)?note[ >].*?</(?:\w+:)?note>|<(?:\w+:)?(?:part|ending)\s[^>]*>", re.DOTALL
)
_PITCH = re.compile(r"<(?:\w+:)?(?:pitch|unpitched)\b.*?</(?:\w+:)?(?:pitch|unpitched)>", re.DOTALL)
_SMALL = re.compile(r"<(?:\w+:)?(?:grace|cue)\b")
_TIE = r"""<(?:\w+:)?tie\s[^>]*type\s*=\s*["']{}["']"""


def count_notes(path: Path) -> int:
    """The number of struck notes that are written in a file."""
    total = 0
    open_ties: dict[str, set[str]] = {}  # by voice: pitches tied to the next note or chord
    before: dict[str, set[str]] = {}
    into_endings: dict[str, set[str]] = {}
    for note in _TOKEN.findall(re.sub(r"<!--.*?-->", "", _text(path), flags=re.DOTALL)):
        if "ending" in note[:12]:
            if "start" in note and re.search(r"""number\s*=\s*["']1""", note):
                into_endings = dict(open_ties)
            elif "start" in note:
                open_ties.update(into_endings)
            continue
        if not note.endswith("note>"):
            open_ties, before = defaultdict(set), defaultdict(set)
            continue
        written = _PITCH.search(note)
        if _SMALL.search(note):
            total += bool(written)
            continue
        found = re.search(r"<(?:\w+:)?voice>\s*(.*?)\s*<", note)
        voice = found[1] if found else "1"
        if written and not re.search(r"<(?:\w+:)?chord\b", note):
            before[voice], open_ties[voice] = open_ties[voice], set()
        if written:
            pitch = _sounding(written[0])
            continued = re.search(_TIE.format("stop"), note) or pitch in before[voice]
            total += not continued
            if re.search(_TIE.format("start"), note):
                open_ties[voice].add(pitch)
    return total


def _sounding(pitch: str) -> str:
    """A pitch without its spelling; an unpitched place as it is written."""
    step, alter, octave = (
        re.search(rf"<(?:\w+:)?{name}>\s*([^<\s]+)", pitch) for name in ("step", "alter", "octave")
    )
    if step is None or octave is None:
        return re.sub(r"\s", "", pitch)
    semitones = "C D EF G A B".index(step[1]) + round(float(alter[1] if alter else 0))
    return str(12 * int(octave[1]) + semitones)


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith("xml") and "META-INF" not in n]
            data = max((archive.read(name) for name in names), key=len)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    return data.decode("utf-8", errors="replace")
