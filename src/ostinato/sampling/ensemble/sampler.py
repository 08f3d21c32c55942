"""The sampler of ensembles: that of the stream of roles and bars, which also makes parts anew."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np

from ostinato.models.ensemble.band import Model
from ostinato.music.piece import Piece
from ostinato.representations.events.roles import Roles
from ostinato.representations.protocol import Extent, Tokens
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.sampler import Sampler as Streamed
from ostinato.sampling.ensemble.decoding import BandDecoding
from ostinato.sampling.ensemble.refill import Score, refill, score_of
from ostinato.sampling.prompts import prompt_of
from ostinato.sampling.request import Capabilities, Continue, Fill, Vary
from ostinato.sampling.sampler import Job, Made, Session
from ostinato.settings import checked

NOT_STREAMED = ("split", "no_parallels")


class Sampler(Streamed):
    """From left to right, with chosen roles and meter; any parts of a piece, given the others."""

    tasks = (*Streamed.tasks, Vary.name)  # type: ignore[assignment]

    def capabilities(self) -> Capabilities:
        """All tasks of the stream, and to make parts anew."""
        return replace(super().capabilities(), tasks=self.tasks, missing={})

    def session(self, job: Job) -> Session:
        """From left to right; raises ValueError for parts that are made anew."""
        if isinstance(job.request.task, Vary):
            raise ValueError("a variation is made of a whole piece, not bar by bar: sample it")
        return super().session(job)

    def _defaults(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(BandDecoding()).items() if k not in NOT_STREAMED}

    def _alike(self, job: Job) -> tuple[tuple[float, ...], Decoding, int]:
        request = job.request
        fills = id(request) if isinstance(request.task, (Fill, Vary)) else 0
        extent = (request.bars, request.min_bars, getattr(request.task, "bars", 0))
        options = self._defaults() | dict(request.options)
        return extent, checked(BandDecoding, "sampling", options), fills

    def _extent(self, job: Job) -> Extent:
        meter = job.request.options.get("meter") or None
        return replace(super()._extent(job), meter=meter)

    def _prompt(self, job: Job) -> Tokens:
        """The prompt's tokens, or the naming of the roles that are asked for."""
        known, asked = self._roles(), tuple(job.request.options.get("roles", ()))
        if unknown := [role for role in asked if role not in known.parts]:
            raise ValueError(
                f"roles names {', '.join(unknown)}; this model's roles are {', '.join(known.roles)}"
            )
        if isinstance(job.request.task, Continue):
            if asked:
                raise ValueError("a continuation has the roles of its prompt: leave roles out")
            return super()._prompt(job)
        named = sorted(1 + known.parts.index(role) for role in asked)
        return np.array(named, np.int32).reshape(-1, 1)

    def _fill(self, jobs: Sequence[Job], decoding: Decoding) -> list[Made]:
        """A gap of one region, or for a variation a random share of all parts."""
        task, known = jobs[0].request.task, self._roles()
        assert isinstance(task, (Fill, Vary))
        piece = task.piece
        assert isinstance(piece, Piece)
        tokens = prompt_of(known, piece, jobs[0].request.bars)
        model = cast(Model, self.model)
        conditions = model.condition(len(jobs), self._given(jobs))
        return [
            refill(model, known, self._score(task, tokens, job.seed), row_D, job.seed, decoding)
            for job, row_D in zip(jobs, conditions, strict=True)
        ]

    def _score(self, task: Fill | Vary, tokens: Tokens, seed: int) -> Score:
        """What to keep and what to make anew."""
        known, piece = self._roles(), task.piece
        assert isinstance(piece, Piece)
        bars = sorted(known.bar_starts(tokens))
        name = piece.source or piece.id
        if not bars:
            raise ValueError(f"prompt {name} holds no whole bar: ask for more bars")
        whole, playing = (1, bars[-1] + 1), tuple(known.playing(tokens))
        if isinstance(task, Vary):
            rng = np.random.default_rng([seed, 1])
            score = score_of(known, tokens, whole, playing)
            chosen = {part for part in sorted(score.free) if rng.random() < task.strength}
            return score_of(known, tokens, whole, playing, chosen)
        span = task.free.bars or whole
        score = score_of(known, tokens, span, task.free.roles or playing)
        if not score.free:
            raise ValueError(
                f"infill.bars={list(span)} lie outside prompt {name}, which has bars {bars[0]} to "
                f"{bars[-1]}: name bars that it has"
            )
        return score

    def _roles(self) -> Roles:
        assert isinstance(self.representation, Roles)
        return self.representation
