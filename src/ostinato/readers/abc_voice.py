"""One voice of an ABC tune: what its lines sound like."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from ostinato.music.piece import Annotation, Key, Meter, Tempo
from ostinato.readers import abc_fields
from ostinato.readers.abc_fields import KeySign
from ostinato.readers.abc_tokens import AbcNote, factor, notes_of, numbers_of, tokens_of
from ostinato.readers.score import Score, Written

TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # p notes in the time of q; of others by the meter


@dataclass
class BarSigns:
    """A stretch between two bar lines: where it begins, its repeats, endings and part label."""

    start: Fraction
    opens: bool = False
    times: int = 1
    endings: tuple[int, ...] = ()
    label: str = ""


@dataclass
class Voice:
    """Reads the lines of one voice into a track of a score.

    shift: semitones that it sounds away from what is written. leads: it tells meters, keys,
    tempos and parts for the whole score.
    """

    score: Score
    track: int
    name: str
    unit: Fraction
    meter: tuple[int, int] | None
    key: KeySign
    shift: int = 0
    leads: bool = True
    time: Fraction = Fraction(0)
    bars: list[BarSigns] = field(default_factory=lambda: [BarSigns(Fraction(0))])
    unknown: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._altered: dict[str, int] = {}  # by accidentals in this bar
        self._tied: dict[int, int] = {}  # natural pitch of a tied note: the pitch it sounds
        self._last: list[AbcNote] = []
        self._first = 0  # number of the first note of the last group in the track
        self._onset = self._length = Fraction(0)  # of the last group
        self._broken = Fraction(1)
        self._tuplet, self._ratio = 0, Fraction(1)
        self._readers: dict[str, Callable[[str], None]] = {
            "field": lambda text: self.field(text[1], text[3:-1]),
            "text": self._text,
            "decoration": self._decoration,
            "grace": self._grace,
            "bar": self._bar,
            "tuplet": self._begin_tuplet,
            "chord": self._chord,
            "note": lambda text: self._sound(notes_of(text), Fraction(1)),
            "rest": self._rest,
            "broken": self._break,
            "tie": lambda _: self._tie(self._last),
            "overlay": lambda _: self._overlay(),
            "unknown": lambda text: self.unknown.update(text),
            "nothing": lambda _: None,
        }

    def line(self, text: str) -> None:
        """Read a line of music; characters that mean nothing are counted in `unknown`."""
        for kind, token in tokens_of(text):
            self._readers[kind](token)

    def field(self, letter: str, value: str) -> None:
        """Read a field within the tune."""
        if letter == "M":
            self.meter = abc_fields.meter_of(value)
            if self.meter and self.leads:
                self.score.mark(self.time, Meter(0, *self.meter))
        elif letter == "L":
            self.unit = abc_fields.unit_of(value) or self.unit
        elif letter == "K":
            self._key(value)
        elif letter == "Q" and self.leads:
            if qpm := abc_fields.qpm_of(value, self.unit):
                self.score.mark(self.time, Tempo(0, qpm))
        elif letter == "P" and self.leads:
            self._next_bar()
            self.bars[-1].label = value.strip()
            self.score.mark(self.time, Annotation(0, "marker", value.strip()))

    def _key(self, value: str) -> None:
        self.shift = abc_fields.octaves_of(value) or self.shift
        key = abc_fields.key_of(value)
        if key is not None:
            self.key = key
            if self.leads:
                self.score.mark(self.time, Key(0, key.fifths, key.mode))

    def _text(self, text: str) -> None:
        """A chord symbol as it is written; other words over the staff are left out."""
        text = text[1:-1].strip()
        if text[:1] in tuple("ABCDEFG") or text in ("N.C.", "NC"):
            self.score.mark(self.time, Annotation(0, "chord", text))

    def _decoration(self, text: str) -> None:
        if text == "H" or text.strip("!+") == "fermata":
            self.score.mark(self.time, Annotation(0, "fermata"))

    def _grace(self, text: str) -> None:
        self.score.dropped["grace note"] += len(notes_of(text))

    def _next_bar(self) -> None:
        self._altered.clear()
        if self.bars[-1].start != self.time:
            self.bars.append(BarSigns(self.time))

    def _bar(self, text: str) -> None:
        signs, number = re.fullmatch(r"([.|:\]\s]*(?:\[\|[|:\]]*)?)\s*\[?(.*)", text).groups()  # type: ignore[union-attr]
        signs = signs.strip(". ")
        before = self.bars[-1]
        if signs.startswith(":") and before.start != self.time:
            colons = len(signs) - len(signs.lstrip(":"))
            before.times = 2 if set(signs) == {":"} else colons + 1
        self._next_bar()
        bar = self.bars[-1]
        bar.opens |= signs.endswith(":")
        if number:
            bar.endings = numbers_of(number)
        elif bar is not before and signs == "|" and before.times == 1:
            bar.endings = before.endings

    def _begin_tuplet(self, text: str) -> None:
        p, q, r = (int(part or 0) for part in (text[1:] + "::").split(":")[:3])
        compound = self.meter is not None and self.meter[0] in (6, 9, 12)
        q = q or TUPLETS.get(p, 3 if compound else 2)
        self._tuplet, self._ratio = (r or p, Fraction(q, p)) if p else (0, Fraction(1))

    def _chord(self, text: str) -> None:
        inside, length = text[1:].rsplit("]", 1)
        self._sound(notes_of(inside), factor(length))

    def _sound(self, notes: list[AbcNote], scale: Fraction) -> None:
        """Notes that begin together; the music goes on after the first of them."""
        scale *= self._scale() * self.unit
        self._last, self._first = notes, len(self.score.notes[self.track])
        tied, self._tied = self._tied, {}
        for note in notes:
            pitch = self._pitch(note, tied)
            duration = note.length * scale
            if 0 <= pitch < 128 and duration:
                written = Written(self.time, duration, pitch, voice=self.name)
                self.score.notes[self.track].append(written)
            else:
                self.score.dropped["outside MIDI's pitches" if duration else "no duration"] += 1
        self._tie([note for note in notes if note.tied], tied | self._tied)
        self._advance(notes[0].length * scale if notes else Fraction(0))

    def _pitch(self, note: AbcNote, tied: dict[int, int]) -> int:
        """An accidental holds for its letter in all octaves up to the bar line."""
        if note.alter is not None:
            self._altered[note.letter] = note.alter
        elif note.natural in tied:
            return tied[note.natural]
        alter = self._altered.get(note.letter, self.key.alters.get(note.letter, 0))
        return note.natural + alter + self.shift

    def _tie(self, notes: list[AbcNote], before: dict[int, int] | None = None) -> None:
        """Tie these notes of the last group to the next, which keeps their accidentals."""
        pitches = {self._pitch(replace(n, alter=None), before or {}): n.natural for n in notes}
        track = self.score.notes[self.track]
        for number in range(self._first, len(track)):
            if track[number].pitch in pitches:
                track[number] = replace(track[number], tied_out=True)
                self._tied[pitches[track[number].pitch]] = track[number].pitch

    def _rest(self, text: str) -> None:
        length = factor(text[1:])
        if text[0] in "ZX":
            self._advance(length * 4 * Fraction(*(self.meter or (4, 4))))
        else:
            self._last, self._first = [], len(self.score.notes[self.track])
            self._advance(length * self._scale() * self.unit)

    def _advance(self, length: Fraction) -> None:
        self._onset, self._length = self.time, length
        self.time += length

    def _scale(self) -> Fraction:
        """What tuplets and broken rhythms make of the length of the next note."""
        scale, self._broken = self._broken, Fraction(1)
        if self._tuplet:
            self._tuplet -= 1
            scale *= self._ratio
        return scale

    def _break(self, text: str) -> None:
        """`a>b`: the note before is longer by half, the next as much shorter; `<` the other way."""
        short = Fraction(1, 2 ** len(text))
        before, self._broken = (2 - short, short) if text[0] == ">" else (short, 2 - short)
        track = self.score.notes[self.track]
        for number in range(self._first, len(track)):
            track[number] = replace(track[number], duration=track[number].duration * before)
        self._length *= before
        self.time = self._onset + self._length

    def _overlay(self) -> None:
        """A second voice within the bar begins where the bar does."""
        self.time = self.bars[-1].start
        self._altered.clear()
