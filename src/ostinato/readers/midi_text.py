"""Text of MIDI files, which do not say how it is encoded.

UTF-8 and UTF-16 are recognized by their form, text by text; anything else is guessed (`charsets`).
"""

import re

_UTF16 = ("utf-16-le", "utf-16-be")
_CJK = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uffee]")
_PLAIN = re.compile("[\t\n\r -~\u00a0-\u06ff\u0e00-\u0e7f\u2010-\u2026]")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a]")
_UTF8 = re.compile(
    rb"[A-Za-z][\xc2-\xdf]|[\x80-\xbf][A-Za-z]|[\xe0-\xf4]|([\xc2-\xdf][\x80-\xbf]){3}"
)


def decodes(text: bytes, charset: str) -> bool:
    """Whether the text is valid in a character set."""
    try:
        text.decode(charset)
    except UnicodeDecodeError:
        return False
    return True


def form_of(text: bytes) -> str:
    """The UTF that a text has the form of, "" for other texts.

    UTF-8 with a letter of three bytes, with three of two, or beside Latin letters: one or two pairs
    of bytes may be Chinese in another set. UTF-16 with a byte order mark; or with control
    characters, or a "0" at every second place, that are none when two bytes are one letter. Chinese
    and Korean in UTF-16 without a mark may have neither.
    """
    for charset, mark in zip(_UTF16, (b"\xff\xfe", b"\xfe\xff"), strict=True):
        if text.startswith(mark):
            return charset
    if not text.isascii() and decodes(text, "utf-8") and _UTF8.search(text):
        return "utf-8"
    text = _even(text)
    is_kana = b"0" * (len(text) // 2) in (text[::2], text[1::2])
    if not is_kana and not _CONTROLS.search(text.rstrip(b"\0")):
        return ""
    for charset in _UTF16:
        if not decodes(text, charset):
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
    form = form_of(text)
    if form in _UTF16:
        text = _even(text)
    words = text.decode(form or charset or "utf-8", errors="replace")
    return words.replace("\0", "").removeprefix("\ufeff")


def decode_name(text: bytes, charset: str) -> str:
    """The text as one line without control characters or spaces around it."""
    printable = "".join(c if c.isprintable() else " " for c in decode(text, charset))
    return " ".join(printable.split())
