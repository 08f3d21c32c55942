"""Character sets of ABC and kern files that are not in UTF-8: music is ASCII; titles and names are
guessed as those of MIDI files.
"""

import re
from collections.abc import Iterable

from ostinato.readers.midi_text import guess_charset

_WORDS = re.compile(rb"[^\s\-_.,:;/()\"'!?&+0-9]*[\x80-\xff][^\s\-.,:;/()\"'!?&+0-9]*")
# the frequent characters of Big5, in order of strokes, and those of Shift-JIS, by their sounds
_BIG5 = re.compile(rb"(?:[\xa4-\xc6][\x40-\x7e\xa1-\xfe])+")
_CP932 = re.compile(rb"(?:[\x88-\x98][\x40-\x7e\x80-\xfc])+")


def charset_of(texts: Iterable[bytes]) -> str:
    """As `guess_charset`. Names in Big5 and Japanese names without kana are recognized first:
    chardet takes short ones for others, and some of their bytes look like Latin letters.

    All words with letters beyond ASCII are then whole rows of frequent characters, two or more in
    all, of which one at least has a second byte that no other set would pair with the first.
    """
    found = list(texts)
    words = [word for text in found for word in _WORDS.findall(text)]
    seconds = {byte for word in words for byte in word[1::2]}
    if sum(map(len, words)) >= 4:
        if all(map(_BIG5.fullmatch, words)) and min(seconds) < 0x80:
            return "big5hkscs"
        if all(map(_CP932.fullmatch, words)) and not seconds <= set(range(0x80, 0xA0)):
            return "cp932"
    return guess_charset(found)


def decoded(text: str, charset: str) -> str:
    """A text that was read as Latin 1, in its character set; "" leaves it."""
    return text.encode("latin-1").decode(charset, "replace") if charset else text
