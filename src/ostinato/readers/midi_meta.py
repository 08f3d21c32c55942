"""What a MIDI file holds beside its notes: tempos, meters, keys, words, names."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ostinato.music.piece import Annotation, Key, Meter, Tempo
from ostinato.readers.charsets import guess_charset
from ostinato.readers.midi_events import Meta, MidiEvents
from ostinato.readers.midi_text import decode, decode_name
from ostinato.readers.midi_time import LATEST_QUARTERS, rescale
from ostinato.readers.midi_walk import REFUSED, SMPTE_QPM

TEXT, NAME, INSTRUMENT, LYRIC, MARKER, TEMPO, METER, KEY = 1, 3, 4, 5, 6, 0x51, 0x58, 0x59
MOST_DENOMINATOR = 6  # as a power of 2: sixty-fourths
_WORDS = (TEXT, NAME, INSTRUMENT, LYRIC, MARKER)
_READ = frozenset((*_WORDS, TEMPO, METER, KEY))
_KARAOKE = (b"@K", b"@L", b"@T", b"\\")


@dataclass
class MetaMusic:
    """The meta events of a file in the piece's ticks.

    names: by number of the MIDI track; `title` is the name of the first track or of a file of type
    0, as MusPy has it.
    """

    tempos: tuple[Tempo, ...] = ()
    meters: tuple[Meter, ...] = ()
    keys: tuple[Key, ...] = ()
    words: list[Annotation] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    title: str = ""
    warnings: list[str] = field(default_factory=list)


def read_metas(events: MidiEvents, ticks_per_quarter: int) -> MetaMusic:
    """Read the meta events; those that say what cannot be are left out with a warning."""
    out, header = MetaMusic(), events.header
    latest = int(LATEST_QUARTERS * header.resolution)
    every = [meta for meta in events.metas if meta.kind in _READ]
    metas = [meta for meta in every if meta.time <= latest]
    times = np.array([meta.time for meta in metas], np.int64)
    onsets = rescale(times, header.resolution, ticks_per_quarter).tolist()
    late = len(every) - len(metas)
    _count(out, f"meta events after {LATEST_QUARTERS} quarters left out", late)
    by_kind: dict[int, list[tuple[int, Meta]]] = {}
    for onset, meta in zip(onsets, metas, strict=True):
        by_kind.setdefault(meta.kind, []).append((onset, meta))
    _read_tempos(by_kind.get(TEMPO, []), header.is_smpte, out)
    _read_meters(by_kind.get(METER, []), out)
    _read_keys(by_kind.get(KEY, []), out)
    charset = guess_charset(m.content for kind in _WORDS for _, m in by_kind.get(kind, []))
    if charset:
        out.warnings.append(f"names and words in a guessed character set: {charset}")
    _read_words(by_kind, charset, out)
    _read_names(by_kind, charset, header.kind, out)
    return out


def _changes(onsets: Sequence[int], codes: Sequence[int]) -> list[tuple[int, int]]:
    """By onset, the last of several at one onset, without those that change nothing."""
    onset, code = np.array(onsets, np.int64), np.array(codes, np.int64)
    order = np.argsort(onset, kind="stable")
    onset, code = onset[order], code[order]
    is_last = np.diff(onset, append=-1) != 0
    onset, code = onset[is_last], code[is_last]
    is_new = np.diff(code, prepend=-1) != 0
    return list(zip(onset[is_new].tolist(), code[is_new].tolist(), strict=True))


def _read_tempos(found: list[tuple[int, Meta]], is_smpte: bool, out: MetaMusic) -> None:
    if is_smpte:
        out.tempos = (Tempo(0, float(SMPTE_QPM)),)
        if found:
            out.warnings.append(f"tempos of a file that counts frames left out: {len(found)}")
        return
    codes = [(onset, int.from_bytes(m.content[:3], "big")) for onset, m in found
             if len(m.content) > 2]  # fmt: skip
    good = [(onset, code) for onset, code in codes if code]
    _count(out, "tempos that do not exist left out" + REFUSED, len(found) - len(good))
    changes = _changes([onset for onset, _ in good], [code for _, code in good])
    out.tempos = tuple(Tempo(onset, 6e7 / code) for onset, code in changes)


def _read_meters(found: list[tuple[int, Meta]], out: MetaMusic) -> None:
    whole = [(onset, m.content) for onset, m in found if len(m.content) > 1]
    good = [(onset, c) for onset, c in whole if c[0] and c[1] <= MOST_DENOMINATOR]
    _count(out, "meters that do not exist left out", len(found) - len(good))
    changes = _changes([onset for onset, _ in good], [c[0] << 8 | c[1] for _, c in good])
    out.meters = tuple(Meter(onset, code >> 8, 1 << (code & 255)) for onset, code in changes)


def _read_keys(found: list[tuple[int, Meta]], out: MetaMusic) -> None:
    whole = [(onset, m.content) for onset, m in found if len(m.content) > 1]
    keys = [(onset, (c[0] ^ 128) - 128, c[1]) for onset, c in whole]  # a signed byte
    good = [key for key in keys if abs(key[1]) <= 7 and key[2] <= 1]
    _count(out, "keys that do not exist left out" + REFUSED, len(found) - len(good))
    changes = _changes([k[0] for k in good], [(k[1] + 7) << 1 | k[2] for k in good])
    out.keys = tuple(
        Key(onset, (code >> 1) - 7, "minor" if code & 1 else "major") for onset, code in changes
    )


def _count(out: MetaMusic, text: str, count: int) -> None:
    if count:
        out.warnings.append(f"{text}: {count}")


def _read_words(by_kind: dict[int, list[tuple[int, Meta]]], charset: str, out: MetaMusic) -> None:
    """Lyrics and markers. Text is lyrics in a karaoke file that has no others: there a backslash
    begins a verse, a slash a line (both become a line's end), and `@` begins a remark.
    """
    lyrics = [(onset, meta.content) for onset, meta in by_kind.get(LYRIC, [])]
    texts = [(onset, meta.content) for onset, meta in by_kind.get(TEXT, [])]
    if not lyrics and any(text.startswith(_KARAOKE) for _, text in texts):
        lyrics = [
            (onset, b"\n" + text[1:] if text[:1] in (b"\\", b"/") else text)
            for onset, text in texts
            if text[:1] != b"@"
        ]
    markers = [(onset, meta.content) for onset, meta in by_kind.get(MARKER, [])]
    words = [(onset, "lyric", decode(text, charset)) for onset, text in lyrics]
    words += [(onset, "marker", decode(text, charset).strip()) for onset, text in markers]
    out.words = [Annotation(*word) for word in words if word[2]]


def _read_names(
    by_kind: dict[int, list[tuple[int, Meta]]], charset: str, kind: int, out: MetaMusic
) -> None:
    """Names of tracks, of their instruments where they have none, and the title."""
    for meta_kind in (INSTRUMENT, NAME):
        for _, meta in by_kind.get(meta_kind, []):
            name = decode_name(meta.content, charset)
            if name:
                out.names[meta.track] = name
            if name and meta_kind == NAME and (kind == 0 or meta.track == 0):
                out.title = name
    if kind == 0:  # its one name is the piece's
        out.names.clear()
