"""Texts of ABC music: chord symbols, and directions such as D.C. al Fine."""

import re

from ostinato.readers.repeat_tree import Jump

_QUALITY = (
    r"(?:maj|min|mi|ma|dim|aug|sus|add|omit|no|alt|dom|[mM](?![a-z])|m(?=aj|add|in|sus|M|\d)"
    r"|d$|[°oøØΔ^+\-](?![a-z])|[#b♯♭=]?\d+|[,()]|/(?=[#b]?\d|dim))"
)
_CHORD = re.compile(
    rf"\(?[A-G][#b♯♭=]?(?:\s*{_QUALITY})*(?:/[A-Ga-g][#b♯♭+]?)?(?:\s*\([A-G][^)]*\))?\)?"
)
_JUMP = re.compile(r"(dc|dacapo|ds|dalsegno|dasegno)(?:al(fine|coda))?")
_OTHER = {
    "fine": "fine", "fin": "fine", "end": "fine", "tocoda": "to_coda", "dacoda": "to_coda",
    "coda": "coda", "segno": "segno",
}  # fmt: skip


def is_chord(text: str) -> bool:
    """Whether a text is a chord symbol: a note, a type and a bass note (standard 4.18)."""
    return text in ("N.C.", "NC") or _CHORD.fullmatch(text) is not None


def direction_of(text: str) -> str | Jump | None:
    """What a text or decoration says about the order: a jump, `fine`, `to_coda`, `coda` or `segno`;
    None for all else.
    """
    word = re.sub(r"[^a-z]", "", text.lower())
    if jump := _JUMP.fullmatch(word):
        return Jump("" if jump[1].endswith(("s", "segno")) else None, jump[2] or "")
    return _OTHER.get(word)
