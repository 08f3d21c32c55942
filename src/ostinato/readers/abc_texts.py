"""Chord symbols among the texts of ABC music."""

import re

_QUALITY = (
    r"(?:maj|min|mi|ma|dim|aug|sus|add|omit|no|alt|dom|[mM](?![a-z])|m(?=aj|add|in|sus|M|\d)"
    r"|d$|[°oøØΔ^+\-](?![a-z])|[#b♯♭=]?\d+|[,()]|/(?=[#b]?\d|dim))"
)
_CHORD = re.compile(
    rf"\(?[A-G][#b♯♭=]?(?:\s*{_QUALITY})*(?:/[A-Ga-g][#b♯♭+]?)?(?:\s*\([A-G][^)]*\))?\)?"
)


def is_chord(text: str) -> bool:
    """Whether a text is a chord symbol: a note, a type and a bass note (standard 4.18)."""
    return text in ("N.C.", "NC") or _CHORD.fullmatch(text) is not None
