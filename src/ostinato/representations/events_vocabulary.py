"""The vocabulary of the event representations: what our tokens mean, and MidiTok's names for them.

MidiTok counts time in beats of the meter's denominator: its resolution would be coarser in 3/2 than
in 4/4, and finer in 12/8. So we tell it that a step is a quarter note: every meter becomes n/4 with
n steps in a bar, every duration a whole number of beats. Our own names say what a token means to
us; meters of equal bars stay apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

END = "end"


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in blocks of one kind each; number 0 ends the music.

    values: by token, what it says: a voice, meter or pitch by its index, a position, duration or
        shift in steps.
    foreign: by token, MidiTok's name. Meters share names where their bars are equally long.
    bar_steps: by meter, the steps in its bar.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    values: tuple[int, ...]
    foreign: tuple[str, ...]
    blocks: Mapping[str, range]
    meters: tuple[tuple[int, int], ...]
    bar_steps: tuple[int, ...]

    def token(self, kind: str, value: int) -> int:
        """Number of the token of a kind with a value."""
        block = self.blocks[kind]
        return block[value - self.values[block.start]]

    def count(self, kind: str) -> int:
        """How many tokens are of a kind."""
        return len(self.blocks[kind])


def parse_meter(text: str, steps_per_quarter: int) -> tuple[int, int, int]:
    """Numerator, denominator and steps in a bar of a meter like 3/4.

    Raises:
        ValueError: not a meter, or one whose bar is no whole number of steps.
    """
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f"meters has {text!r}; write a meter like 3/4")
    steps = Fraction(4 * int(parts[0]) * steps_per_quarter, int(parts[1]))
    if steps.denominator != 1:
        raise ValueError(
            f"a bar of {text} is no whole number of steps; leave it out of meters, "
            f"or choose another steps_per_quarter than {steps_per_quarter}"
        )
    return int(parts[0]), int(parts[1]), int(steps)


def make_vocabulary(
    scheme: str,
    voices: Sequence[str],
    pitches: range,
    longest: int,
    meters: Sequence[tuple[int, int, int]],
) -> Vocabulary:
    """The tokens that can occur, and no more.

    Args:
        scheme: remi or midi_like.
        voices: one name for each voice.
        pitches: MIDI numbers.
        longest: steps of the longest duration (remi) or time shift (midi_like).
        meters: numerator, denominator and steps in a bar of each.
    """
    blocks: dict[str, list[tuple[str, int, str]]] = {
        END: [(END, 0, "")],
        "voice": [(f"voice_{name}", i, f"Program_{i}") for i, name in enumerate(voices)],
        "meter": [
            (f"meter_{n}/{d}", i, f"TimeSig_{steps}/4") for i, (n, d, steps) in enumerate(meters)
        ],
    }
    steps = range(1, longest + 1)
    if scheme == "remi":
        widest = range(max(steps for _, _, steps in meters))
        blocks |= {
            "bar": [("bar", 0, "Bar_None")],
            "position": [(f"position_{i}", i, f"Position_{i}") for i in widest],
            "pitch": [(f"pitch_{p}", i, f"Pitch_{p}") for i, p in enumerate(pitches)],
            "duration": [(f"duration_{i}", i, f"Duration_{i}.0.1") for i in steps],
        }
    else:
        blocks |= {
            "time_shift": [(f"time_shift_{i}", i, f"TimeShift_{i}.0.1") for i in steps],
            "note_on": [(f"note_on_{p}", i, f"NoteOn_{p}") for i, p in enumerate(pitches)],
            "note_off": [(f"note_off_{p}", i, f"NoteOff_{p}") for i, p in enumerate(pitches)],
        }
    rows = [(kind, *row) for kind, block in blocks.items() for row in block]
    first = {kind: [row[0] for row in rows].index(kind) for kind in blocks}
    return Vocabulary(
        names=tuple(row[1] for row in rows),
        kinds=tuple(row[0] for row in rows),
        values=tuple(row[2] for row in rows),
        foreign=tuple(row[3] for row in rows),
        blocks={k: range(first[k], first[k] + len(block)) for k, block in blocks.items()},
        meters=tuple((n, d) for n, d, _ in meters),
        bar_steps=tuple(steps for _, _, steps in meters),
    )
