"""The shape of tokens, and the settings that all autoregressive families share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

PAD = -1


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Effect of a position's first sub-token on musical time, in steps; V numbers, one a symbol.

    shift: steps by which it advances time. bar: 1 if it begins the next bar. meter: length of bars
    from the current one on; 0: unknown. place: its place in the bar; -1: unknown.
    """

    shift: tuple[int, ...]
    bar: tuple[int, ...]
    meter: tuple[int, ...]
    place: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class TokenShape:
    """What a model must know of its representation: W sub-tokens a position, V symbols.

    timing: for a stream of events; None if positions are equally far apart in time.
    """

    width: int
    vocabulary: int
    timing: Timing | None = None

    def __post_init__(self) -> None:
        if self.width < 1 or self.vocabulary < 2:
            raise ValueError(
                f"width={self.width} and vocabulary={self.vocabulary} describe no tokens"
            )
        for name, steps in vars(self.timing).items() if self.timing else ():
            if len(steps) != self.vocabulary:
                raise ValueError(
                    f"timing gives the {name} of {len(steps)} symbols, the vocabulary has "
                    f"{self.vocabulary}"
                )

    @classmethod
    def of(cls, codec: Mapping[str, Any]) -> Self:
        """The shape of the tokens that a `codec.json` describes.

        Raises:
            ValueError, TypeError, KeyError: it does not describe tokens of this project.
        """
        tables = codec.get("timing")
        timing = Timing(**{key: tuple(row) for key, row in tables.items()}) if tables else None
        return cls(width=codec["width"], vocabulary=len(codec["vocabulary"]), timing=timing)


@dataclass(frozen=True, kw_only=True)
class StepConfig:
    """Settings that all autoregressive families share.

    width: D, width of the trunk.
    voice_hidden: H, hidden width of each voice's predictor; 0: a linear layer.
    order: order in which the W sub-tokens are predicted; empty: natural order.
    periods: clocks: the trunk sees the position modulo each (16: a bar of 4/4 in sixteenths).
    held_steps: the trunk sees for how many steps each sub-token has been held, counted up to this
        number from the start of its sequence (a training crop begins at 0); 0: not seen.
    repetition_memory: number of past positions in which the longest match of the most recent
        passage is searched; the trunk sees what followed it (parts/repetition.py); 0: not seen.
    """

    width: int
    voice_hidden: int = 0
    order: tuple[int, ...] = ()
    periods: tuple[int, ...] = ()
    held_steps: int = 0
    repetition_memory: int = 0

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError(
                f"order={list(self.order)} must name each of 0 to {len(self.order) - 1} once"
            )
        if self.held_steps < 0 or self.repetition_memory < 0:
            raise ValueError(
                f"held_steps={self.held_steps} and repetition_memory={self.repetition_memory} "
                "cannot be negative; 0 switches them off"
            )

    @property
    def read_width(self) -> int:
        """Width of what the trunk reads."""
        return self.width
