"""What a paradigm's sampler offers: pieces for jobs, and sessions that advance bar by bar.

`sampling/<paradigm>/sampler.py` has one, the class `Sampler`, made of (model, representation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy.typing as npt

from ostinato.music.piece import Piece
from ostinato.sampling.request import Capabilities, Request

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Job:
    """One piece of a request; `seed` decides it alone, whatever is sampled beside it."""

    request: Request
    index: int
    seed: int


@dataclass(frozen=True)
class Made:
    """One array in the encoding's own form, (T, W), its prompt included.

    nats: of every value under the model itself, shape (T, W): no temperature, no truncation, no
    mask; None where the paradigm has no such number. failed: why the piece is not whole, or None.
    ended: whether it has an end of its own; else it was cut at the limit.
    """

    tokens: Array
    nats: Array | None = None
    failed: str | None = None
    ended: bool = True


class Session(Protocol):
    """One piece that is being made, bar by bar."""

    def advance(self, bars: int = 1) -> Made:
        """Add bars, fewer where the piece ends before; returns all of the piece so far."""

    def hear(self, played: Piece) -> None:
        """Append bars that a player played, as context for what follows.

        Raises:
            ValueError: what the encoding cannot hold, or more than the piece has room for.
        """


class Sampler(Protocol):
    """Makes pieces with one trained model.

    tasks: names of those that the paradigm can do, some perhaps on some encodings only.
    """

    tasks: ClassVar[tuple[str, ...]]

    def capabilities(self) -> Capabilities:
        """What can be requested."""

    def sample(self, jobs: Sequence[Job]) -> list[Made]:
        """One piece for each job, in their order."""

    def session(self, job: Job) -> Session:
        """The piece of a job, bar by bar; raises ValueError where that cannot be done."""


@runtime_checkable
class Finishing(Protocol):
    """A sampler whose decoded pieces lack something that was asked for, such as their tempo."""

    def finish(self, job: Job, piece: Piece) -> Piece:
        """The decoded piece of a job with all that was asked for."""
