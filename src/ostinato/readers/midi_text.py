"""Text of MIDI files, which do not say how it is encoded."""

import re
from collections.abc import Iterable

_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_WORD_OF_HIGH_BYTES = re.compile(rb"[\xc0-\xff]{3,}")


def guess_charset(texts: Iterable[bytes]) -> str:
    """One character set for all texts of a file; all bytes can be decoded with errors="replace".

    UTF-8 where everything is valid UTF-8; Shift-JIS (cp932) where everything is valid in it and
    Japanese kana come out; Windows Cyrillic (cp1251) where most bytes above 127 form words of their
    own; else Windows Western (cp1252), or Latin-1 where that leaves bytes undefined. Chinese and
    Greek are not told apart from the last two.
    """
    joined = b"\n".join(texts)
    if joined.isascii() or _decodes(joined, "utf-8"):
        return "utf-8"
    if _decodes(joined, "cp932") and _KANA.search(joined.decode("cp932")):
        return "cp932"
    high = sum(byte > 127 for byte in joined)
    if 2 * sum(len(word) for word in _WORD_OF_HIGH_BYTES.findall(joined)) > high:
        return "cp1251"
    return "cp1252" if _decodes(joined, "cp1252") else "latin-1"


def _decodes(text: bytes, charset: str) -> bool:
    try:
        text.decode(charset)
    except UnicodeDecodeError:
        return False
    return True


def decode(text: bytes, charset: str) -> str:
    """The text without NULs, which some writers end it with."""
    return text.decode(charset, errors="replace").replace("\0", "")


def decode_name(text: bytes, charset: str) -> str:
    """The text as one line without control characters or spaces around it."""
    printable = "".join(c if c.isprintable() else " " for c in decode(text, charset))
    return " ".join(printable.split())
