"""The sampler of diffusion over piano rolls: from noise, around kept cells, from noised pieces."""

# B batch, T positions, W columns, V voices, S symbols of a voice

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from ostinato.models.diffusion.ddpm import CELLS, Model
from ostinato.models.diffusion.parts.bars import Frame
from ostinato.models.spec import PAD, Given
from ostinato.representations.protocol import Representation, Tokens
from ostinato.sampling.diffusion.canvas import Canvas, canvas_of
from ostinato.sampling.diffusion.decoding import Decoding
from ostinato.sampling.diffusion.schedulers import Known, check_steps, denoised, levels_of
from ostinato.sampling.request import Capabilities, Continue, Fill, Unconditional, Vary
from ostinato.sampling.sampler import Job, Made, Session
from ostinato.settings import checked

BATCH = 16


class Rolls:
    """Makes all steps and voices of a piece at once; keeps any cells, and makes the others."""

    tasks = (Unconditional.name, Continue.name, Fill.name, Vary.name)

    def __init__(self, model: Model, representation: Representation) -> None:
        self.model, self.representation = model, representation

    def capabilities(self) -> Capabilities:
        """All options of Decoding."""
        return Capabilities(
            tasks=self.tasks,
            conditions=self.model.conditions,
            options=asdict(Decoding()),
            roles=tuple(getattr(self.representation, "voices", ())),
        )

    def session(self, job: Job) -> Session:
        """There are none: all steps are made at once.

        Raises:
            ValueError: always.
        """
        raise ValueError("diffusion makes whole pieces, not bar by bar: sample them")

    def sample(self, jobs: Sequence[Job]) -> list[Made]:
        """Neighbouring jobs with the same options and strength share batches.

        Raises:
            ValueError: options that this model cannot follow.
        """
        decodings = [self._decoding(job) for job in jobs]
        randoms = [np.random.default_rng(job.seed) for job in jobs]
        canvases = [
            canvas_of(job, self.model, self.representation, random)
            for job, random in zip(jobs, randoms, strict=True)
        ]
        alike = zip(decodings, canvases, jobs, strict=True)
        made: list[Made] = []
        for (decoding, _), group in groupby(alike, key=lambda one: (one[0], one[1].strength)):
            part = list(group)
            for start in range(0, len(part), BATCH):
                batch = part[start : start + BATCH]
                made += self._batch([(canvas, job) for _, canvas, job in batch], decoding)
        return made

    def _batch(self, batch: Sequence[tuple[Canvas, Job]], decoding: Decoding) -> list[Made]:
        canvases = [canvas for canvas, _ in batch]
        seeds = [job.seed for _, job in batch]
        made = fill(self.model, canvases, seeds, decoding, self._given([job for _, job in batch]))
        return [Made(rows, ended=canvas.ended) for rows, canvas in zip(made, canvases, strict=True)]

    def _given(self, jobs: Sequence[Job]) -> Given | None:
        """The conditions of the jobs; None for a model without any."""
        if not self.model.conditions:
            return None
        able = self.capabilities()
        codes_BC = torch.tensor([able.codes(job.request.conditions) for job in jobs])
        return Given(codes_BC.to(self.model.columns_V.device))

    def _decoding(self, job: Job) -> Decoding:
        decoding = checked(Decoding, "sampling", job.request.options)
        check_steps(decoding.scheduler, decoding.steps, len(self.model.log_snrs_S))
        if decoding.guidance != 1 and not self.model.conditions:
            raise ValueError(
                f"guidance={decoding.guidance} needs a model with conditions, and this one was "
                "trained without (model.conditions=[]): leave guidance out, or train with "
                "model.conditions=[density] or other conditions of the encoding"
            )
        if decoding.sharpness != 1 and self.model.config.prediction != CELLS:
            raise ValueError(
                f"sharpness={decoding.sharpness} needs a model with prediction=cells, this one "
                f"has prediction={self.model.config.prediction}: leave sharpness out"
            )
        return decoding


@torch.inference_mode()
def fill(
    model: Model,
    canvases: Sequence[Canvas],
    seeds: Sequence[int],
    decoding: Decoding,
    given: Given | None = None,
) -> list[Tokens]:
    """The rows of canvases of one strength with their free cells made; all others stay."""
    model.eval()
    device = model.columns_V.device
    lengths = [len(canvas.rows) for canvas in canvases]
    rows_BTW = torch.full((len(lengths), max(lengths), canvases[0].rows.shape[1]), PAD)
    free_BTW = torch.zeros(rows_BTW.shape, dtype=torch.bool)
    for number, canvas in enumerate(canvases):
        rows_BTW[number, : lengths[number]] = torch.from_numpy(canvas.rows.astype(np.int64))
        free_BTW[number, : lengths[number]] = torch.from_numpy(canvas.free)
    rows_BTW = rows_BTW.to(device)
    frame = model.frame(rows_BTW, torch.zeros(len(lengths), dtype=torch.long, device=device), given)
    made_BTV = free_BTW[..., model.columns_V.cpu()].to(device) & frame.free_BTV
    known = _known(model, rows_BTW, made_BTV, canvases[0].strength)
    generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]
    levels_N = levels_of(model.log_snrs_S, decoding.steps)
    shape = (len(model.columns_V), model.symbols)
    for count in decoding.counts(canvases[0].strength):
        rolls_BTVS = denoised(
            lambda noisy, level_B: _clean(model, noisy, level_B, frame, decoding),
            lambda: _noise(generators, lengths, shape).to(device),
            levels_N[:count],
            scheduler=decoding.scheduler,
            known=known,
            resample=decoding.resample,
        )
        cells_BTV, _ = model.voices(rows_BTW)
        cells_BTV = torch.where(made_BTV, model.cells(rolls_BTVS), cells_BTV)
        rows_BTW = rows_BTW.index_copy(2, model.columns_V, cells_BTV)
        known = Known(model.rolls(rows_BTW), ~made_BTV[..., None])
    return [
        row_TW[:length].astype(np.int32)
        for row_TW, length in zip(rows_BTW.cpu().numpy(), lengths, strict=True)
    ]


def _known(model: Model, rows_BTW: Tensor, made_BTV: Tensor, strength: float) -> Known | None:
    """What is kept of rows; where less than all noise is added, what is not kept begins there."""
    kept_BTV1 = ~made_BTV[..., None]
    if strength < 1:
        return Known(model.rolls(rows_BTW), kept_BTV1)
    _, free_BTV = model.voices(rows_BTW)
    if bool((made_BTV == free_BTV).all()):
        return None
    return Known(model.rolls(rows_BTW) * kept_BTV1, kept_BTV1)


def _noise(
    generators: Sequence[torch.Generator], lengths: Sequence[int], shape: tuple[int, ...]
) -> Tensor:
    """Standard normal rolls; those of a piece do not depend on the others."""
    drawn = [
        torch.randn(length, *shape, generator=generator)
        for generator, length in zip(generators, lengths, strict=True)
    ]
    return torch.nn.utils.rnn.pad_sequence(drawn, batch_first=True)


def _clean(
    model: Model, noisy_BTVS: Tensor, level_B: Tensor, frame: Frame, decoding: Decoding
) -> Tensor:
    """The expected rolls, with guidance x̂ = x̂(nothing) + w (x̂(conditions) - x̂(nothing))."""
    clean = model.clean(noisy_BTVS, level_B, frame, decoding.sharpness)
    if decoding.guidance == 1:
        return clean
    without = model.clean(noisy_BTVS, level_B, frame._replace(given=None), decoding.sharpness)
    return without + decoding.guidance * (clean - without)
