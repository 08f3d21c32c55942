"""The sampler of diffusion over piano rolls: from noise, around kept cells, from noised pieces."""

# B batch, T positions, W columns, V voices, S symbols of a voice

from collections.abc import Sequence

import torch
from torch import Tensor

from ostinato.models.diffusion.ddpm import CELLS, Model
from ostinato.models.spec import PAD, Given
from ostinato.representations.protocol import Tokens
from ostinato.sampling.diffusion.decoding import TASKS, Decoding, check_guidance, check_steps
from ostinato.sampling.diffusion.guidance import guided
from ostinato.sampling.diffusion.schedulers import Known, denoised, levels_of
from ostinato.sampling.grids.opening import Canvas, Random, canvas_of
from ostinato.sampling.grids.whole import Batch, Whole, stacked, trimmed
from ostinato.sampling.sampler import Job


class Rolls(Whole[Decoding]):
    """Makes all steps and voices of a piece at once; keeps any cells, and makes the others."""

    tasks = TASKS
    session_error = "diffusion makes whole pieces, not bar by bar: sample them"
    decoding = Decoding

    def _plan(self, job: Job, random: Random) -> Canvas:
        return canvas_of(job, self.model.bar_lines, self.representation, random)

    def _draw(self, batch: Batch, decoding: Decoding) -> list[Tokens]:
        seeds = [job.seed for job in batch.jobs]
        return fill(self.model, batch.plans, seeds, decoding, self._given(batch.jobs))

    def _decoding(self, job: Job) -> Decoding:
        decoding = super()._decoding(job)
        check_steps(decoding.scheduler, decoding.steps, len(self.model.log_snrs_S))
        check_guidance(decoding.guidance, self.model.conditions)
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
    rows_BTW = torch.from_numpy(stacked([canvas.rows for canvas in canvases], PAD)).to(device)
    free_BTW = torch.from_numpy(stacked([canvas.free for canvas in canvases], 0)).bool()
    frame = model.frame(rows_BTW, torch.zeros(len(lengths), dtype=torch.long, device=device))
    made_BTV = free_BTW[..., model.columns_V.cpu()].to(device) & frame.free_BTV
    known = _known(model, rows_BTW, made_BTV, canvases[0].strength)
    generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]
    levels_N = levels_of(model.log_snrs_S, decoding.steps)
    shape = (len(model.columns_V), model.symbols)

    def clean(noisy_BTVS: Tensor, level_B: Tensor, given: Given | None) -> Tensor:
        known = frame._replace(given=given)
        return model.clean(noisy_BTVS, level_B, known, decoding.sharpness)

    for count in decoding.counts(canvases[0].strength):
        rolls_BTVS = denoised(
            guided(clean, given, decoding.guidance),
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
    return trimmed(rows_BTW.cpu().numpy(), [canvas.rows for canvas in canvases])


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
