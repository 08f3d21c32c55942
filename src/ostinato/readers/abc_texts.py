"""Texts of ABC: chord symbols among those of the music, letters that are written as signs."""

import html
import re
import unicodedata

_QUALITY = (
    r"(?:maj|min|mi|ma|dim|aug|sus|add|omit|no|alt|dom|[mM](?![a-z])|m(?=aj|add|in|sus|M|\d)"
    r"|d$|[°oøØΔ^+\-](?![a-z])|[#b♯♭=]?\d+|[,()]|/(?=[#b]?\d|dim))"
)
_MARKS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308", "v": "\u030c"}
_MARKS |= {"u": "\u0306", "c": "\u0327", "H": "\u030b", "r": "\u030a"}
_ACCENT = re.compile(r"""\\([`'^~"vucHr])([A-Za-z])""")
_LIGATURES = {"AE": "Æ", "ae": "æ", "OE": "Œ", "oe": "œ", "ss": "ß", "aa": "å", "AA": "Å"}
_LIGATURES |= {"/o": "ø", "/O": "Ø", "DH": "Ð", "dh": "ð", "TH": "Þ", "th": "þ"}
_LIGATURE = re.compile(r"\\(" + "|".join(map(re.escape, _LIGATURES)) + ")")
_CHORD = re.compile(
    rf"\(?[A-G][#b♯♭=]?(?:\s*{_QUALITY})*(?:/[A-Ga-g][#b♯♭+]?)?(?:\s*\([A-G][^)]*\))?\)?"
)


def is_chord(text: str) -> bool:
    """Whether a text is a chord symbol: a note, a type and a bass note (standard 4.18)."""
    return text in ("N.C.", "NC") or _CHORD.fullmatch(text) is not None


def plain(text: str) -> str:
    r"""A title or name with accents, ligatures, entities and code points as letters (standard 8.2):
    `\'e`, `\ss`, `&eacute;` and `\u00e9`.
    """
    text = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), text)
    text = _ACCENT.sub(lambda found: found[2] + _MARKS[found[1]], text)
    text = _LIGATURE.sub(lambda found: _LIGATURES[found[1]], text)
    text = html.unescape(re.sub(r"\\([%&\\])", r"\1", text))
    return unicodedata.normalize("NFC", text)
