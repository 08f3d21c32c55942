"""One voice of an ABC tune: its notes, and what its fields change."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil

from ostinato.music.piece import Annotation, Key, Meter, Tempo
from ostinato.readers import abc_fields
from ostinato.readers.abc_bars import BarSigns
from ostinato.readers.abc_fields import KeySign, factor
from ostinato.readers.abc_texts import is_chord
from ostinato.readers.abc_tokens import AbcNote, chord_parts, note_of, notes_in, tokens_of
from ostinato.readers.directions import direction_of
from ostinato.readers.repeat_tree import MOST_BARS
from ostinato.readers.score import Mark, Written, concert_fifths

TUPLETS = {1: 1, 2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # p notes in the time of q; others by the meter
SYMBOLS = {"H": "fermata", "O": "coda", "S": "segno"}  # of the letters that U: can redefine
_SYMBOL = re.compile(r"\s*([H-Wh-w~])\s*=\s*(?:!([^!]*)!)?")
_TRANSPOSE = re.compile(r"MIDI\s+(r?)transpose\s+([+-]?\d{1,3})\b")
_PROPAGATE = re.compile(r"propagate-accidentals\s+(not|octave|pitch)\b")
_BAR_LINES = re.compile(r"MIDI\s+(no)?barlines\b")  # without them an accidental holds for its note
MICROTONE = "microtones are rounded to semitones"


@dataclass
class Voice:
    """Reads the lines of one voice.

    marks: meters, keys and tempos. annotations: chord symbols, fermatas and labels of parts.
    dropped: notes that are not read, by reason. unknown: characters without a meaning. Times are in
    quarter notes.
    """

    id: str
    name: str = ""
    unit: Fraction = Fraction(1, 2)
    meter: tuple[int, int] | None = None
    key: KeySign = field(default_factory=KeySign)
    shifts: dict[str, int] = field(default_factory=dict)
    time: Fraction = Fraction(0)
    notes: list[Written] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    annotations: list[Mark] = field(default_factory=list)
    bars: BarSigns = field(default_factory=BarSigns)
    dropped: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._symbols = dict(SYMBOLS)
        self._altered: dict[str | int, int] = {}  # by accidentals in this bar
        self._propagate = "pitch"
        self._group: list[tuple[int, AbcNote]] = []  # the last notes, with their numbers in `notes`
        self._tied: list[tuple[int, int]] = []  # numbers of tied notes, natural pitches
        self._onset = self._length = Fraction(0)  # of the last group or rest
        self._broken = Fraction(1)
        self._tuplet, self._ratio = 0, Fraction(1)
        self._resume: Fraction | None = None  # where the music below an overlay has come to
        self._overlaid = 0  # number of the bar that the overlay has come to
        self._opened: tuple[Fraction, int] | None = None  # where (& stands: its time and bar
        self._readers: dict[str, Callable[[str], None]] = {
            "text": lambda text: self._text(text[1:-1]),
            "decoration": self._decoration,
            "grace": self._grace,
            "bar": self._bar,
            "tuplet": self._begin_tuplet,
            "chord": self._chord,
            "plus": self._chord,
            "note": lambda text: self._sound([note_of(text)], Fraction(1)),
            "rest": self._rest,
            "broken": self._break,
            "tie": lambda _: self._tie(self._group),
            "overlay": lambda _: self._overlay(),
            "group": self._overlay_group,
            "unknown": lambda text: self.unknown.update(text),
        }

    def read(self, kind: str, token: str) -> None:
        """Read a token of music."""
        self._readers[kind](token)

    def field(self, letter: str, value: str) -> None:
        """Read a field of the header or the body; fields that change no notes are ignored."""
        if letter == "M":
            self.meter = abc_fields.meter_of(value)
            if self.meter:
                self.marks.append(Mark(self.time, Meter(0, *self.meter)))
        elif letter == "L":
            self.unit = abc_fields.unit_of(value) or self.unit
        elif letter == "K":
            self._key(value)
        elif letter == "Q":
            if qpm := abc_fields.qpm_of(value, self.unit):
                self.marks.append(Mark(self.time, Tempo(0, qpm)))
        elif letter == "P":
            self._part(value.strip())
        elif letter == "V":
            self._shift(abc_fields.shifts_of(value))
            self.name = abc_fields.voice_name(value) or self.name
        elif letter == "U" and (found := _SYMBOL.match(value)):
            self._symbols[found[1]] = found[2] or ""
        elif letter == "I":
            self._instruction(value)

    def _instruction(self, value: str) -> None:
        if found := _TRANSPOSE.match(value):
            relative = self.shifts.get("directive", 0) if found[1] else 0
            self._shift({"directive": relative + int(found[2])})
        elif found := _PROPAGATE.match(value):
            self._propagate = found[1]
        elif found := _BAR_LINES.match(value):
            self._propagate = "not" if found[1] else "pitch"

    def close(self) -> None:
        """End an overlay that the last bar has."""
        if self._opened is not None:
            self.warnings["layers begun with (& are not ended with &)"] += 1
            self._opened = None
        if self._resume is not None:
            self._leave_overlay()

    def _key(self, value: str) -> None:
        shifts = abc_fields.shifts_of(value)
        self.shifts |= shifts
        key = abc_fields.key_of(value)
        if key is not None:
            self.key = key
            self._mark_key()
        elif not shifts and "=" not in value:
            self.warnings[f"fields name no key that can be read (K:{value})"] += 1

    def _mark_key(self) -> None:
        """The key that sounds; a tune without a key has none to transpose."""
        shift = sum(self.shifts.values()) if self.key.mode else 0
        self.marks.append(
            Mark(self.time, Key(0, concert_fifths(self.key.fifths, shift), self.key.mode))
        )

    def _shift(self, shifts: dict[str, int]) -> None:
        """Transpose from here on; the key that sounds is another one, too."""
        before = sum(self.shifts.values())
        self.shifts |= shifts
        if (sum(self.shifts.values()) - before) % 12 and self.key.mode:
            self._mark_key()

    def _part(self, label: str) -> None:
        if direction := direction_of(label):
            self.bars.direction(self.time, direction)
        else:
            self.bars.part(self.time, label)
            self._annotate("marker", label)

    def _annotate(self, kind: str, value: str = "") -> None:
        self.annotations.append(Mark(self.time, Annotation(0, kind, value)))

    def _text(self, text: str) -> None:
        """A chord symbol or a direction; other words have no effect."""
        text = text.strip()
        if is_chord(text):
            self._annotate("chord", text)
        elif direction := direction_of(text):
            self.bars.direction(self.time, direction)

    def _decoration(self, text: str) -> None:
        name = text[1:-1] if len(text) > 1 else self._symbols.get(text, "")
        if name == "fermata":
            self._annotate("fermata")
        elif direction := direction_of(name):
            self.bars.direction(self.time, direction)

    def _grace(self, text: str) -> None:
        """Grace notes take no time; their accidentals hold as those of other notes."""
        for note in notes_in(text[1:-1]):
            self._pitch(note, {})
            self.dropped["grace note"] += 1

    def _bar(self, text: str) -> None:
        self._altered.clear()
        if self._resume is not None:
            starts = self.bars.line_starts()
            if self._overlaid < len(starts) - 1:
                self._overlaid += 1
                self.time = starts[self._overlaid]
                if self.time == self._resume:
                    self._resume = None
                return
            self._leave_overlay()
        self._tied = [(number, natural) for number, natural in self._tied
                      if self._end_of(number) >= self.time]  # fmt: skip
        self.bars.line(self.time, text)

    def _overlay(self) -> None:
        """Go back to where the bar begins, or from there to where the bar before begins."""
        starts = self.bars.line_starts()
        if self._opened is not None:
            self._resume = max(self.time, self._resume or self.time)
            self._go_back(*self._opened)
            return
        if self._resume is None:
            self._resume, self._overlaid = self.time, len(starts) - 1
        if self.time == starts[self._overlaid] and self._overlaid:
            self._overlaid -= 1
        self._go_back(starts[self._overlaid], self._overlaid)

    def _overlay_group(self, sign: str) -> None:
        """`(& … & … &)`: layers of several bars that all begin at the same time."""
        if sign == "(&":
            self.close()
            self._opened = self.time, len(self.bars.line_starts()) - 1
        else:
            self._resume = max(self.time, self._resume or self.time)
            self._opened = None
            self.close()

    def _go_back(self, time: Fraction, bar: int) -> None:
        self._overlaid = bar
        self.time = self._onset = time
        self._length = Fraction(0)
        self._group, self._tuplet = [], 0
        self._altered.clear()

    def _leave_overlay(self) -> None:
        """What is below an overlay decides where the next bar begins, unless it is empty."""
        start = self.bars.line_starts()[-1]
        if self._resume is not None and self._resume > start:
            self.time = self._resume
        self._resume, self._tuplet = None, 0

    def _begin_tuplet(self, text: str) -> None:
        p, q, r = (int(part or 0) for part in (text[1:] + "::").split(":")[:3])
        compound = self.meter is not None and self.meter[0] in (6, 9, 12)
        others = 3 if compound else 2
        q = q or TUPLETS.get(p, others if p < 10 else p)
        self._tuplet, self._ratio = r or p, Fraction(q, p)

    def _chord(self, text: str) -> None:
        inside, scale = chord_parts(text)
        notes: list[AbcNote] = []
        tied: list[int] = []
        for kind, token in tokens_of(inside):
            if kind in ("note", "plus"):
                group = token if kind == "note" else chord_parts(token)[0]
                notes += [note_of(note) for kind, note in tokens_of(group) if kind == "note"]
            elif kind == "tie" and notes:
                tied.append(len(notes) - 1)
            elif kind in ("text", "decoration", "grace", "unknown"):
                self._readers[kind](token)
        self._sound(notes, scale, tied)

    def _sound(self, notes: list[AbcNote], scale: Fraction, tied: list[int] | None = None) -> None:
        """Notes that begin together; the first of them decides where the music goes on."""
        scale *= self._scale() * self.unit
        before, group = self._tied_here(), []
        for place, note in enumerate(notes):
            pitch = self._pitch(note, before)
            duration = note.length * scale
            if 0 <= pitch < 128 and duration:
                group.append((len(self.notes), note))
                self.notes.append(Written(self.time, duration, pitch, voice=self.id))
                if place in (tied or []):
                    self._tie(group[-1:])
            else:
                self.dropped["outside MIDI's pitches" if duration else "no duration"] += 1
        self._group = group
        self._advance(notes[0].length * scale if notes else Fraction(0))

    def _tied_here(self) -> dict[int, int]:
        """Natural pitch and sounding pitch of the notes that are tied to this time."""
        return {
            natural: self.notes[number].pitch
            for number, natural in self._tied
            if self._end_of(number) == self.time
        }

    def _end_of(self, number: int) -> Fraction:
        return self.notes[number].onset + self.notes[number].duration

    def _pitch(self, note: AbcNote, tied: dict[int, int]) -> int:
        """An accidental holds up to the bar line for its letter in all octaves, where a directive
        does not say that it holds for its octave or its note alone.
        """
        place = note.natural if self._propagate == "octave" else note.letter
        alter = self._altered.get(place, self.key.alters.get(note.letter, 0))
        if note.alter is not None:
            whole = ceil(abs(note.alter) - Fraction(1, 2))
            self.warnings[MICROTONE] += note.alter.denominator != 1
            alter = whole if note.alter > 0 else -whole
            if self._propagate != "not":
                self._altered[place] = alter
        elif note.natural in tied:
            return tied[note.natural]
        return note.natural + alter + sum(self.shifts.values())

    def _tie(self, group: list[tuple[int, AbcNote]]) -> None:
        """Tie notes to the next ones of their pitch, which keep their accidentals."""
        for number, note in group:
            self.notes[number] = replace(self.notes[number], tied_out=True)
            self._tied.append((number, note.natural))

    def _rest(self, text: str) -> None:
        length = factor(text[1:])
        if text[0] in "ZX":  # rests of whole bars
            bar = 4 * Fraction(*(self.meter or (4, 4)))
            while length > 1 and self._resume is None and len(self.bars.stretches) < MOST_BARS:
                self._advance(bar)
                self._bar("|")
                length -= 1
            self._advance(length * bar)
        else:
            self._group = []
            self._advance(length * self._scale() * self.unit)

    def _advance(self, length: Fraction) -> None:
        self._onset, self._length = self.time, length
        self.time += length

    def _scale(self) -> Fraction:
        """How tuplets and broken rhythms change the length of the next note."""
        scale, self._broken = self._broken, Fraction(1)
        if self._tuplet:
            self._tuplet -= 1
            scale *= self._ratio
        return scale

    def _break(self, text: str) -> None:
        """`a>b`: the note before is longer by half, the next as much shorter; `<` the other way."""
        if self._onset < self.bars.stretches[-1].start and self._resume is None:
            self.unknown.update(text)  # a bar line lies between the notes
            return
        short = Fraction(1, 2 ** len(text))
        before, self._broken = (2 - short, short) if text[0] == ">" else (short, 2 - short)
        for number, _ in self._group:
            note = self.notes[number]
            self.notes[number] = replace(note, duration=note.duration * before)
        self._length *= before
        self.time = self._onset + self._length
