"""What samplers of whole pieces share, whatever makes the pieces: options, batches, conditions."""

# B batch, C conditions, T positions, W columns

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch

from ostinato.models.spec import Given
from ostinato.sampling.request import Capabilities, Vary
from ostinato.sampling.sampler import Array, Job, Made, Session
from ostinato.settings import checked

Random = np.random.Generator
Decoding = TypeVar("Decoding")


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
        drawn = self._draw(plans, jobs, randoms, decoding)
        return [Made(rows, ended=plan.ended) for rows, plan in zip(drawn, plans, strict=True)]

    @abstractmethod
    def _plan(self, job: Job, random: Random) -> Any:
        """What is known of the piece of a job before it is drawn."""

    @abstractmethod
    def _draw(
        self,
        plans: Sequence[Any],
        jobs: Sequence[Job],
        randoms: Sequence[Random],
        decoding: Decoding,
    ) -> Sequence[Array]:
        """The rows of every plan, (T, W)."""

    def _given(self, jobs: Sequence[Job]) -> Given | None:
        """The conditions of the jobs; None for a model without any."""
        if not self.model.conditions:
            return None
        able = self.capabilities()
        codes_BC = torch.tensor([able.codes(job.request.conditions) for job in jobs])
        return Given(codes_BC.to(next(self.model.parameters()).device))
