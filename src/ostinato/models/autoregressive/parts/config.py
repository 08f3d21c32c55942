"""What all autoregressive families are told: the shape of tokens, and the settings they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

PAD = -1


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a position's first sub-token does to the time of the music, in steps: of each symbol, V
    numbers each.

    shift: by how much it moves time on. bar: 1 where it begins the next bar. meter: how long bars
    are from the current one on; 0 says nothing. place: where in the bar it goes; -1 says nothing.
    """

    shift: tuple[int, ...]
    bar: tuple[int, ...]
    meter: tuple[int, ...]
    place: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class TokenShape:
    """What a model must know of its representation: W sub-tokens a position out of V.

    timing: of a stream of events; None where positions are equally far apart in time.
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
                    f"timing tells the {name} of {len(steps)} symbols, the vocabulary has "
                    f"{self.vocabulary}"
                )

    @classmethod
    def of(cls, codec: Mapping[str, Any]) -> Self:
        """Of the tokens that a `codec.json` describes.

        Raises:
            ValueError, TypeError, KeyError: it is not one of ours.
        """
        told = codec.get("timing")
        timing = Timing(**{name: tuple(steps) for name, steps in told.items()}) if told else None
        return cls(width=codec["width"], vocabulary=len(codec["vocabulary"]), timing=timing)


@dataclass(frozen=True, kw_only=True)
class StepConfig:
    """Settings that all families share.

    width: D, of the trunk. head: H, hidden width of each voice's predictor; 0 predicts linearly.
    order: in which the W sub-tokens are predicted; empty is as they come.
    periods: clocks, in positions from the start of the piece (16 is a bar of 4/4 in sixteenths).
    ages: up to how many positions the trunk is told how long each sub-token has stayed the same, as
    far as its sequence goes back: a training crop begins without a past.
    echo: how far back it is told what followed a passage like the one just heard (parts/echo.py).
    """

    width: int
    head: int = 0
    order: tuple[int, ...] = ()
    periods: tuple[int, ...] = ()
    ages: int = 0
    echo: int = 0

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError(
                f"order={list(self.order)} must name each of 0 to {len(self.order) - 1} once"
            )
        if self.ages < 0 or self.echo < 0:
            raise ValueError(f"ages={self.ages} and echo={self.echo} cannot be negative; 0 is none")

    @property
    def read_width(self) -> int:
        """Width of what the trunk reads."""
        return self.width
