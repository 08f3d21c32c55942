"""What samplers of whole pieces share, whatever makes the pieces: options, batches, conditions."""

# B batch, C conditions, T positions, W columns

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import torch

from ostinato.models.spec import Given
from ostinato.representations.protocol import Tokens
from ostinato.sampling.request import Capabilities, Vary
from ostinato.sampling.sampler import Array, Job, Made, Session
from ostinato.settings import checked

Random = np.random.Generator
Decoding = TypeVar("Decoding")


class Batch(NamedTuple):
    """What is known of pieces, their jobs, and their streams of random numbers."""

    plans: Sequence[Any]
    jobs: Sequence[Job]
    randoms: Sequence[Random]


class Whole(Generic[Decoding]):
    """Makes pieces in batches of jobs with the same options.

    A sampler names `decoding`, the dataclass of its options, `session_error`, why pieces cannot be
    made bar by bar, and `missing` tasks with their reasons. It has `_plan`, what is known of a
    piece before it is drawn, an object with `ended`, and `_draw`; or `_batch` in place of both.
    """

    tasks: ClassVar[tuple[str, ...]]
    missing: ClassVar[Mapping[str, str]] = {}
    session_error: ClassVar[str]
    decoding: ClassVar[type]
    batch: ClassVar[int] = 16

    def __init__(self, model: Any, representation: Any) -> None:
        self.model, self.representation = model, representation

    def capabilities(self) -> Capabilities:
        """All options of the decoding, and the conditions of the model."""
        return Capabilities(
            tasks=self.tasks,
            missing=self.missing,
            conditions=getattr(self.model, "conditions", ()),
            options=asdict(self.decoding()),
            roles=tuple(getattr(self.representation, "voices", ())),
        )

    def session(self, job: Job) -> Session:
        """There are none: pieces are made whole.

        Raises:
            ValueError: always.
        """
        raise ValueError(self.session_error)

    def sample(self, jobs: Sequence[Job]) -> list[Made]:
        """Neighbouring jobs with the same options and strength share batches.

        Raises:
            ValueError: options that this model cannot follow.
        """
        made: list[Made] = []
        for (decoding, _), group in groupby(jobs, key=self._alike):
            part = list(group)
            for start in range(0, len(part), self.batch):
                made += self._batch(part[start : start + self.batch], decoding)
        return made

    def _alike(self, job: Job) -> tuple[Decoding, float]:
        task = job.request.task
        return self._decoding(job), task.strength if isinstance(task, Vary) else 1.0

    def _decoding(self, job: Job) -> Decoding:
        decoding: Decoding = checked(self.decoding, "sampling", job.request.options)
        return decoding

    def _batch(self, jobs: Sequence[Job], decoding: Decoding) -> list[Made]:
        self.model.eval()
        randoms = [np.random.default_rng(job.seed) for job in jobs]
        plans = [self._plan(job, random) for job, random in zip(jobs, randoms, strict=True)]
        drawn = self._draw(Batch(plans, jobs, randoms), decoding)
        return [Made(rows, ended=plan.ended) for rows, plan in zip(drawn, plans, strict=True)]

    @abstractmethod
    def _plan(self, job: Job, random: Random) -> Any:
        """What is known of the piece of a job before it is drawn."""

    @abstractmethod
    def _draw(self, batch: Batch, decoding: Decoding) -> Sequence[Array]:
        """The rows of every plan, (T, W)."""

    def _given(self, jobs: Sequence[Job]) -> Given | None:
        """The conditions of the jobs; None for a model without any."""
        if not self.model.conditions:
            return None
        able = self.capabilities()
        codes_BC = torch.tensor([able.codes(job.request.conditions) for job in jobs])
        return Given(codes_BC.to(next(self.model.parameters()).device))


def stacked(arrays: Sequence[Array], fill: int) -> Array:
    """Arrays (T, W) as one, (B, T, W), of 64-bit numbers, with `fill` after their ends."""
    longest = max(len(array) for array in arrays)
    out = np.full((len(arrays), longest, arrays[0].shape[1]), fill, np.int64)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out


def trimmed(rows_BTW: Array, arrays: Sequence[Array]) -> list[Tokens]:
    """Rows (T, W) of each piece, as long as its array."""
    return [
        rows_TW[: len(array)].astype(np.int32)
        for rows_TW, array in zip(rows_BTW, arrays, strict=True)
    ]
