"""The sampler of ensembles: that of the stream of roles and bars, which also makes parts anew."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch

from ostinato.models.ensemble.band import Model
from ostinato.models.ensemble.parts.names import SCALE
from ostinato.models.spec import Given
from ostinato.music.chords import ROLE
from ostinato.music.piece import Piece
from ostinato.representations.events.roles import Roles
from ostinato.representations.protocol import Extent, Tokens
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.sampler import OF_VOICES
from ostinato.sampling.autoregressive.sampler import Sampler as Streamed
from ostinato.sampling.ensemble.asked import (
    check_levels,
    check_request,
    conditions_of,
    meter_of,
)
from ostinato.sampling.ensemble.bounded import Bounded
from ostinato.sampling.ensemble.decoding import TASKS, BandDecoding, options_on, restricted
from ostinato.sampling.ensemble.finish import finished, programs_of
from ostinato.sampling.ensemble.guidance import Guided
from ostinato.sampling.ensemble.harmony import heard, progression_tokens, under_progression
from ostinato.sampling.ensemble.levels import Steered, range_of
from ostinato.sampling.ensemble.refill import Score, refill, score_of
from ostinato.sampling.ensemble.together import Together
from ostinato.sampling.prompts import prompt_of
from ostinato.sampling.request import Capabilities, Continue, Fill, Request, Unconditional, Vary
from ostinato.sampling.sampler import Job, Made, Session
from ostinato.settings import checked


class Sampler(Streamed):
    """From left to right, with chosen roles and meter; any parts of a piece, given the others."""

    tasks = TASKS  # type: ignore[assignment]

    def capabilities(self) -> Capabilities:
        """All tasks of the stream, and to make parts anew."""
        return replace(super().capabilities(), tasks=self.tasks, missing={})

    def session(self, job: Job) -> Session:
        """From left to right; raises ValueError for parts that are made anew."""
        if isinstance(job.request.task, Vary):
            raise ValueError("a variation is made of a whole piece, not bar by bar: sample it")
        if job.request.options.get("chords"):
            raise ValueError("a piece under given chords is not made bar by bar: sample it")
        how, programs = self._decoding(job.request), self._programs(job.request)
        limited = restricted(self._roles(), how, programs)
        model = self._drawn_from(how, limited, [self._extent(job)])
        return super(Sampler, Sampler(cast(Any, model), limited)).session(job)

    def finish(self, job: Job, piece: Piece) -> Piece:
        """The piece in the tempo and key that were asked for, with its chords as symbols."""
        known = self._roles()
        asked = conditions_of(job, self.model.conditions, known.meters)
        how, programs = self._decoding(job.request), self._programs(job.request)
        return finished(piece, job.request, how, asked, known, programs)

    def _defaults(self) -> dict[str, Any]:
        left_out = list(OF_VOICES)
        left_out += [] if self.model.conditions else ["guidance"]
        known = self.model.conditions
        left_out += [] if any(range_of(c.name, v) for c in known for v in c.values) else ["levels"]
        return {k: v for k, v in options_on(self._roles()).items() if k not in left_out}

    def _decoding(self, request: Request) -> BandDecoding:
        return checked(BandDecoding, "sampling", self._defaults() | dict(request.options))

    def _alike(self, job: Job) -> tuple[tuple[float, ...], Decoding, int]:
        request, decoding = job.request, self._decoding(job.request)
        check_request(request, decoding, self._roles())
        alone = not isinstance(request.task, (Fill, Vary)) and not decoding.chords
        if not alone:
            return (request.bars,), decoding, id(request)
        if isinstance(request.task, Unconditional):  # roles and meter are those of each job
            return (), replace(decoding, roles=(), meter="", key="", tempo=0.0), 0
        assert isinstance(request.task, Continue)
        own = id(request) if self._programs(request) else 0  # instruments of its own
        return (request.bars, request.min_bars, request.task.bars, own), decoding, 0

    def _extent(self, job: Job) -> Extent:
        meter = meter_of(job.request, self.model.conditions, self._roles().meters)
        return replace(super()._extent(job), meter=meter or None)

    def _given(self, jobs: Sequence[Job]) -> Given | None:
        """The conditions that are asked for, or that follow from what is."""
        known, meters = self.model.conditions, self._roles().meters
        if not known:
            return None
        able = self.capabilities()
        codes_BC = torch.tensor([able.codes(conditions_of(job, known, meters)) for job in jobs])
        return Given(codes_BC.to(next(self.model.parameters()).device))

    def _prompt(self, job: Job) -> Tokens:
        """The prompt's tokens, or the naming of the roles that are asked for."""
        known, task = self._roles(), job.request.task
        if isinstance(task, Continue):
            assert isinstance(task.prompt, Piece)
            if ROLE in known.roles:
                task = replace(task, prompt=heard(task.prompt))
            tokens = super()._prompt(replace(job, request=replace(job.request, task=task)))
            check_levels(job.request, known.playing(tokens), "take a prompt that has it")
            return tokens
        asked = self._decoding(job.request).roles
        if asked and ROLE in known.roles:
            asked = (*asked, ROLE)
        named = sorted({1 + known.parts.index(role) for role in asked})
        return np.array(named, np.int32).reshape(-1, 1)

    def _extend(self, jobs: Sequence[Job], decoding: Decoding) -> list[Made]:
        assert isinstance(decoding, BandDecoding)
        programs = self._programs(jobs[0].request)
        extents = [self._extent(job) for job in jobs for _ in range(decoding.best_of)]
        limited = restricted(self._roles(), decoding, programs, extents)
        model = self._drawn_from(decoding, limited, extents)
        return model.by_model(
            super(Sampler, Sampler(cast(Any, model), limited))._extend(jobs, decoding)
        )

    def _drawn_from(self, how: BandDecoding, limited: Roles, extents: Sequence[Extent]) -> Bounded:
        """The model as it is drawn from: guided, steered to levels, and held to each extent.

        limited: the representation with what can be played.
        """
        model: Any = Together(cast(Model, self.model))
        if how.guidance != 1:
            model = Guided(model, how.guidance)
        if how.levels:
            model = Steered(model, limited, how.levels)
        return Bounded(model, self._roles(), extents)

    def _programs(self, request: Request) -> dict[str, int]:
        """By role, the instrument of a prompt, where it is not the representation's own."""
        prompt = getattr(request.task, "prompt", getattr(request.task, "piece", None))
        return programs_of(prompt, self._roles()) if isinstance(prompt, Piece) else {}

    def _fill(self, jobs: Sequence[Job], decoding: Decoding) -> list[Made]:
        """A gap of one region, a random share of all parts, or what plays under given chords."""
        known, model = self._roles(), cast(Model, self.model)
        assert isinstance(decoding, BandDecoding)
        if isinstance(jobs[0].request.task, Unconditional):
            decoding = replace(decoding, particles=1)  # chords are heard bar by bar as they come
        conditions = model.condition(len(jobs), self._given(jobs))
        limited = restricted(known, decoding, self._programs(jobs[0].request))
        found = []
        for job, row_D in zip(jobs, conditions, strict=True):
            score = self._score(job, decoding, row_D)
            told = conditions_of(job, self.model.conditions, known.meters)
            found.append(refill(model, limited, score, row_D, job.seed, decoding, told))
        return found

    def _score(self, job: Job, decoding: BandDecoding, row_D: torch.Tensor) -> Score:
        """What to keep and what to make anew."""
        known, task = self._roles(), job.request.task
        if isinstance(task, Unconditional):
            bars = job.request.bars
            meter = meter_of(job.request, self.model.conditions, known.meters)
            tokens = progression_tokens(known, decoding.chords, bars, meter)
            roles = decoding.roles or self._drawn_roles(job.seed, row_D)
            return score_of(known, tokens, (1, bars + 1), [r for r in roles if r != ROLE])
        assert isinstance(task, (Fill, Vary))
        piece = task.piece
        assert isinstance(piece, Piece)
        has_role = ROLE in known.roles
        tokens = prompt_of(known, heard(piece) if has_role else piece, job.request.bars)
        bars_there = sorted(known.bar_starts(tokens))
        name = piece.source or piece.id
        if not bars_there:
            raise ValueError(f"prompt {name} holds no whole bar: ask for more bars")
        if decoding.chords:
            tokens = under_progression(known, tokens, decoding.chords)
        whole, playing = (1, bars_there[-1] + 1), known.playing(tokens)
        players = [role for role in playing if role != ROLE]
        if isinstance(task, Vary):
            rng = np.random.default_rng([job.seed, 1])
            check_levels(job.request, players, f"take one of {', '.join(players)}")
            score = score_of(known, tokens, whole, players)
            chosen = {part for part in sorted(score.free) if rng.random() < task.strength}
            return score_of(known, tokens, whole, players, chosen)
        span, free = task.free.bars or whole, list(task.free.roles or players)
        if not bars_there[0] <= span[0] < span[1] <= bars_there[-1] + 1:
            raise ValueError(
                f"infill.bars={list(span)} lie outside prompt {name}, which has bars "
                f"{bars_there[0]} to {bars_there[-1]}: name bars that it has, at most "
                f"infill.bars=[{bars_there[0]}, {bars_there[-1] + 1}]"
            )
        if span == whole and set(players) <= set(free):
            raise ValueError(
                f"fill.roles=[{','.join(free)}] names all that prompt {name} plays "
                f"({', '.join(players)}), so nothing of it would be kept: name other roles, or "
                "fewer bars, such as fill.bars=[5,9]; or leave the prompt out and give roles=[…]"
            )
        check_levels(job.request, free, f"name it in fill.roles=[{','.join(free)}]")
        if has_role and ROLE not in playing and ROLE not in free:
            free.append(ROLE)  # a melody alone does not tell its chords
        return score_of(known, tokens, span, free)

    def _drawn_roles(self, seed: int, row_D: torch.Tensor) -> list[str]:
        """Roles that play under given chords, as likely as the model names them; one at least."""
        known, model = self._roles(), cast(Model, self.model)
        with torch.inference_mode():
            plays_R = torch.sigmoid(SCALE * model.names.plays(row_D)).tolist()
        players = [(share, role) for share, role in zip(plays_R, known.parts, strict=True)]
        players = [(share, role) for share, role in players if role != ROLE]
        rng = np.random.default_rng([seed, 2])
        drawn = [role for share, role in players if rng.random() < share]
        return drawn or [max(players)[1]]

    def _roles(self) -> Roles:
        assert isinstance(self.representation, Roles)
        return self.representation
