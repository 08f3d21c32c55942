"""Chord symbols: read from text, named, and written as the notes of a chord role.

A symbol is a root, a kind and perhaps another bass: `Dm7`, `G7`, `Cmaj7/E`. Ninths, elevenths,
thirteenths and altered notes are read and reduced to the seventh chord below them: `G7(b9)` is
`G7`. `N.C.` is no chord.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ostinato.music.piece import (
    DEFAULT_VELOCITY,
    Annotation,
    Notes,
    Piece,
    Track,
    make_notes,
    sort_notes,
)
from ostinato.music.timing import bar_onsets

ROLE = "harmony"  # of the track that holds the chords as notes
KINDS: dict[str, tuple[int, ...]] = {  # semitones above the root
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "m7b5": (0, 3, 6, 10),
    "mmaj7": (0, 3, 7, 11),
    "aug": (0, 4, 8),
    "aug7": (0, 4, 8, 10),
    "sus4": (0, 5, 7),
    "sus2": (0, 2, 7),
    "7sus4": (0, 5, 7, 10),
    "5": (0, 7),
}
LOWEST, UPPER = 36, 48  # MIDI pitches from which the bass and the other tones are written
_TONES = {
    (root, kind): frozenset((root + step) % 12 for step in steps)
    for root in range(12)
    for kind, steps in KINDS.items()
}
NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SPELT = (  # as written, in one of the forms below
    (r"[()\[\],\s^]", ""),
    (r"Δ|△", "maj7"),
    (r"ø|Ø|h(?=7|$)", "m7b5"),
    (r"°|º|o(?=7|$)", "dim"),
    (r"Maj|MAJ|major|Major|ma(?!j)|M(?!i)|(?<!a)j", "maj"),
    (r"minor|min|Min|MIN|mi|Mi|^-", "m"),
    (r"^\+|augmented", "aug"),
    (r"♯", "#"),
    (r"♭", "b"),
)
_SUFFIX = re.compile(
    r"(?P<third>maj|m(?!aj)|dim|aug)?(?P<major>maj|-?j)?(?P<number>6/?9|69|13|11|9|7|6|5|2|4)?"
    r"(?P<more>(?:sus[24]?|alt|add[b#]?\d+|no\d+|omit\d+|[b#+-]\d+|(?:13|11|9|7|6|5|4)[b#+]?"
    r"|\+|aug|maj7)*)"
)


@dataclass(frozen=True)
class Chord:
    """root, bass: pitch classes, 0 for C. kind: one of KINDS."""

    root: int
    kind: str
    bass: int

    @property
    def classes(self) -> frozenset[int]:
        """Pitch classes of the chord, its bass among them."""
        return _TONES[self.root, self.kind] | {self.bass}

    @property
    def name(self) -> str:
        """The symbol, as `parse_chord` reads it."""
        below = f"/{NAMES[self.bass]}" if self.bass != self.root else ""
        return f"{NAMES[self.root]}{self.kind}{below}"

    @property
    def pitches(self) -> tuple[int, ...]:
        """The bass in the octave from MIDI pitch 36, the other tones in that from 48, rising."""
        others = sorted(self.classes - {self.bass})
        return (LOWEST + self.bass, *(UPPER + tone for tone in others))


def parse_chord(symbol: str) -> Chord | None:
    """A chord by its symbol; None for no chord, `N.C.`.

    Raises:
        ValueError: not a chord symbol; names what is known.
    """
    text = symbol.strip()
    if text.upper().replace(".", "") in ("NC", "N", "NOCHORD"):
        return None
    found = re.fullmatch(r"([A-G])([#b♯♭]?)(.*?)(?:/([A-G])([#b♯♭]?))?", text)
    suffix = found[3] if found else ""
    for written, plain in _SPELT:
        suffix = re.sub(written, plain, suffix)
    parts = _SUFFIX.fullmatch(suffix)
    if not found or not parts:
        kinds = ", ".join(f"C{kind}" for kind in KINDS)
        raise ValueError(
            f"{symbol!r} is no chord symbol; write a root, A to G with # or b, and a kind, as in "
            f"{kinds}; perhaps a bass, as in C/E; N.C. for none"
        )
    root = _class_of(found[1], found[2])
    bass = _class_of(found[4], found[5]) if found[4] else root
    return Chord(root, _kind_of(parts), bass)


def parse_progression(text: str) -> list[list[Chord | None]]:
    """Bars of chords from `Dm7 G7 | Cmaj7`: bars are separated by `|`, chords by spaces.

    The chords of a bar share it equally; `%` repeats the bar before.

    Raises:
        ValueError: no chord, an empty bar, or an unknown symbol.
    """
    bars: list[list[Chord | None]] = []
    for number, bar in enumerate(text.strip().strip("|").split("|"), start=1):
        symbols = bar.split()
        if symbols == ["%"] and bars:
            bars.append(bars[-1])
        elif symbols:
            bars.append([parse_chord(symbol) for symbol in symbols])
        else:
            raise ValueError(f"chords={text!r}: bar {number} is empty; write N.C. for no chord")
    return bars


def chord_of(pitches: Iterable[int]) -> Chord | None:
    """The chord that notes of the chord role say: of all kinds the nearest by its pitch classes.

    The lowest note is the bass. Of equally near chords that on the bass goes first, then the first
    of KINDS. None without notes.
    """
    struck = sorted(pitches)
    if not struck:
        return None
    heard, bass = {pitch % 12 for pitch in struck}, struck[0] % 12
    root, kind = min(_TONES, key=lambda at: (len((_TONES[at] | {bass}) ^ heard), at[0] != bass))
    return Chord(root, kind, bass)


def chords_as_annotations(piece: Piece) -> Piece:
    """A piece whose chord role has become chord symbols; others stay as they are.

    A symbol stands where a chord begins that is not the one before, and `N.C.` where the role falls
    silent at the beginning.
    """
    numbers = [i for i, track in enumerate(piece.tracks) if track.role == ROLE]
    if not numbers:
        return piece
    is_chord = np.isin(piece.notes["track"], numbers)
    notes = piece.notes[is_chord]
    signs: list[Annotation] = []
    for onset in np.unique(notes["onset"]).tolist():
        chord = chord_of(notes["pitch"][notes["onset"] == onset].tolist())
        if chord and (not signs or signs[-1].value != chord.name):
            signs.append(Annotation(onset, "chord", chord.name))
    kept = [i for i in range(len(piece.tracks)) if i not in numbers]
    place = np.zeros(len(piece.tracks), dtype=np.int32)
    place[kept] = np.arange(len(kept))
    others = piece.notes[~is_chord].copy()
    others["track"] = place[others["track"]]
    before = [sign for sign in piece.annotations if sign.kind != "chord"]
    return replace(
        piece,
        notes=others,
        tracks=tuple(piece.tracks[i] for i in kept),
        annotations=tuple(sorted([*before, *signs], key=lambda sign: sign.onset)),
    )


def with_chord_role(piece: Piece) -> tuple[Piece, int]:
    """A piece with a chord role from its chord symbols, and how many symbols were not read.

    Every chord lasts to the next symbol and is struck again at bar lines. A piece without symbols,
    or with such a role already, stays as it is.
    """
    signs = [sign for sign in piece.annotations if sign.kind == "chord"]
    if not signs or any(track.role == ROLE for track in piece.tracks):
        return piece, 0
    unread = 0
    spans: list[tuple[int, Chord | None]] = []
    for sign in signs:
        try:
            spans.append((sign.onset, parse_chord(sign.value)))
        except ValueError:
            unread += 1
    return with_chords(piece, spans), unread


def with_chords(
    piece: Piece, chords: Sequence[tuple[int, Chord | None]], lines: Sequence[int] = ()
) -> Piece:
    """A piece with these chords as a track of the chord role.

    chords: from which tick on, rising; struck again at bar lines, up to the end of the piece.
    lines: bar lines in ticks, the end among them; empty: those of the piece.
    """
    end, track = lines[-1] if lines else piece.length, len(piece.tracks)
    lines = [line for line in lines or bar_onsets(piece) if line < end]
    rows = []
    for number, (onset, chord) in enumerate(chords):
        until = min(end, chords[number + 1][0]) if number + 1 < len(chords) else end
        if chord is None or until <= onset:
            continue
        cuts = [onset, *(line for line in lines if onset < line < until), until]
        for start, stop in pairwise(cuts):
            rows += [
                (track, start, stop - start, pitch, DEFAULT_VELOCITY) for pitch in chord.pitches
            ]
    notes: Notes = np.concatenate([piece.notes, make_notes(rows)]) if rows else piece.notes
    tracks = (*piece.tracks, Track(ROLE.capitalize(), ROLE))
    return replace(piece, notes=sort_notes(notes), tracks=tracks)


def _class_of(letter: str, accidental: str) -> int:
    return (_LETTERS[letter] + {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(accidental, 0)) % 12


def _kind_of(parts: re.Match[str]) -> str:
    """The kind of a parsed suffix; what lies above the seventh is left out."""
    third, number = parts["third"] or "", parts["number"] or ""
    more, major = parts["more"], bool(parts["major"]) or "maj7" in parts["more"]
    seventh = number in ("7", "9", "11", "13") or bool(re.match(r"(sus[24]?)?7|alt", more))
    if "sus" in more or number == "4":
        return "7sus4" if seventh else "sus2" if "sus2" in more else "sus4"
    if third == "m" and re.search(r"(b|-)5|5b", more):
        return "m7b5" if seventh else "dim"
    if third == "dim":
        return "dim7" if seventh or number == "6" else "dim"
    if third == "m":
        sixth = "m6" if number.startswith("6") else "m"
        return ("mmaj7" if major else "m7") if seventh or major else sixth
    if third == "maj" or major:
        return "6" if number.startswith("6") else "maj7" if seventh or major else ""
    if third == "aug" or re.search(r"(#|\+)5|5#|^\+|aug", more):
        return "aug7" if seventh else "aug"
    if number == "5":
        return "5"
    return "7" if seventh else "6" if number.startswith("6") else "sus2" if number == "2" else ""
