"""Character sets of texts in music files that are not in UTF-8: names, titles and words.

A guess, made of all texts of a file together, because names are short. chardet guesses; three rules
come first where it is often wrong on a few words: frequent characters of Big5 and Shift-JIS alone,
kana, which mean Japanese, and accented letters in Latin words, which mean a Latin set.
"""

import codecs
import re
from collections.abc import Iterable

from ostinato.readers.midi_text import decodes, form_of

_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_HIGH = re.compile(rb"[\x80-\xff]")
_ACCENTED = re.compile(  # one alone, or up to three beside a Latin letter
    rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])"
    rb"|(?<=[A-Za-z])[\x80-\xff]{2,3}(?![\x80-\xff])"
    rb"|(?<![\x80-\xff])[\x80-\xff]{2,3}(?=[A-Za-z])"
)
# cp1252 has signs there, which stand in no word; apostrophes, dashes and dots are not among them
_SIGN_IN_WORD = re.compile(
    rb"[A-Za-z][\x80-\x84\x86-\x89\x8b\x8d\x8f-\x91\x93-\x95\x98\x99\x9b\x9d\xa0-\xa9\xab-\xb3\xb6"
    rb"\xb8\xb9\xbb-\xbf][A-Za-z]"
)
_LATIN = ("cp1252", "cp1250")
_DOS = ("cp850", *_LATIN)
_OTHERS = (
    "cp1251", "koi8-r", "koi8-u", "cp866", "gb18030", "big5hkscs", "cp949", "euc-jp", "cp932",
    "cp1253", "cp1255", "tis-620",
)  # fmt: skip
_ENOUGH = 10_000  # bytes of text
_SURE = 0.04  # chardet's confidence in Central European words; in Western ones it stays below
_WORDS = re.compile(rb"[^\s\-_.,:;/()\"'!?&+0-9]*[\x80-\xff][^\s\-.,:;/()\"'!?&+0-9]*")
# signs and frequent characters of Big5, in order of strokes; those of Shift-JIS, by their sounds
_BIG5 = re.compile(rb"(?:[\xa1-\xc6][\x40-\x7e\xa1-\xfe])+")
_CP932 = re.compile(rb"(?:[\x88-\x98][\x40-\x7e\x80-\xfc])+")


def text_of(data: bytes) -> str | None:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark; None for any other set."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def guess_charset(texts: Iterable[bytes]) -> str:
    """One character set for all texts of a file that do not have a form of their own (ASCII, UTF-8,
    UTF-16); "" where all have one. All bytes can be decoded with errors="replace".
    """
    words = [text for text in texts if not text.isascii() and not form_of(text)]
    joined = _CONTROLS.sub(b" ", b"\n".join(words))
    if decodes(joined, "utf-8"):
        return ""
    if rows := _rows_of(joined):
        return rows
    for charset in ("cp932", "euc-jp"):
        if decodes(joined, charset) and _KANA.search(joined.decode(charset)):
            return charset
    accented = sum(len(found) for found in _ACCENTED.findall(joined))
    if 2 * accented <= len(_HIGH.findall(joined)):
        found = _detect(joined, _OTHERS)
    elif _SIGN_IN_WORD.search(joined):
        found = _detect(joined, _DOS)
    else:
        found = _detect(joined, _LATIN, least=_SURE)
    western = "cp1252" if decodes(joined, "cp1252") else "latin-1"
    return western if found in ("", "cp1252") else found


def _rows_of(text: bytes) -> str:
    """Big5 or Shift-JIS, if all words with letters beyond ASCII are whole rows of its frequent
    characters, two or more in all, of which one at least has a second byte that no other set would
    pair with the first; else "".
    """
    words = _WORDS.findall(text)
    seconds = {byte for word in words for byte in word[1::2]}
    if sum(map(len, words)) < 4:
        return ""
    if all(map(_BIG5.fullmatch, words)) and min(seconds) < 0x80:
        return "big5hkscs"
    if all(map(_CP932.fullmatch, words)) and not seconds <= set(range(0x80, 0xA0)):
        return "cp932"
    return ""


def _detect(text: bytes, charsets: tuple[str, ...], least: float = 0.0) -> str:
    """The likeliest of the character sets, "" if chardet's confidence is below `least`."""
    import chardet  # most files are ASCII and do not need it

    found = chardet.detect(
        text[:_ENOUGH], include_encodings=charsets, compat_names=False, prefer_superset=True
    )
    return (found["encoding"] or "") if found["confidence"] >= least else ""


def decoded(text: str, charset: str) -> str:
    """A text that was read as Latin 1, in its character set; "" leaves it."""
    return text.encode("latin-1").decode(charset, "replace") if charset else text
