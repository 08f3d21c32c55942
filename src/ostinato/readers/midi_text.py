"""Text of MIDI files, which do not say how it is encoded.

UTF-8 and UTF-16 are recognized by their form, text by text; anything else is a guess, made of all
other texts of a file together, because names are short. chardet guesses; two rules come first where
it is often wrong on a few words: kana mean Japanese, and accented letters in Latin words mean a
Latin set.
"""

import re
from collections.abc import Iterable

_UTF16 = ("utf-16-le", "utf-16-be")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_CJK = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uffee]")
_PLAIN = re.compile("[\t\n\r -~\u00a0-\u06ff\u0e00-\u0e7f\u2010-\u2026]")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a]")
_UTF8 = re.compile(
    rb"[A-Za-z][\xc2-\xdf]|[\x80-\xbf][A-Za-z]|[\xe0-\xf4]|([\xc2-\xdf][\x80-\xbf]){3}"
)
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


def guess_charset(texts: Iterable[bytes]) -> str:
    """One character set for all texts of a file that do not have a form of their own (ASCII, UTF-8,
    UTF-16); "" where all have one. All bytes can be decoded with errors="replace".
    """
    words = [text for text in texts if not text.isascii() and not _form(text)]
    joined = _CONTROLS.sub(b" ", b"\n".join(words))
    if _decodes(joined, "utf-8"):
        return ""
    for charset in ("cp932", "euc-jp"):
        if _decodes(joined, charset) and _KANA.search(joined.decode(charset)):
            return charset
    accented = sum(len(found) for found in _ACCENTED.findall(joined))
    if 2 * accented <= len(_HIGH.findall(joined)):
        found = _detect(joined, _OTHERS)
    elif _SIGN_IN_WORD.search(joined):
        found = _detect(joined, _DOS)
    else:
        found = _detect(joined, _LATIN, least=_SURE)
    western = "cp1252" if _decodes(joined, "cp1252") else "latin-1"
    return western if found in ("", "cp1252") else found


def _detect(text: bytes, charsets: tuple[str, ...], least: float = 0.0) -> str:
    """The likeliest of the character sets, "" if chardet's confidence is below `least`."""
    import chardet  # most files are ASCII and do not need it

    found = chardet.detect(
        text[:_ENOUGH], include_encodings=charsets, compat_names=False, prefer_superset=True
    )
    return (found["encoding"] or "") if found["confidence"] >= least else ""


def _decodes(text: bytes, charset: str) -> bool:
    try:
        text.decode(charset)
    except UnicodeDecodeError:
        return False
    return True


def _form(text: bytes) -> str:
    """The UTF that a text has the form of, "" for other texts.

    UTF-8 with a letter of three bytes, with three of two, or beside Latin letters: one or two pairs
    of bytes may be Chinese in another set. UTF-16 with a byte order mark; or with control
    characters, or a "0" at every second place, that are none when two bytes are one letter. Chinese
    and Korean in UTF-16 without a mark may have neither.
    """
    for charset, mark in zip(_UTF16, (b"\xff\xfe", b"\xfe\xff"), strict=True):
        if text.startswith(mark):
            return charset
    if not text.isascii() and _decodes(text, "utf-8") and _UTF8.search(text):
        return "utf-8"
    text = _even(text)
    is_kana = b"0" * (len(text) // 2) in (text[::2], text[1::2])
    if not is_kana and not _CONTROLS.search(text.rstrip(b"\0")):
        return ""
    for charset in _UTF16:
        if not _decodes(text, charset):
            continue
        letters = text.decode(charset).rstrip("\0")
        cjk = len(_CJK.findall(letters)) if not text.isascii() else 0
        if len(letters) > 1 and len(_PLAIN.findall(letters)) + cjk == len(letters):
            return charset
    return ""


def _even(text: bytes) -> bytes:
    """The text with its last letter whole: some writers leave out the NUL at its end."""
    return text + b"\0" if len(text) % 2 else text


def decode(text: bytes, charset: str) -> str:
    """The text without NULs, which some writers end it with, and without a byte order mark."""
    form = _form(text)
    if form in _UTF16:
        text = _even(text)
    words = text.decode(form or charset or "utf-8", errors="replace")
    return words.replace("\0", "").removeprefix("\ufeff")


def decode_name(text: bytes, charset: str) -> str:
    """The text as one line without control characters or spaces around it."""
    printable = "".join(c if c.isprintable() else " " for c in decode(text, charset))
    return " ".join(printable.split())
