"""The sampler of all autoregressive families."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

import numpy as np
import torch

from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.spec import Given
from ostinato.music.piece import VOICES, Piece
from ostinato.representations.protocol import Extent, Representation, Tokens
from ostinato.sampling.autoregressive.asked import check_request
from ostinato.sampling.autoregressive.decode import Stream, decode
from ostinato.sampling.autoregressive.decoding import TASKS, Decoding, tasks_on
from ostinato.sampling.autoregressive.ends import has_end
from ostinato.sampling.autoregressive.infill import Gaps, infill
from ostinato.sampling.autoregressive.session import BarSession
from ostinato.sampling.gaps import free_cells
from ostinato.sampling.prompts import prompt_of
from ostinato.sampling.request import Capabilities, Continue, Fill
from ostinato.sampling.sampler import Job, Made, Session
from ostinato.seeds import seed_of
from ostinato.settings import checked

BATCH = 64
SPLIT, MOTION = 0.8, 0.85  # the defaults on grids; docs/sampling.md has what was measured
OF_VOICES = ("split", "motion", "no_parallels")


class Sampler:
    """Samples from left to right; where cells have known times, a particle filter fills gaps."""

    tasks = TASKS

    def __init__(self, model: Autoregressive, representation: Representation) -> None:
        self.model, self.representation = model, representation

    def capabilities(self) -> Capabilities:
        """Options of Decoding, those of voices only on grids; infilling only where cells have known
        times.
        """
        tasks, missing = tasks_on(self.representation)
        return Capabilities(
            tasks=tasks,
            missing=missing,
            conditions=self.model.conditions,
            options=self._defaults(),
            roles=tuple(getattr(self.representation, "voices", ())),
            streams=True,
        )

    def _defaults(self) -> dict[str, Any]:
        """The options with their defaults: on grids, decoding is split."""
        options = asdict(Decoding())
        if not has_end(self.representation):
            del options["end_on"]
        elif getattr(self.representation, "voices", ()) == VOICES:
            options["end_on"] = "tonic"
        if self.model.shape.voices:
            return options | {"split": SPLIT, "motion": MOTION}
        return {k: v for k, v in options.items() if k not in OF_VOICES}

    def sample(self, jobs: Sequence[Job]) -> list[Made]:
        """Neighbouring jobs of one length and options share batches."""
        made: list[Made] = []
        for (_, decoding, fills), group in groupby(jobs, key=self._alike):
            part = list(group)
            make = self._fill if fills else self._extend
            size = max(1, BATCH // (decoding.particles if fills else decoding.best_of))
            for start in range(0, len(part), size):
                made += make(part[start : start + size], decoding)
        return made

    def session(self, job: Job) -> Session:
        """From left to right; raises ValueError for a gap, which needs what comes after it."""
        if isinstance(job.request.task, Fill):
            raise ValueError("a gap cannot be filled bar by bar: its end must be known. Sample it")
        _, decoding, _ = self._alike(job)
        if decoding.best_of > 1:
            raise ValueError("a session makes one piece: leave best_of out, or sample whole pieces")
        stream = Stream(
            self.model,
            self.representation,
            [self._prompt(job)],
            [job.seed],
            self._extent(job),
            decoding,
            self._given([job]),
        )
        return BarSession(stream, self.representation)

    def _extend(self, jobs: Sequence[Job], decoding: Decoding) -> list[Made]:
        """The best of `best_of` candidates of every job; the first has the job's own seed."""
        count = decoding.best_of
        prompts = [prompt for job in jobs for prompt in [self._prompt(job)] * count]
        seeds = [
            seed_of(job.seed, "candidate", number) if number else job.seed
            for job in jobs
            for number in range(count)
        ]
        given = self._given([job for job in jobs for _ in range(count)])
        extent = self._extent(jobs[0])
        made = decode(self.model, self.representation, prompts, seeds, extent, decoding, given)
        if count == 1:
            return made
        return [
            min(made[first : first + count], key=self._cost) for first in range(0, len(made), count)
        ]

    def _cost(self, made: Made) -> float:
        """Nats of a note; infinite for what failed or has no note."""
        if made.failed or made.nats is None:
            return math.inf
        notes = len(self.representation.decode(made.tokens).notes)
        return float(made.nats.sum(dtype=np.float64)) / notes if notes else math.inf

    def _extent(self, job: Job) -> Extent:
        """The bars asked for are a limit; a continuation has at least one bar after its prompt."""
        request = job.request
        prompt = int(request.task.bars) if isinstance(request.task, Continue) else 0
        return Extent(request.bars, min(request.bars, max(request.min_bars, prompt + 1)))

    def _given(self, jobs: Sequence[Job]) -> Given | None:
        """The conditions of the jobs; None for a model without any."""
        if not self.model.conditions:
            return None
        able = self.capabilities()
        codes_BC = torch.tensor([able.codes(job.request.conditions) for job in jobs])
        return Given(codes_BC.to(next(self.model.parameters()).device))

    def _fill(self, jobs: Sequence[Job], decoding: Decoding) -> list[Made]:
        task = jobs[0].request.task
        assert isinstance(task, Fill)
        seeds = [job.seed for job in jobs]
        gaps = Gaps(*free_cells(self.representation, task, jobs[0].request.bars))
        given = self._given(jobs)
        return infill(self.model, self.representation, gaps, seeds, decoding, given)

    def _prompt(self, job: Job) -> Tokens:
        """The prompt's tokens; none without a prompt."""
        task = job.request.task
        if not isinstance(task, Continue):
            return np.zeros((0, self.representation.width), np.int32)
        piece = task.prompt
        assert isinstance(piece, Piece)
        prompt = prompt_of(self.representation, piece, task.bars)
        name = piece.source or piece.id
        if not len(prompt):
            raise ValueError(f"prompt {name} holds no music to continue")
        context = getattr(getattr(self.model, "config", None), "context", None)
        if context is not None and len(prompt) > context:
            fits = task.bars * context / len(prompt)
            raise ValueError(
                f"prompt {name} has {len(prompt)} positions in {task.bars:g} bars, the model's "
                f"context is {context}, so it would forget the beginning; take about "
                f"prompt_bars={np.floor(fits * 4) / 4:g}, or a model with a longer context"
            )
        return prompt

    def _alike(self, job: Job) -> tuple[tuple[float, ...], Decoding, int]:
        """What jobs of one batch have in common: length, options, and of gaps the request."""
        request = job.request
        fills = id(request) if isinstance(request.task, Fill) else 0
        extent = (request.bars, request.min_bars, getattr(request.task, "bars", 0))
        decoding = checked(Decoding, "sampling", self._defaults() | dict(request.options))
        check_request(request, decoding, self.representation)
        return extent, decoding, fills
