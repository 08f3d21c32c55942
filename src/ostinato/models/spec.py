"""What a model must know of an encoding, and what a step may see besides the piece itself."""

# B batch, C conditions, S positions of the memory, D width

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

if TYPE_CHECKING:  # requests need specs, and are checked before torch is imported
    from torch import Tensor

PAD = -1  # in arrays of symbols: after the end of a piece
NOT_GIVEN = -1  # in codes of conditions: the condition has no value here
Kind = Literal["tokens", "roll", "mel"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What the first sub-token of a position does to musical time, in steps; V numbers each.

    shift: by how much it moves time forward. bar: 1 where it begins the next bar. meter: length of
    bars from the current one on; 0: unchanged. place: where in the bar it goes; -1: unchanged.
    """

    shift: tuple[int, ...]
    bar: tuple[int, ...]
    meter: tuple[int, ...]
    place: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Which columns are voices, and the symbols of the bar column; see protocol.Structured.

    structural: all symbols that are no music. inside, bar, end: of a row inside a bar, of a bar
    line in the meter as before, of the last row. meters: bar lines that name a meter.
    """

    voice_columns: tuple[int, ...]
    bar_column: int
    structural: tuple[int, ...]
    inside: int
    bar: int | None = None
    meters: tuple[int, ...] = ()
    end: int | None = None

    @classmethod
    def of(cls, codec: Mapping[str, Any]) -> Self:
        """From its entry in a `codec.json`."""
        return cls(
            voice_columns=tuple(codec["voice_columns"]),
            bar_column=codec["bar_column"],
            structural=tuple(codec["structural"]),
            inside=codec["inside"],
            bar=codec["bar"],
            meters=tuple(codec["meters"].values()),
            end=codec["end"],
        )


@dataclass(frozen=True, kw_only=True)
class ConditionSpec:
    """A label of pieces that a model can be conditioned on.

    name: such as style, emotion or tempo. values: names of the values, by code. pieces: how many
    training pieces have each. edges: for numbers, where one value ends and the next begins, in
    rising order, one fewer than values; a number equal to an edge belongs to the upper value.
    """

    name: str
    values: tuple[str, ...]
    pieces: tuple[int, ...] = ()
    edges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.pieces and len(self.pieces) != len(self.values):
            raise ValueError(
                f"condition {self.name} has {len(self.values)} values and {len(self.pieces)} counts"
            )
        if self.edges and len(self.edges) != len(self.values) - 1:
            raise ValueError(
                f"condition {self.name} has {len(self.values)} values and {len(self.edges)} edges"
            )

    @classmethod
    def of(cls, codec: Mapping[str, Any]) -> Self:
        """From its entry in a `codec.json`."""
        return cls(
            name=codec["name"],
            values=tuple(codec["values"]),
            pieces=tuple(codec.get("pieces", ())),
            edges=tuple(codec.get("edges", ())),
        )

    def code_of(self, value: str | float) -> int:
        """The code of a value: of a name, or of a number where the condition has edges.

        Raises:
            ValueError: an unknown value; it names those that there are.
        """
        if value in self.values:
            return self.values.index(str(value))
        if self.edges and isinstance(value, (int, float)):
            return bisect.bisect_right(self.edges, value)
        numbers = f", or a number (limits {list(self.edges)})" if self.edges else ""
        known = ", ".join(self.values)
        raise ValueError(f"{self.name}={value!r} is none of: {known}{numbers}")


@dataclass(frozen=True)
class Given:
    """What a step may see besides the piece itself.

    codes_BC: the code of every condition that the model uses, in the order of its specs; NOT_GIVEN
    where a piece has none. memory_BSD: context from another model, such as a coordinator.
    """

    codes_BC: "Tensor | None" = None
    memory_BSD: "Tensor | None" = None

    def select(self, index_B: "Tensor") -> "Given":
        """For these sequences, in this order; one may be named twice."""
        parts = (self.codes_BC, self.memory_BSD)
        return Given(*(None if part is None else part.index_select(0, index_B) for part in parts))


@dataclass(frozen=True, kw_only=True)
class Voices:
    """The columns of a position that hold one voice each, and how their symbols say pitches.

    first, end: the columns [first, end), the lowest voice last. lowest: symbol of the lowest pitch;
    the others follow by semitones. pitches: P, how many. hold: symbol of "goes on", -1 for none.
    """

    first: int
    end: int
    lowest: int
    pitches: int
    hold: int = -1

    @classmethod
    def of(cls, codec: Mapping[str, Any]) -> Self | None:
        """Of a `codec.json`; None where a position is not made of several voices."""
        names = list(codec["vocabulary"])
        pitches = [number for number, name in enumerate(names) if str(name).startswith("pitch_")]
        structure = codec.get("structure") or {}
        columns = list(structure.get("voice_columns", range(codec["width"])))
        in_a_row = pitches == list(range(pitches[0], pitches[-1] + 1)) if pitches else False
        if len(columns) < 2 or not in_a_row or codec.get("timing"):
            return None
        hold = names.index("hold") if "hold" in names else -1
        return cls(
            first=columns[0],
            end=columns[-1] + 1,
            lowest=pitches[0],
            pitches=len(pitches),
            hold=hold,
        )


@dataclass(frozen=True, kw_only=True)
class Notes:
    """How a stream of events says a note: by its voice, its pitch and its duration, in this order.

    voice: symbol of the first of K `voices`. lowest: symbol of the lowest of P `pitches`. duration:
    symbol of one step, the shortest of the durations up to `longest` steps. Each is followed by the
    others of its kind.
    """

    voice: int
    voices: int
    lowest: int
    pitches: int
    duration: int
    longest: int

    @classmethod
    def of(cls, codec: Mapping[str, Any]) -> Self | None:
        """Of a `codec.json`; None where events do not say notes of several voices in this way."""
        kinds = [str(name).rpartition("_")[0] for name in codec["vocabulary"]]
        counts = {kind: kinds.count(kind) for kind in ("voice", "pitch", "duration")}
        if not codec.get("timing") or codec["width"] != 1 or not all(counts.values()):
            return None
        first = {kind: kinds.index(kind) for kind in counts}
        if any(set(kinds[at : at + counts[kind]]) != {kind} for kind, at in first.items()):
            return None
        names, longest = list(codec["vocabulary"]), counts["duration"]
        steps = [f"duration_{number}" for number in range(1, longest + 1)]
        if names[first["duration"] : first["duration"] + longest] != steps or counts["voice"] < 2:
            return None
        return cls(
            voice=first["voice"],
            voices=counts["voice"],
            lowest=first["pitch"],
            pitches=counts["pitch"],
            duration=first["duration"],
            longest=longest,
        )


@dataclass(frozen=True, kw_only=True)
class ArraySpec:
    """The arrays of an encoding: (T positions, W values), and what is known beside them.

    kind: `tokens` are symbols of one vocabulary, `roll` is a piano roll, `mel` a spectrogram.
    vocabulary: V symbols; 0 where values are real numbers. timing: of a stream of events; None
    where positions are equally far apart in time. structure: of a grid with a bar column.
    conditions: labels of the pieces. voices: of a grid; None where columns are no voices. notes: of
    events; None where they say no voices.
    """

    width: int
    vocabulary: int
    kind: Kind = "tokens"
    timing: Timing | None = None
    structure: Structure | None = None
    conditions: tuple[ConditionSpec, ...] = ()
    voices: Voices | None = None
    notes: Notes | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind={self.kind!r} is none of {', '.join(get_args(Kind))}")
        if self.width < 1 or (self.vocabulary < 2 and not self.is_real):
            raise ValueError(
                f"width={self.width} and vocabulary={self.vocabulary} describe no {self.kind}"
            )
        for name, steps in vars(self.timing).items() if self.timing else ():
            if len(steps) != self.vocabulary:
                raise ValueError(
                    f"timing gives the {name} of {len(steps)} symbols, the vocabulary has "
                    f"{self.vocabulary}"
                )

    @property
    def is_real(self) -> bool:
        """Whether values are real numbers instead of symbols."""
        return self.kind != "tokens" and self.vocabulary == 0

    @classmethod
    def of(cls, codec: Mapping[str, Any]) -> Self:
        """Of the arrays that a `codec.json` describes.

        Raises:
            ValueError, TypeError, KeyError: it is not one of ours.
        """
        times, structure = codec.get("timing"), codec.get("structure")
        return cls(
            width=codec["width"],
            vocabulary=len(codec["vocabulary"]),
            kind=codec.get("kind", "tokens"),
            timing=Timing(**{k: tuple(v) for k, v in times.items()}) if times else None,
            structure=Structure.of(structure) if structure else None,
            conditions=tuple(ConditionSpec.of(found) for found in codec.get("conditions", ())),
            voices=Voices.of(codec),
            notes=Notes.of(codec),
        )
