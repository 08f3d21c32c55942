"""Requests to a trained system: tasks, their prompts, and the capabilities of a system."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy.typing as npt

from ostinato.models.spec import NOT_GIVEN, ConditionSpec
from ostinato.music.piece import Piece


@dataclass(frozen=True)
class EncodedPiece:
    """A piece as an encoding holds it: an array of shape (T, W), and the encoding's codec.json."""

    id: str
    tokens: npt.NDArray[Any]
    codec: Mapping[str, Any]


Prompt = Piece | EncodedPiece


@dataclass(frozen=True)
class Region:
    """A part of a piece: `bars` [first, end) of the named roles.

    Bars have the numbers of a printed score: 1 is the first full bar, 0 a pickup.
    Without bars it is as long as the piece; without roles it is all of them.
    """

    bars: tuple[int, int] | None = None
    roles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.bars is None and not self.roles:
            raise ValueError("a region needs bars=[first, end), roles, or both")
        if self.bars is not None and not 0 <= self.bars[0] < self.bars[1]:
            raise ValueError(
                f"bars={list(self.bars)} must be a first bar, 0 for a pickup, and the one after "
                "the last"
            )


@dataclass(frozen=True)
class Unconditional:
    """A piece from nothing."""

    name: ClassVar[str] = "unconditional"

    def row(self) -> dict[str, Any]:
        """The task's part of a row of samples.json."""
        return {"prompt": None, "prompt_bars": 0}


@dataclass(frozen=True)
class Continue:
    """Goes on after the first `bars` of a prompt."""

    name: ClassVar[str] = "continue"
    prompt: Prompt
    bars: float = 4

    def __post_init__(self) -> None:
        if not self.bars > 0:
            raise ValueError(f"prompt_bars={self.bars} must be above 0")

    def row(self) -> dict[str, Any]:
        """The task's part of a row of samples.json."""
        return {"prompt": self.prompt.id, "prompt_bars": self.bars}


@dataclass(frozen=True)
class Fill:
    """Keeps a piece but for the free region: infilling, accompaniment, harmonization."""

    name: ClassVar[str] = "fill"
    piece: Prompt
    free: Region

    def row(self) -> dict[str, Any]:
        """The task's part of a row of samples.json."""
        bars = list(self.free.bars) if self.free.bars else None
        return {"prompt": self.piece.id, "region": {"bars": bars, "roles": list(self.free.roles)}}


@dataclass(frozen=True)
class Interpolate:
    """Pieces between two others; the i-th of n is (i + 1) / (n + 1) of the way to `end`."""

    name: ClassVar[str] = "interpolate"
    start: Prompt
    end: Prompt

    def row(self) -> dict[str, Any]:
        """The task's part of a row of samples.json."""
        return {"prompt": self.start.id, "end": self.end.id}


@dataclass(frozen=True)
class Vary:
    """A piece changed by `strength`, in [0, 1]: 0 is the piece itself, 1 keeps nothing of it."""

    name: ClassVar[str] = "vary"
    piece: Prompt
    strength: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength={self.strength} must lie in [0, 1]")

    def row(self) -> dict[str, Any]:
        """The task's part of a row of samples.json."""
        return {"prompt": self.piece.id, "strength": self.strength}


Task = Unconditional | Continue | Fill | Interpolate | Vary


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to make: `n` pieces of at most `bars` bars (those of a prompt included), numbered from
    `first`. Where an encoding has an end, a piece may end itself after `min_bars`.

    conditions: values by name, such as {"emotion": "Q1", "tempo": 120}; the system chooses those
    that are not named. options: settings of the sampler by name, such as temperature. A system's
    `Capabilities` say which it knows. The i-th piece depends on (seed, system, task, i) alone.
    """

    task: Task = field(default_factory=Unconditional)
    bars: int = 16
    min_bars: int = 1
    n: int = 1
    seed: int = 1
    first: int = 0
    conditions: Mapping[str, str | float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bars < 1 or self.n < 1:
            raise ValueError(f"bars={self.bars} and n={self.n} must be at least 1")
        if isinstance(self.task, Continue) and self.task.bars >= self.bars:
            raise ValueError(
                f"prompt_bars={self.task.bars} must be less than bars={self.bars}, which count the "
                "prompt; ask for more bars or a shorter prompt"
            )
        if (
            isinstance(self.task, Fill)
            and (span := self.task.free.bars)
            and span[1] > self.bars + 1
        ):
            raise ValueError(
                f"infill.bars={list(span)} must lie within 0 to bars + 1 = {self.bars + 1}: "
                "ask for more bars"
            )


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a trained system can do.

    tasks: names of the tasks. missing: for other tasks, why not and what to do about it.
    conditions: those it uses. options: of its sampler, with the default of each. roles: those that
    a Region can name. streams: whether `session` works.
    """

    tasks: tuple[str, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    conditions: tuple[ConditionSpec, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    streams: bool = False

    def check(self, request: Request, system: str) -> None:
        """Raise ValueError where a system cannot do what is asked, naming what it can do."""
        self.check_task(request.task.name, system)
        self.check_conditions(request.conditions, system)
        self._check_names(system, "option", request.options, list(self.options))
        if isinstance(request.task, Fill):
            self._check_names(system, "role", request.task.free.roles, list(self.roles))

    def check_task(self, name: str, system: str) -> None:
        """Raise ValueError for another task, naming why and what there is."""
        if name not in self.tasks:
            why = f": {self.missing[name]}" if name in self.missing else ""
            raise ValueError(
                f"{system} cannot do task {name!r}{why}; its tasks: {', '.join(self.tasks)}"
            )

    def check_conditions(self, asked: Mapping[str, str | float], system: str) -> None:
        """Raise ValueError for another condition or value, naming what there is."""
        self._check_names(system, "condition", asked, [spec.name for spec in self.conditions])
        for spec in self.conditions:
            if spec.name in asked:
                _check_value(spec, asked[spec.name])

    def codes(self, asked: Mapping[str, str | float]) -> list[int]:
        """The code of every condition, in their order; NOT_GIVEN where none is asked for."""
        return [
            spec.code_of(asked[spec.name]) if spec.name in asked else NOT_GIVEN
            for spec in self.conditions
        ]

    @staticmethod
    def _check_names(system: str, kind: str, asked: Any, known: list[str]) -> None:
        unknown = sorted(set(asked) - set(known))
        if unknown:
            raise ValueError(
                f"{system} has no {kind} {', '.join(unknown)}; "
                f"its {kind}s: {', '.join(known) or 'none'}"
            )


def _check_value(spec: ConditionSpec, value: str | float) -> None:
    """Raise ValueError for an unknown value; it names those that there are, with their pieces."""
    try:
        spec.code_of(value)
    except ValueError as error:
        if not spec.pieces:
            raise
        known = ", ".join(
            f"{name} ({pieces})" for name, pieces in zip(spec.values, spec.pieces, strict=True)
        )
        raise ValueError(
            f"{spec.name}={value!r} is none of: {known}; in brackets, how many pieces have it"
        ) from error
