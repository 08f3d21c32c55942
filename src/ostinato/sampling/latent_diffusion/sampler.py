"""The sampler of latent diffusion: all vectors of a piece from noise, then its cells from them."""

# B batch, S segments of a piece, Z dimensions

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ostinato.models.latent_diffusion.latent_ddpm import Model
from ostinato.models.spec import PAD, Given
from ostinato.models.variational.parts.segments import Segments
from ostinato.representations.protocol import Tokens
from ostinato.sampling.diffusion.decoding import check_guidance, check_steps
from ostinato.sampling.diffusion.guidance import guided
from ostinato.sampling.diffusion.schedulers import Known, denoised, levels_of
from ostinato.sampling.gaps import free_cells
from ostinato.sampling.grids.opening import Random
from ostinato.sampling.grids.whole import Batch, Whole, stacked
from ostinato.sampling.latent_diffusion.decoding import MISSING, TASKS, Decoding
from ostinato.sampling.request import Fill
from ostinato.sampling.sampler import Job
from ostinato.sampling.variational.closing import closed
from ostinato.sampling.variational.decoding import Decoding as Cells
from ostinato.sampling.variational.plan import Plan, plan_of, vectors_of
from ostinato.sampling.variational.sampler import draw, kept_rows


class Sampler(Whole[Decoding]):
    """Makes all beats of a piece at once, after a prompt or from a piece that is noised."""

    tasks = TASKS
    missing = MISSING
    session_error = "latent diffusion makes whole pieces, not bar by bar: sample them"
    decoding = Decoding

    def _plan(self, job: Job, random: Random) -> Plan:
        task = job.request.task
        if not isinstance(task, Fill):
            return plan_of(job, self.model.vae, self.representation, random)
        rows, free = free_cells(self.representation, task, job.request.bars)
        voices = free[:, self.model.vae.columns_V.cpu().numpy()]
        if (voices.any(axis=1) != voices.all(axis=1)).any():
            raise ValueError(
                f"roles {', '.join(task.free.roles)} cannot be filled alone: a vector stands for "
                "all voices of a beat. Leave the roles out and name bars, or take a family that "
                "fills single voices, such as absorbing or gpt"
            )
        return Plan(rows, kept=voices.sum(axis=1) == 0)

    def _draw(self, batch: Batch, decoding: Decoding) -> list[Tokens]:
        cells = Cells(temperature=decoding.temperature, move_temperature=decoding.move_temperature)
        given = self._given(batch.jobs)

        def drawn(
            numbers: Sequence[int],
            plans: Sequence[Plan],
            seeds: Sequence[int],
            randoms: Sequence[Random],
        ) -> list[Tokens]:
            theirs = (
                given.select(torch.tensor(numbers, device=self.model.shift_Z.device))
                if given
                else None
            )
            vectors = made(self.model, plans, seeds, decoding, theirs)
            led = [
                replace(plan, wanted=vectors_SZ, strength=0.0, hears=True)
                for plan, vectors_SZ in zip(plans, vectors, strict=True)
            ]
            return draw(self.model.vae, led, randoms, cells)

        def once_more(
            numbers: Sequence[int], plans: Sequence[Plan], seeds: Sequence[int]
        ) -> list[Tokens]:
            return drawn(numbers, plans, seeds, [np.random.default_rng(seed) for seed in seeds])

        everyone = range(len(batch.jobs))
        seeds = [job.seed for job in batch.jobs]
        first = drawn(everyone, batch.plans, seeds, batch.randoms)
        end_on = decoding.end_on
        return closed(batch.jobs, batch.plans, first, once_more, self.representation, end_on)

    def _decoding(self, job: Job) -> Decoding:
        decoding = super()._decoding(job)
        check_steps(decoding.scheduler, decoding.steps, len(self.model.log_snrs_S))
        check_guidance(decoding.guidance, self.model.conditions)
        return decoding


@torch.inference_mode()
def made(
    model: Model,
    plans: Sequence[Plan],
    seeds: Sequence[int],
    decoding: Decoding,
    given: Given | None = None,
) -> list[Tensor]:
    """The vectors of plans of one strength, (S, Z) each; those of kept segments are their own."""
    rows_BTW = torch.from_numpy(stacked([plan.rows for plan in plans], PAD))
    segments = model.vae.segments(rows_BTW.to(model.shift_Z.device))
    counts = torch.bincount(segments.piece, minlength=len(plans)).tolist()
    generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]

    def fresh() -> Tensor:
        shape = (len(model.shift_Z),)
        drawn = [
            torch.randn(count, *shape, generator=generator)
            for count, generator in zip(counts, generators, strict=True)
        ]
        return pad_sequence(drawn, batch_first=True).to(model.shift_Z.device)

    def clean_of(noisy_BSZ: Tensor, level_B: Tensor, told: Given | None) -> Tensor:
        return model.clean(noisy_BSZ, level_B, segments, told)

    strength, levels_N = plans[0].strength, levels_of(model.log_snrs_S, decoding.steps)
    clean = segments.by_piece(
        model.scaled(torch.cat([vectors_of(model.vae, p.rows) for p in plans]))
    )
    kept = _kept(plans, segments)
    known = Known(clean, kept) if strength < 1 or bool(kept.any()) else None
    if known is not None and strength == 1:
        known = Known(clean * kept, kept)
    levels_N = levels_N[: round(strength * decoding.steps)]
    if not len(levels_N):
        found = clean
    else:
        found = denoised(
            guided(clean_of, given, decoding.guidance),
            fresh,
            levels_N,
            scheduler=decoding.scheduler,
            known=known,
        )
    vectors = model.unscaled(found)
    return [row[:count] for row, count in zip(vectors, counts, strict=True)]


def _kept(plans: Sequence[Plan], segments: Segments) -> Tensor:
    """Which segments have all their rows given, (B, S, 1)."""
    kept_BT = kept_rows(plans).to(segments.rows.device)
    places = torch.zeros_like(segments.held).flatten()
    music_BT = segments.rows >= 0
    places[segments.rows[music_BT]] = kept_BT[music_BT]
    kept_N = (places.view_as(segments.held) | ~segments.held).all(dim=1)
    return segments.by_piece(kept_N[:, None])
