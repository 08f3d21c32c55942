"""Tandem interpretations of Humdrum: meters, keys, tempos and instruments of a spine."""

import re
from collections.abc import Sequence
from fractions import Fraction

from ostinato.music.piece import Key, Meter, Tempo
from ostinato.readers.kern_tokens import LENGTH, quarters
from ostinato.readers.score import Mark

_BEATS = r"(\d+(?:\+\d+)*)/(\d+(?:%\d+)?)"
# code of Humdrum: name, MIDI program
INSTRUMENTS = {
    "soprn": ("Soprano", 52), "cant": ("Cantus", 52), "canto": ("Canto", 52), "mezz": ("Mezzo", 52),
    "alto": ("Alto", 52), "calto": ("Contralto", 52), "tenor": ("Tenor", 52),
    "barit": ("Baritone", 52), "bass": ("Bass", 52), "vox": ("Voice", 52), "piano": ("Piano", 0),
    "cemba": ("Harpsichord", 6), "clavi": ("Clavichord", 7), "organ": ("Organ", 19),
    "guitr": ("Guitar", 24), "violn": ("Violin", 40), "viola": ("Viola", 41),
    "cello": ("Violoncello", 42), "cbass": ("Contrabass", 43), "harp": ("Harp", 46),
    "tromp": ("Trumpet", 56), "tromb": ("Trombone", 57), "tuba": ("Tuba", 58), "cor": ("Horn", 60),
    "clars": ("Clarinet", 71), "oboe": ("Oboe", 68), "fagot": ("Bassoon", 70),
    "flt": ("Flute", 73), "picco": ("Piccolo", 72), "recor": ("Recorder", 74),
}  # fmt: skip
MODES = {
    "dor": "dorian", "phr": "phrygian", "lyd": "lydian", "mix": "mixolydian", "aeo": "aeolian",
    "ion": "ionian", "loc": "locrian",
}  # fmt: skip


class Signs:
    """The signs of one **kern spine: its instrument, and `marks`, its meters, keys and tempos.

    A mode belongs to the key signature it stands with.
    """

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self._name = self._code = ""
        self._fifths, self._mode, self._designated = 0, "", Fraction(-1)

    def instrument(self) -> tuple[str, int]:
        """Name and MIDI program; a spine without either is a piano without a name."""
        name, program = INSTRUMENTS.get(self._code, (self._code.capitalize(), 0))
        return self._name or name, program

    def read(self, cell: str, time: Fraction) -> None:
        """Read an interpretation at `time` quarter notes; unknown ones are ignored."""
        if cell.startswith('*I"'):
            self._name = self._name or cell[3:].strip()
        elif code := re.fullmatch(r"\*I([a-z]+)\d*", cell):
            self._code = self._code or code[1]
        else:
            self._sign(cell, time)

    def _sign(self, cell: str, time: Fraction) -> None:
        if meter := meter_of(cell):
            self.marks.append(Mark(time, meter))
        elif tempo := re.fullmatch(r"\*MM(\d+(?:\.\d+)?)", cell):
            self.marks.append(Mark(time, Tempo(0, float(tempo[1]))))
        elif signature := re.fullmatch(r"\*k\[(.*)\]", cell):
            self._fifths = signature[1].count("#") - signature[1].count("-")
            self._mode = self._mode if self._designated == time else ""
            self.marks.append(Mark(time, Key(0, self._fifths, self._mode)))
        elif key := re.fullmatch(r"\*([A-Ga-g])[#-]*:(\w*)", cell):
            plain = "major" if key[1].isupper() else "minor"
            self._mode, self._designated = MODES.get(key[2], plain), time
            self.marks.append(Mark(time, Key(0, self._fifths, self._mode)))


def leading(spines: Sequence[Signs]) -> list[Mark]:
    """Meters, keys and tempos of a score: for each kind those of the first spine that has any."""
    marks: list[Mark] = []
    for kind in (Meter, Key, Tempo):
        of_kind = ([m for m in spine.marks if isinstance(m.value, kind)] for spine in spines)
        marks += next(filter(None, of_kind), [])
    return marks


def meter_of(cell: str) -> Meter | None:
    """The meter of `*M3/4`, `*M3+2/8`, `*M2/4+3/8` or `*M3/4%2`, whose unit is two quarters; a sum
    is one meter of all its beats. None for other signs, and where the beats have no common unit.
    """
    if not re.fullmatch(rf"\*M{_BEATS}(?:\+{_BEATS})*", cell):
        return None
    terms = [
        (sum(map(int, counts.split("+"))), quarters(length) / 4)
        for counts, unit in re.findall(_BEATS, cell)
        if (length := LENGTH.fullmatch(unit))
    ]
    bar = sum((count * unit for count, unit in terms), Fraction(0))
    denominator = max((unit.denominator for _, unit in terms), default=1)
    if denominator & (denominator - 1):  # no note value: the shortest fraction may be one
        denominator = bar.denominator
    beats = bar * denominator
    return Meter(0, beats.numerator, denominator) if beats and beats.denominator == 1 else None


def title_of(lines: list[str]) -> str:
    """The title record; of several languages, that of the work."""
    found: dict[str, str] = {}
    for line in lines:
        if title := re.match(r"!!!OTL(@@?\w*)?:\s*(.*)", line):
            found.setdefault(title[1] or "", title[2].strip())
    originals = [value for key, value in found.items() if key.startswith("@@")]
    return found.get("") or next(iter(originals or found.values()), "")
