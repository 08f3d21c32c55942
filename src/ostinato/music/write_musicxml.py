"""Writes pieces as MusicXML scores, with the piece's own bars and every time exact.

music21's writer was measured first. From notes alone it moves the bars of scores with pickups; from
given bars it loses notes where voices overlap; and it refuses durations that no note value stands
for. Here such durations are written without a note value, which MusicXML allows.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from ostinato.files import atomic_file
from ostinato.music.chords import parse_chord
from ostinato.music.piece import Notes, Piece
from ostinato.music.timing import bar_onsets

FLATTEST = -3  # a pitch is spelled within twelve fifths, from here beside the key's own
MIDDLE_C, DRUM_CHANNEL = 60, 10
LINES = {"F": "4", "G": "2"}  # of clefs
NAMES = ("whole", "half", "quarter", "eighth", "16th", "32nd", "64th")
SYMBOLS = {  # MusicXML's names of kinds of chords
    "": "major",
    "m": "minor",
    "7": "dominant",
    "maj7": "major-seventh",
    "m7": "minor-seventh",
    "6": "major-sixth",
    "m6": "minor-sixth",
    "dim": "diminished",
    "dim7": "diminished-seventh",
    "m7b5": "half-diminished",
    "mmaj7": "major-minor",
    "aug": "augmented",
    "aug7": "augmented-seventh",
    "sus4": "suspended-fourth",
    "sus2": "suspended-second",
    "7sus4": "other",
    "5": "power",
}
# General MIDI's kit on a staff: step, octave and head, close to the usage that Weinberg's guide to
# drumset notation (1994) found to be the commonest; others are a triangle in the middle
PERCUSSION = {
    **dict.fromkeys((35, 36), ("F", 4, "")),
    **dict.fromkeys((38, 40), ("C", 5, "")),
    37: ("C", 5, "x"),
    39: ("C", 5, "diamond"),
    **dict.fromkeys((41, 43), ("A", 4, "")),
    **dict.fromkeys((45, 47), ("D", 5, "")),
    **dict.fromkeys((48, 50), ("E", 5, "")),
    42: ("G", 5, "x"),
    44: ("D", 4, "x"),
    46: ("G", 5, "circle-x"),
    **dict.fromkeys((49, 52, 55, 57), ("A", 5, "x")),
    **dict.fromkeys((51, 53, 59), ("F", 5, "x")),
}
OTHER_HIT = ("B", 4, "triangle")
PLAIN = {Fraction(4, 2**n): name for n, name in enumerate(NAMES)}
# quarters → name, dots, and whether three take the time of two
VALUES = (
    {2 * length / 3: (name, 0, True) for length, name in PLAIN.items()}
    | {length: (name, 0, False) for length, name in PLAIN.items()}
    | {length * 3 / 2: (name, 1, False) for length, name in PLAIN.items()}
)


@dataclass(frozen=True)
class Chord:
    """Notes of one voice that begin and end together, in ticks."""

    onset: int
    end: int
    pitches: tuple[int, ...]


def write_musicxml(path: Path, piece: Piece) -> None:
    """Write one piece as partwise MusicXML, atomically and with the same bytes every time.

    Chord symbols stand in the first part. Left out: ids, labels, warnings, roles, velocities, notes
    of no length, and annotations other than bars, chords that are known and fermatas; a fermata
    stands over all notes that begin with it. Drums are hits on a percussion staff: each is written
    up to the next one, at most to the end of its quarter, as their lengths are not heard.

    Raises:
        ValueError: a piece without tracks, which is no score.
    """
    if not piece.tracks:
        raise ValueError(f"{piece.id} has no track to write as a part of a score")
    root = Element("score-partwise", version="4.0")
    if piece.title:
        SubElement(SubElement(root, "work"), "work-title").text = piece.title
    _list_parts(root, piece)
    starts = sorted({0, *bar_onsets(piece)})
    spans = list(pairwise([*starts, max(piece.length, starts[-1] + 1)]))
    for number in range(len(piece.tracks)):
        part = SubElement(root, "part", id=f"P{number + 1}")
        voices = _voices(piece, number)
        for bar, span in enumerate(spans):
            is_pickup = bar == 0 and span[1] < piece.first_meter().bar_quarters() * _tpq(piece)
            measure = SubElement(part, "measure", number=str(bar + 1))
            if is_pickup:
                measure.set("implicit", "yes")
            _Bar(measure, piece, span).fill(number, voices)
    indent(root, " ")
    with atomic_file(path) as partial, partial.open("wb") as file:
        ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
        file.write(b"\n")


def spelled(pitch: int, fifths: int) -> tuple[str, int, int]:
    """Step, alteration and octave of a MIDI pitch, by the signature in force."""
    lowest = fifths + FLATTEST
    place = lowest + (7 * pitch - lowest) % 12  # on the line of fifths, C at 0
    alter = (place + 1) // 7
    return "CDEFGAB"[4 * place % 7], alter, (pitch - alter) // 12 - 1


def _tpq(piece: Piece) -> int:
    return piece.ticks_per_quarter


def _list_parts(root: Element, piece: Piece) -> None:
    parts = SubElement(root, "part-list")
    for number, track in enumerate(piece.tracks, 1):
        part = SubElement(parts, "score-part", id=f"P{number}")
        SubElement(part, "part-name").text = track.name
        mine = piece.notes[piece.notes["track"] == number - 1]["pitch"]
        hits = [f"-D{pitch}" for pitch in sorted(set(mine.tolist()))] if track.is_drum else []
        for hit in hits or ["-I1"]:
            instrument = SubElement(part, "score-instrument", id=f"P{number}{hit}")
            SubElement(instrument, "instrument-name").text = track.name
        for hit in hits or ["-I1"]:
            midi = SubElement(part, "midi-instrument", id=f"P{number}{hit}")
            if track.is_drum:
                SubElement(midi, "midi-channel").text = str(DRUM_CHANNEL)
            SubElement(midi, "midi-program").text = str(track.program + 1)
            if hits:
                SubElement(midi, "midi-unpitched").text = str(int(hit[2:]) + 1)


def _voices(piece: Piece, track: int) -> list[list[Chord]]:
    """A track's notes in as few voices as hold no two at once, apart from chords."""
    notes = piece.notes[(piece.notes["track"] == track) & (piece.notes["duration"] > 0)]
    if piece.tracks[track].is_drum:
        return [_hits(notes, _tpq(piece), piece.length)]
    rows = sorted(zip(*(notes[k].tolist() for k in ("onset", "duration", "pitch")), strict=True))
    voices: list[list[Chord]] = [[]]
    for (onset, duration), group in groupby(rows, key=lambda row: row[:2]):
        chord = Chord(onset, onset + duration, tuple(pitch for _, _, pitch in group))
        free = next((voice for voice in voices if not voice or voice[-1].end <= onset), None)
        if free is None:
            voices.append(free := [])
        free.append(chord)
    return voices


def _hits(notes: Notes, quarter: int, end: int) -> list[Chord]:
    """Drums: what is struck together lasts to the next hit, at most to the end of its quarter."""
    rows = sorted(zip(notes["onset"].tolist(), notes["pitch"].tolist(), strict=True))
    struck = {onset: [p for _, p in group] for onset, group in groupby(rows, key=lambda r: r[0])}
    onsets = [*struck, max(end, 1)]
    return [
        Chord(onset, min(after, (onset // quarter + 1) * quarter), tuple(struck[onset]))
        for onset, after in pairwise(onsets)
    ]


class _Bar:
    """Fills one measure; `at` is where its next element begins, in ticks of the piece."""

    def __init__(self, measure: Element, piece: Piece, span: tuple[int, int]) -> None:
        self.measure, self.piece, self.span = measure, piece, span
        self.at, self.drums = span[0], ""  # drums: what names of their instruments begin with
        self.fermatas = {note.onset for note in piece.annotations if note.kind == "fermata"}
        self.symbols = [(a.onset, a.value) for a in piece.annotations if a.kind == "chord"]

    def fill(self, part: int, voices: Sequence[Sequence[Chord]]) -> None:
        """Signs, then one voice after the other; the first one with rests, to the end."""
        start, end = self.span
        self.drums = f"P{part + 1}-D" if self.piece.tracks[part].is_drum else ""
        if start == 0:
            notes = [pitch for voice in voices for chord in voice for pitch in chord.pitches]
            low = sum(pitch - MIDDLE_C for pitch in notes) < 0
            self._attributes(clef="percussion" if self.drums else "F" if low else "G")
        changes = {k.onset for k in self.piece.keys} | {m.onset for m in self.piece.meters}
        for onset in sorted(changes - {0}):
            if start <= onset < end:
                self._move(onset)
                self._attributes()
        for tempo in self.piece.tempos if part == 0 else ():
            if start <= tempo.onset < end:
                self._move(tempo.onset)
                self._tempo(tempo.qpm)
        for onset, symbol in self.symbols if part == 0 else ():
            if start <= onset < end:
                self._move(onset)
                self._symbol(symbol)
        for number, voice in enumerate(voices, 1):
            first = bisect_right(voice, start, key=lambda chord: chord.end)
            last = bisect_right(voice, end - 1, key=lambda chord: chord.onset)
            if number > 1 and first == last:
                continue
            self._move(start)
            for chord in voice[first:last]:
                self._rest(max(start, chord.onset), number)
                self._chord(chord, number)
            if number == 1:
                self._rest(end, number)
        self._move(end)

    def _move(self, to: int) -> None:
        if to != self.at:
            step = SubElement(self.measure, "forward" if to > self.at else "backup")
            SubElement(step, "duration").text = str(abs(to - self.at))
            self.at = to

    def _attributes(self, clef: str = "") -> None:
        """What is known from here on; the divisions and the clef where a part begins."""
        attributes = SubElement(self.measure, "attributes")
        if clef:
            SubElement(attributes, "divisions").text = str(_tpq(self.piece))
        for key in self.piece.keys:
            if key.onset == self.at:
                element = SubElement(attributes, "key")
                SubElement(element, "fifths").text = str(key.fifths)
                if key.mode:
                    SubElement(element, "mode").text = key.mode
        for meter in self.piece.meters:
            if meter.onset == self.at:
                time = SubElement(attributes, "time")
                SubElement(time, "beats").text = str(meter.numerator)
                SubElement(time, "beat-type").text = str(meter.denominator)
        if clef:
            element = SubElement(attributes, "clef")
            SubElement(element, "sign").text = clef
            if clef in LINES:
                SubElement(element, "line").text = LINES[clef]

    def _tempo(self, qpm: float) -> None:
        direction = SubElement(self.measure, "direction", placement="above")
        metronome = SubElement(SubElement(direction, "direction-type"), "metronome")
        SubElement(metronome, "beat-unit").text = "quarter"
        SubElement(metronome, "per-minute").text = f"{qpm:.6g}"
        SubElement(direction, "sound", tempo=repr(float(qpm)))

    def _symbol(self, text: str) -> None:
        """A chord symbol, in flats or sharps as it is written; none where it is not known."""
        try:
            chord = parse_chord(text)
        except ValueError:
            return
        harmony = SubElement(self.measure, "harmony")
        if chord is None:
            SubElement(SubElement(harmony, "root"), "root-step", text="").text = "C"
            SubElement(harmony, "kind", text="N.C.").text = "none"
            return
        name, _, bass = text.partition("/")
        self._pitch_class(SubElement(harmony, "root"), "root", name)
        written = name.lstrip("ABCDEFG").lstrip("#b")
        SubElement(harmony, "kind", text=written).text = SYMBOLS[chord.kind]
        if chord.bass != chord.root:
            self._pitch_class(SubElement(harmony, "bass"), "bass", bass)

    @staticmethod
    def _pitch_class(element: Element, kind: str, name: str) -> None:
        SubElement(element, f"{kind}-step").text = name[0]
        if alter := {"#": 1, "b": -1}.get(name[1:2]):
            SubElement(element, f"{kind}-alter").text = str(alter)

    def _rest(self, to: int, voice: int) -> None:
        if voice > 1:
            self._move(to)
            return
        for length in _values(to - self.at, _tpq(self.piece)):
            note = SubElement(self.measure, "note")
            SubElement(note, "rest")
            self._lengths(note, length, voice)
            self.at += length

    def _chord(self, chord: Chord, voice: int) -> None:
        """What of a chord lies in the bar, in tied note values."""
        stop = min(chord.end, self.span[1])
        for length in _values(stop - self.at, _tpq(self.piece)):
            begin, end = self.at, self.at + length
            ties = ["stop"] * (begin > chord.onset) + ["start"] * (end < chord.end)
            for place, pitch in enumerate(chord.pitches):
                note = SubElement(self.measure, "note")
                if place:
                    SubElement(note, "chord")
                self._hit(note, pitch) if self.drums else self._pitch(note, pitch)
                self._lengths(note, length, voice, ties, pitch)
                has_fermata = begin == chord.onset and begin in self.fermatas
                if ties or has_fermata:
                    notations = SubElement(note, "notations")
                    for kind in ties:
                        SubElement(notations, "tied", type=kind)
                    if has_fermata:
                        SubElement(notations, "fermata", type="upright")
            self.at = end

    def _pitch(self, note: Element, pitch: int) -> None:
        before = [key.fifths for key in self.piece.keys if key.onset <= self.at]
        step, alter, octave = spelled(pitch, before[-1] if before else 0)
        element = SubElement(note, "pitch")
        SubElement(element, "step").text = step
        if alter:
            SubElement(element, "alter").text = str(alter)
        SubElement(element, "octave").text = str(octave)

    @staticmethod
    def _hit(note: Element, pitch: int) -> None:
        element = SubElement(note, "unpitched")
        step, octave, _ = PERCUSSION.get(pitch, OTHER_HIT)
        SubElement(element, "display-step").text = step
        SubElement(element, "display-octave").text = str(octave)

    def _lengths(
        self, note: Element, ticks: int, voice: int, ties: Sequence[str] = (), pitch: int = -1
    ) -> None:
        """In the order of the format's schema; pitch: of a drum, whose head is its own."""
        SubElement(note, "duration").text = str(ticks)
        for kind in ties:
            SubElement(note, "tie", type=kind)
        if self.drums and pitch >= 0:
            SubElement(note, "instrument", id=f"{self.drums}{pitch}")
        SubElement(note, "voice").text = str(voice)
        quarters = Fraction(ticks, _tpq(self.piece))
        if quarters in VALUES:
            name, dots, is_triplet = VALUES[quarters]
            SubElement(note, "type").text = name
            for _ in range(dots):
                SubElement(note, "dot")
            if is_triplet:
                modification = SubElement(note, "time-modification")
                SubElement(modification, "actual-notes").text = "3"
                SubElement(modification, "normal-notes").text = "2"
        if self.drums and (head := PERCUSSION.get(pitch, OTHER_HIT)[2]) and pitch >= 0:
            SubElement(note, "notehead").text = head


def _values(ticks: int, ticks_per_quarter: int) -> list[int]:
    """Lengths of note values that add up, longest first; one length of no value if none do."""
    parts, left = [], Fraction(ticks, ticks_per_quarter)
    while left and left not in VALUES:
        part = max((length for length in PLAIN if length < left), default=None)
        if part is None or (part * ticks_per_quarter).denominator > 1:
            return [ticks]
        parts.append(part)
        left -= part
    return [int(part * ticks_per_quarter) for part in (*parts, left) if part]
