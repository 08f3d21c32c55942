"""Counts the notes of a MusicXML file without our reader, for the balance of notes.

Counted are the notes that are struck: every <note> with a pitch or an unpitched place, grace and
cue notes included, each as it is written (repeats are not played), but not a note that ends a tie
(`<tie type="stop"/>`). A tied note that follows no note of its pitch is struck all the same; the
reader's warning says how many there are, and they come on top of this count.
"""

import re
import zipfile
from pathlib import Path

_NOTE = re.compile(r"<(?:\w+:)?note[ >].*?</(?:\w+:)?note>", re.DOTALL)
_PITCH = re.compile(r"<(?:\w+:)?(?:pitch|unpitched)\b")
_SMALL = re.compile(r"<(?:\w+:)?(?:grace|cue)\b")
_TIED = re.compile(r"""<(?:\w+:)?tie\s[^>]*type\s*=\s*["']stop["']""")


def count_notes(path: Path) -> int:
    """The number of struck notes that are written in a file."""
    notes = _NOTE.findall(re.sub(r"<!--.*?-->", "", _text(path), flags=re.DOTALL))
    return sum(
        bool(_PITCH.search(note)) and (bool(_SMALL.search(note)) or not _TIED.search(note))
        for note in notes
    )


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith(("xml",)) and "META-INF" not in n]
            data = max((archive.read(name) for name in names), key=len)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    return data.decode("utf-8", errors="replace")
