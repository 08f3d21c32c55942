"""Fields of ABC tunes: meter, unit length, key, tempo, voices, order of parts (standard 2.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

_TONICS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_MODES = {
    "": (0, "major"), "maj": (0, "major"), "ion": (0, "ionian"), "m": (-3, "minor"),
    "min": (-3, "minor"), "aeo": (-3, "aeolian"), "mix": (-1, "mixolydian"), "dor": (-2, "dorian"),
    "phr": (-4, "phrygian"), "lyd": (1, "lydian"), "loc": (-5, "locrian"),
}  # fmt: skip
ACCIDENTALS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_SHARPS = "FCGDAEB"
_KEY = re.compile(r"([A-G])([#b♯♭]?)\s*([A-Za-z]*)")
_OPTION = re.compile(
    r"(?<!\S)(?:clef|cue|m|middle|octave|score|shift|sound|staff\w+|style|t|transpose)"
    r'\s*=\s*(?:"[^"]*"|\S+)'
)
_TERM = r"\(?([\d+\s]+)\)?\s*/\s*(\d+)"  # of a meter
_NAMES = re.compile(r'\b(\w*name|nm|snm)\s*=\s*("[^"]*"|\S+)')
_CLEF = re.compile(
    r"(?:clef\s*=\s*\"?\w+?|treble|bass|alto|tenor|soprano|baritone|perc)\d?([+-](?:8|15))?(?!\w)"
)
_MOST_PARTS = 10_000
PIPES = ("HP", "Hp")  # Highland bagpipes: F and C are sharp


@dataclass(frozen=True)
class KeySign:
    """A key: sharps or flats, mode, and what every letter is altered by."""

    fifths: int = 0
    mode: str = ""
    alters: Mapping[str, int] = field(default_factory=dict)


def key_of(text: str) -> KeySign | None:
    """The key of a K: field; None where it only names a clef.

    Accidentals such as `^f _b` need no tonic.
    """
    is_empty = not text.strip()
    text = _OPTION.sub("", text).strip()
    if is_empty or text.startswith(("^", "_", "=")) or text.lower().startswith("none"):
        return KeySign(0, "", _alters(0) | _accidentals(text))
    if text[:2] in PIPES:
        return KeySign(2, "", _alters(2))
    found = _KEY.match(text)
    if not found:
        return None
    tonic, accidental, word = found.groups()
    offset, mode = _MODES.get(_mode_word(word), (0, "major"))
    fifths = _TONICS[tonic] + offset + {"#": 7, "♯": 7, "b": -7, "♭": -7, "": 0}[accidental]
    rest = text[found.end() :]
    if explicit := re.match(r"\s*(?:exp|Exp)\b", text[found.start(3) :]):
        rest, fifths, mode = text[found.start(3) + explicit.end() :], 0, ""
    return KeySign(fifths, mode, _alters(fifths) | _accidentals(rest))


def _accidentals(text: str) -> dict[str, int]:
    """What single accidentals of a key, such as `^f _b`, alter their letters by."""
    found = re.findall(r"(\^\^|\^|__|_|=)([A-Ga-g])(?![A-Za-z])", text)
    return {letter.upper(): ACCIDENTALS[sign] for sign, letter in found}


def _mode_word(word: str) -> str:
    """The first three letters, which tell; `m` alone is minor, other words are no mode."""
    short = word[:3].lower()
    return short if short in _MODES else ""


def _alters(fifths: int) -> dict[str, int]:
    order = _SHARPS if fifths >= 0 else _SHARPS[::-1]
    sign = 1 if fifths >= 0 else -1
    alters = dict.fromkeys(_SHARPS, 0)
    for number in range(abs(fifths)):
        alters[order[number % 7]] += sign
    return alters


def shifts_of(text: str) -> dict[str, int]:
    """Semitones from the written to the sounding pitch, by the cause that a K: or V: field names:
    `clef` (0 for a clef without ±8), `octave` and `transpose`.
    """
    text = _NAMES.sub("", text)
    shifts = {
        "transpose" if name == "t" else name: int(value) * (12 if name == "octave" else 1)
        for name, value in re.findall(r"\b(octave|transpose|t)\s*=\s*(-?\d{1,3})", text)
    }
    if clef := _CLEF.search(text):
        octaves = {"8": 1, "15": 2}.get((clef[1] or "")[1:], 0)
        shifts["clef"] = 12 * octaves * (-1 if octaves and clef[1][0] == "-" else 1)
    return shifts


def voice_name(text: str) -> str | None:
    """The name= of a V: field; None where it has none."""
    found = [value.strip('"') for kind, value in _NAMES.findall(text) if kind in ("name", "nm")]
    return found[-1] if found else None


def meter_of(text: str) -> tuple[int, int] | None:
    """Numerator and denominator, of a sum such as `2/4+3/8` those of one meter of all its beats;
    None for music without a meter.
    """
    text = text.strip()
    if text in ("C", "c"):
        return 4, 4
    if text in ("C|", "c|"):
        return 2, 2
    found = re.match(rf"{_TERM}(?:\s*(?=\+){_TERM})*", text)
    terms = [
        (sum(map(int, re.findall(r"\d+", counts))), int(unit))
        for counts, unit in re.findall(_TERM, found[0] if found else "")
    ]
    denominator = max((unit for _, unit in terms), default=0)
    if not all(unit and denominator % unit == 0 for _, unit in terms):
        return None
    beats = sum(count * denominator // unit for count, unit in terms)
    return (beats, denominator) if beats else None


def unit_of(text: str) -> Fraction | None:
    """The unit note length in quarter notes."""
    found = re.match(r"\s*(\d+)\s*/\s*(\d+)|\s*(1)\s*$", text)
    if not found or found[2] == "0":
        return None
    return Fraction(4) if found[3] else Fraction(4 * int(found[1]), int(found[2]))


def default_unit(meter: tuple[int, int] | None) -> Fraction:
    """A sixteenth in meters shorter than 3/4, else an eighth; in quarter notes."""
    return Fraction(1, 4) if meter and Fraction(*meter) < Fraction(3, 4) else Fraction(1, 2)


def qpm_of(text: str, unit: Fraction) -> float | None:
    """Quarter notes a minute of a Q: field: `1/4=120`, `3/8=60`; `120`, `C=120` and `C3=40` count
    unit notes.
    """
    text = re.sub(r'"[^"]*"', "", text)
    number = r"(\d+(?:\.\d+)?)"
    if found := re.search(rf"((?:\d+/[1-9]\d*\s*)+)=\s*{number}", text):
        beat = sum((4 * Fraction(part) for part in found[1].split()), Fraction(0))
        return float(beat) * float(found[2]) or None
    found = re.match(rf"\s*(?:C(\d*/*\d*)\s*=\s*)?{number}\s*$", text)
    return float(unit * factor(found[1] or "")) * float(found[2]) or None if found else None


def factor(text: str) -> Fraction:
    """A length such as 3, 3/2, /, // or /4 in unit notes."""
    number, slashes, over = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # type: ignore[union-attr]
    halves = Fraction(1, 2 ** len(slashes)) if slashes and not over else Fraction(1)
    return int(number or 1) * halves / max(1, int(over or 1))


def part_order(text: str) -> list[str]:
    """The labels of a P: field of the header in order: `A2(BC)2` is A A B C B C.

    Empty for orders of more than 10,000 parts.
    """
    text = re.sub(r"[.\s]", "", text)
    while group := re.search(r"\(([^()]*)\)(\d{0,2})", text):
        text = text[: group.start()] + group[1] * int(group[2] or 1) + text[group.end() :]
        if len(text) > _MOST_PARTS:
            return []
    parts = re.findall(r"([A-Za-z])(\d{0,2})", text)
    return [letter for letter, times in parts for _ in range(int(times or 1))][:_MOST_PARTS]
