"""One part of a MusicXML score, bar after bar."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, copysign, isfinite
from xml.etree.ElementTree import Element, ParseError

from ostinato.music.piece import Annotation, Key, Meter, Tempo
from ostinato.readers.score import Score, Written, concert_fifths

VELOCITY = 64  # of scores without dynamics
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
FORTE = 90  # MIDI velocity of 100 per cent of dynamics
BEATS = {"maxima": 32, "long": 16, "breve": 8, "whole": 4, "half": 2, "quarter": 1, "eighth": 1 / 2}
RATIO = ("normal", "actual")
MOVING = ("attributes", "backup", "forward", "note")  # their numbers decide where notes are
BEATS |= {f"{n}{'nd' if n == 32 else 'th'}": 4 / n for n in (16, 32, 64, 128, 256, 512, 1024)}
CHORDS = {
    "major": "", "minor": "m", "augmented": "aug", "diminished": "dim", "dominant": "7",
    "major-seventh": "maj7", "minor-seventh": "m7", "diminished-seventh": "dim7",
    "augmented-seventh": "aug7", "half-diminished": "m7b5", "major-minor": "m(maj7)",
    "minor-major": "m(maj7)", "major-sixth": "6", "minor-sixth": "m6", "dominant-ninth": "9",
    "major-ninth": "maj9", "minor-ninth": "m9", "augmented-ninth": "aug9", "dominant-11th": "11",
    "major-11th": "maj11", "minor-11th": "m11", "dominant-13th": "13", "major-13th": "maj13",
    "minor-13th": "m13", "suspended-second": "sus2", "suspended-fourth": "sus4", "power": "5",
    "maj69": "69", "none": "N.C.",
}  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """Length in quarter notes that a part fills in a bar, and the end of its last note."""

    length: Fraction
    sounding: Fraction


class PartWalk:
    """Writes the bars of one part into a score.

    tracks: the number of the track of each instrument's id; "" is that of notes without one.
    """

    def __init__(
        self, score: Score, tracks: Mapping[str, int], drum_pitches: Mapping[str, int]
    ) -> None:
        self.score = score
        self.tracks = tracks
        self.drum_pitches = drum_pitches
        self.position = Fraction(0)
        self.meter: Meter | None = None
        self._start = self._previous = self._sounding = Fraction(0)
        self._divisions = Fraction(1)
        self._transpose: dict[str, int] = {}  # semitones by staff; "" for all others
        self._velocity = VELOCITY
        self._repeats_bars = False  # by <measure-repeat>
        self._leads: Collection[str] = ()
        self._readers: dict[str, Callable[[Element], None]] = {
            "attributes": self._attributes,
            "backup": self._backup,
            "direction": self._direction,
            "forward": self._forward,
            "harmony": self._harmony,
            "note": self._note,
            "sound": self._sound,
        }

    def bar(self, measure: Element, start: Fraction, leads: Collection[str]) -> Bar:
        """Read a measure that begins at `start` quarter notes.

        leads: which of `key` and `time` this part gives for the whole score.
        """
        self._start = self.position = self._previous = self._sounding = start
        self._is_begun = False  # a chord of no note before is a note of its own
        self._leads = leads
        self.score.mark(start, Annotation(0, "bar"))
        end = start
        for element in measure:
            if (reader := self._readers.get(element.tag)) and element.tag in MOVING:
                reader(element)
            elif reader:
                self._attempt(reader, element)
            if reader:
                end = max(end, self.position)
        if self._repeats_bars and self._sounding == start:
            self.score.warnings.append("bars written as a sign that repeats others have no notes")
        return Bar(end - start, self._sounding - start)

    def _quarters(self, element: Element, name: str = "duration") -> Fraction:
        text = element.findtext(name)
        return Fraction(text.strip()) / self._divisions if text else Fraction(0)

    def _length(self, element: Element) -> Fraction:
        """The duration of an element; a negative one counts as 0."""
        length = self._quarters(element)
        if length < 0:
            self.score.warnings.append("negative durations are read as 0")
        return max(Fraction(0), length)

    def _backup(self, element: Element) -> None:
        self.position -= self._length(element)
        if self.position < self._start:
            self.score.warnings.append(
                "a backup is longer than its bar; cut to the start of the bar"
            )
            self.position = self._start

    def _forward(self, element: Element) -> None:
        self.position += self._length(element)

    def _attributes(self, element: Element) -> None:
        if text := element.findtext("divisions"):
            self._divisions = Fraction(text.strip())
            if self._divisions <= 0:
                raise ParseError(f"<divisions> is {text.strip()}; it must be above 0")
        if (transpose := element.find("transpose")) is not None:
            self._read_transpose(transpose)
        if (sign := element.find("measure-style/measure-repeat")) is not None:
            self._repeats_bars = sign.get("type") == "start"
        for name, read in (("key", self._key), ("time", self._time)):
            if (sign := element.find(name)) is not None:
                self._attempt(read, sign)

    def _attempt(self, read: Callable[[Element], None], sign: Element) -> None:
        """Read a sign without which the notes are the same; one with a malformed number has no
        effect.
        """
        try:
            read(sign)
        except (ValueError, ZeroDivisionError):
            self.score.warnings.append(f"malformed <{sign.tag}>; it has no effect")

    def _key(self, key: Element) -> None:
        if "key" in self._leads and (fifths := key.findtext("fifths")):
            number = concert_fifths(int(fifths), self._transposed(key.get("number", "1")))
            self.score.mark(self.position, Key(0, number, key.findtext("mode") or ""))

    def _time(self, time: Element) -> None:
        self.meter = None
        if time.find("beats") is not None:
            self.meter = _meter(time)
            if "time" in self._leads:
                self.score.mark(self.position, self.meter)

    def _read_transpose(self, transpose: Element) -> None:
        """A transposition without the number of a staff is that of all staves."""
        chromatic = round(float(transpose.findtext("chromatic") or 0))
        shift = chromatic + 12 * int(transpose.findtext("octave-change") or 0)
        staff = transpose.get("number", "")
        self._transpose = (self._transpose if staff else {}) | {staff: shift}

    def _transposed(self, staff: str) -> int:
        return self._transpose.get(staff, self._transpose.get("", 0))

    def _direction(self, element: Element) -> None:
        """Tempos begin at the direction's offset, as music21 and MuseScore read it."""
        offset = element.find("offset")
        shift = Fraction(0) if offset is None else self._quarters(element, "offset")
        sound = element.find("sound")
        if sound is not None:
            is_silent = offset is not None and offset.get("sound") == "no"
            self._sound(sound, Fraction(0) if is_silent else shift)
        metronome = element.find("direction-type/metronome")
        if metronome is not None and (sound is None or sound.get("tempo") is None):
            beats = BEATS.get(metronome.findtext("beat-unit") or "")
            number = re.search(r"\d+([.,]\d+)?", metronome.findtext("per-minute") or "")
            if beats and number:
                dotted = 2 - 1 / 2 ** len(metronome.findall("beat-unit-dot"))
                self._tempo(beats * dotted * float(number.group().replace(",", ".")), shift)

    def _sound(self, element: Element, shift: Fraction = Fraction(0)) -> None:
        if dynamics := element.get("dynamics"):
            self._attempt(lambda _: self._set_velocity(dynamics), Element("dynamics"))
        if tempo := element.get("tempo"):
            self._tempo(float(tempo), shift + self._quarters(element, "offset"))

    def _set_velocity(self, dynamics: str) -> None:
        self._velocity = _velocity(dynamics)

    def _tempo(self, qpm: float, shift: Fraction) -> None:
        if qpm > 0 and isfinite(qpm):
            self.score.mark(max(Fraction(0), self.position + shift), Tempo(0, qpm))

    def _harmony(self, element: Element) -> None:
        onset = max(Fraction(0), self.position + self._quarters(element, "offset"))
        if text := chord_text(element):
            self.score.mark(onset, Annotation(0, "chord", text))

    def _note(self, element: Element) -> None:
        if element.find("grace") is not None:
            self.score.dropped["grace note"] += 1
            return
        duration = self._length(element) if element.findtext("duration") else _drawn_length(element)
        is_chord = element.find("chord") is not None and self._is_begun
        self._is_begun = True
        onset = self._previous if is_chord else self.position
        if not is_chord:
            self._previous, self.position = onset, onset + duration
        if element.find("notations/fermata") is not None:
            self.score.mark(onset, Annotation(0, "fermata"))
        if element.find("rest") is not None:
            return
        if element.find("cue") is not None:
            self.score.dropped["cue note"] += 1
        elif not duration:
            self.score.dropped["no duration"] += 1
        else:
            self._sound_note(element, onset, duration)

    def _sound_note(self, element: Element, onset: Fraction, duration: Fraction) -> None:
        instrument = element.find("instrument")
        number = "" if instrument is None else instrument.get("id", "")
        pitch = self._pitch(element, number)
        if not 0 <= pitch < 128:
            self.score.dropped["outside MIDI's pitches"] += 1
            return
        self._sounding = max(self._sounding, onset + duration)
        ties = {tie.get("type") for tie in element.findall("tie")}
        velocity = self._velocity
        if dynamics := element.get("dynamics"):
            self._attempt(lambda _: self._set_velocity(dynamics), Element("dynamics"))
        velocity, self._velocity = self._velocity, velocity  # of this note alone
        self.score.notes[self.tracks.get(number, self.tracks[""])].append(
            Written(
                onset, duration, pitch, velocity,
                element.findtext("voice") or "1",
                tied_in="stop" in ties, tied_out="start" in ties,
            )
        )  # fmt: skip

    def _pitch(self, element: Element, instrument: str) -> int:
        if (pitch := element.find("pitch")) is not None:
            alter = self._alter(float(pitch.findtext("alter") or 0))
            alter += self._transposed((element.findtext("staff") or "1").strip())
            step = _step(pitch.findtext("step"))
            return 12 * (int(pitch.findtext("octave") or 4) + 1) + step + alter
        unpitched = element.find("unpitched")
        if unpitched is None:
            raise ParseError("a note has neither a pitch nor a rest")
        if instrument in self.drum_pitches:
            return self.drum_pitches[instrument]
        self.score.warnings.append(
            "unpitched notes without a MIDI pitch: read by place on the staff"
        )
        step = _step(unpitched.findtext("display-step") or "E")
        return 12 * (int(unpitched.findtext("display-octave") or 4) + 1) + step

    def _alter(self, alter: float) -> int:
        """The nearest number of semitones, of two equally near the one towards the natural."""
        if not alter.is_integer():
            self.score.warnings.append("microtones are rounded to semitones")
        return round(copysign(ceil(abs(alter) - 0.5), alter))


def _drawn_length(note: Element) -> Fraction:
    """The length of the drawn note, in quarter notes, where a file gives no duration."""
    beats = Fraction(BEATS.get((note.findtext("type") or "").strip(), 0))
    beats *= 2 - Fraction(1, 2 ** len(note.findall("dot")))
    ratio = [note.findtext(f"time-modification/{name}-notes") or "1" for name in RATIO]
    return beats * Fraction(*map(int, ratio))


def _velocity(dynamics: str) -> int:
    """MusicXML's dynamics are per cent of a forte."""
    return min(127, max(1, round(float(dynamics) * FORTE / 100)))


def _step(text: str | None) -> int:
    step = STEPS.get((text or "").strip().upper())
    if step is None:
        raise ParseError(f"<step> is {text!r}; it must be a letter from A to G")
    return step


def _meter(time: Element) -> Meter:
    """The meter; 3/8 + 2/4 and 3+2/8 as one of all their beats."""
    beats = [
        Fraction(sum(int(part) for part in (count.text or "").split("+")), int(unit.text or 0))
        for count, unit in zip(time.findall("beats"), time.findall("beat-type"), strict=True)
    ]
    denominator = max(int(unit.text or 0) for unit in time.findall("beat-type"))
    return Meter(0, int(sum(beats) * denominator), denominator)


def chord_text(harmony: Element) -> str:
    """A chord symbol as text; empty for a function without a root."""
    kind = harmony.find("kind")
    value = (kind.text or "").strip() if kind is not None else ""
    if value == "none":
        return CHORDS["none"]
    root = _named(harmony, "root/root")
    if not root:
        return ""
    printed = "" if kind is None else kind.get("text", "")
    degrees = "".join(_degree(degree) for degree in harmony.findall("degree"))
    bass = _named(harmony, "bass/bass")
    return root + CHORDS.get(value, printed or value) + degrees + (f"/{bass}" if bass else "")


def _named(harmony: Element, path: str) -> str:
    step = (harmony.findtext(f"{path}-step") or "").strip()
    return step + _accidental(harmony.findtext(f"{path}-alter")) if step else ""


def _accidental(text: str | None) -> str:
    alter = round(float(text or 0))
    return "#" * alter + "b" * -alter


def _degree(degree: Element) -> str:
    number = (degree.findtext("degree-value") or "").strip()
    if degree.findtext("degree-type") == "subtract":
        return f"(no{number})"
    accidental = _accidental(degree.findtext("degree-alter"))
    return f"({accidental or 'add'}{number})"
