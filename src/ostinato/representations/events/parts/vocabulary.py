"""The vocabulary of the event representations: what our tokens mean, and MidiTok's names for them.

MidiTok counts time in beats of the meter's denominator: its resolution would be coarser in 3/2 than
in 4/4, and finer in 12/8. So we tell it that a step is a quarter note: every meter becomes n/4 with
n steps in a bar, every duration a whole number of beats. Our own names say what a token means to
us; meters of equal bars stay apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from ostinato.music.piece import VOICES
from ostinato.representations.protocol import read_meter
from ostinato.representations.voice_lines import DRUMS

END = "end"
WIDEST_BAR = 255  # steps: symusic, in which MidiTok reads and writes, keeps a meter in one byte
NoteKind = Literal["pitch", "note_on", "note_off"]
_DRUM_KINDS = {"pitch": "drum", "note_on": "drum_on", "note_off": "drum_off"}


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in blocks of one kind each; number 0 ends the music.

    Drums have pitches of their own, so that transposition leaves them alone; what they do is the
    same. A voice that is alone is not named.

    kinds: by token, what it does: a drum's pitch is a pitch.
    values: by token, what it says: a voice, meter or pitch by its index, a position, duration or
        shift in steps.
    foreign: by token, what MidiTok says for it, names with a space between. Meters share names
        where their bars are equally long, drums share those of pitches.
    bar_steps: by meter, the steps in its bar.
    drums: by voice, whether it is one.
    single: by voice, whether it sounds one note at a time, as those of a choir do.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    values: tuple[int, ...]
    foreign: tuple[str, ...]
    blocks: Mapping[str, range]
    meters: tuple[tuple[int, int], ...]
    bar_steps: tuple[int, ...]
    drums: tuple[bool, ...]
    single: tuple[bool, ...]

    @property
    def names_voices(self) -> bool:
        """Whether a token before every note says its voice."""
        return "voice" in self.blocks

    def token(self, kind: str, value: int) -> int:
        """Number of the token of a kind with a value."""
        block = self.blocks[kind]
        return block[value - self.values[block.start]]

    def count(self, kind: str) -> int:
        """How many tokens are of a kind."""
        return len(self.blocks[kind])

    def timing(self) -> dict[str, list[int]]:
        """What every token does to the time, in steps: see protocol.Timed. A bar begins at place 0;
        without bars, as in midi_like, meters move nothing.
        """
        pairs = list(zip(self.kinds, self.values, strict=True))
        return {
            "shift": [value if kind == "time_shift" else 0 for kind, value in pairs],
            "bar": [int(kind == "bar") for kind, _ in pairs],
            "meter": [self.bar_steps[value] if kind == "meter" else 0 for kind, value in pairs],
            "place": [value if kind in ("bar", "position") else -1 for kind, value in pairs],
        }

    def pitches(self, kind: NoteKind, voice: int) -> range:
        """The tokens of one kind for the pitches of a voice, from the lowest up."""
        return self.blocks[_DRUM_KINDS[kind] if self.drums[voice] else kind]


def parse_meter(text: str, steps_per_quarter: int) -> tuple[int, int, int]:
    """Numerator, denominator and steps in a bar of a meter like 3/4.

    Raises:
        ValueError: not a meter, or one whose bar is no whole number of steps.
    """
    numerator, denominator = read_meter(text)
    steps = Fraction(4 * numerator * steps_per_quarter, denominator)
    if steps.denominator != 1:
        raise ValueError(
            f"a bar of {text} is no whole number of steps; leave it out of meters, "
            f"or choose another steps_per_quarter than {steps_per_quarter}"
        )
    if steps > WIDEST_BAR:
        raise ValueError(
            f"a bar of {text} has {steps} steps, more than {WIDEST_BAR}; leave it out of meters, "
            f"or choose a lower steps_per_quarter than {steps_per_quarter}"
        )
    return numerator, denominator, int(steps)


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
        "voice": [(f"voice_{name}", i, f"Program_{i}") for i, name in enumerate(voices)],
        "meter": [
            (f"meter_{n}/{d}", i, f"TimeSig_{steps}/4") for i, (n, d, steps) in enumerate(meters)
        ],
    }
    steps = range(1, longest + 1)
    # MidiTok names the voice of every note
    alone = "Program_0 " if len(voices) == 1 else ""

    def notes(name: str, foreign: str) -> list[tuple[str, int, str]]:
        return [(f"{name}_{p}", i, f"{alone}{foreign}_{p}") for i, p in enumerate(pitches)]

    if scheme == "remi":
        widest = range(max(steps for _, _, steps in meters))
        blocks |= {
            "bar": [("bar", 0, "Bar_None")],
            "position": [(f"position_{i}", i, f"Position_{i}") for i in widest],
            "pitch": notes("pitch", "Pitch"),
            "drum": notes("drum", "Pitch"),
            "duration": [(f"duration_{i}", i, f"Duration_{i}.0.1") for i in steps],
        }
    else:
        blocks |= {
            "time_shift": [(f"time_shift_{i}", i, f"TimeShift_{i}.0.1") for i in steps],
            "note_on": notes("note_on", "NoteOn"),
            "note_off": notes("note_off", "NoteOff"),
            "drum_on": notes("drum_on", "NoteOn"),
            "drum_off": notes("drum_off", "NoteOff"),
        }
    drums = tuple(voice == DRUMS for voice in voices)
    unused = {"voice"} if alone else set()
    unused |= set() if any(drums) else set(_DRUM_KINDS.values())
    unused |= set(_DRUM_KINDS) if all(drums) else set()
    used = {kind: block for kind, block in blocks.items() if kind not in unused}
    choir = set(voices) <= set(VOICES)  # the bass of a band may play chords
    return _laid_out(used, meters, drums, (choir,) * len(voices))


def _laid_out(
    blocks: Mapping[str, Sequence[tuple[str, int, str]]],
    meters: Sequence[tuple[int, int, int]],
    drums: tuple[bool, ...],
    single: tuple[bool, ...],
) -> Vocabulary:
    rows = [(END, END, 0, "")]
    ranges = {END: range(1)}
    what = {drum: plain for plain, drum in _DRUM_KINDS.items()}
    for kind, block in blocks.items():
        ranges[kind] = range(len(rows), len(rows) + len(block))
        rows += [(what.get(kind, kind), *row) for row in block]
    kinds, names, values, foreign = zip(*rows, strict=True)
    return Vocabulary(
        names=names,
        kinds=kinds,
        values=values,
        foreign=foreign,
        blocks=ranges,
        meters=tuple((n, d) for n, d, _ in meters),
        bar_steps=tuple(steps for _, _, steps in meters),
        drums=drums,
        single=single,
    )
