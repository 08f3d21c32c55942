"""The sampler of diffusion over spectrograms: frames from noise, which become sound."""

# B batch, T frames, W bands

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ostinato.models.diffusion.parts.noise import clean_of
from ostinato.sampling.diffusion.decoding import FEWER, check_steps
from ostinato.sampling.diffusion.schedulers import denoised, levels_of
from ostinato.sampling.grids.whole import Whole
from ostinato.sampling.sampler import Job, Made

LONGEST = 600  # seconds; more would fill the memory
MISSING = "a spectrogram has no notes or bars to keep"


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """seconds: length of a sample; bars do not count here. steps: of `scheduler`, one pass of the
    model each.
    """

    seconds: float = 8.192
    steps: int = 50
    scheduler: str = "dpm"

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= LONGEST:
            raise ValueError(f"seconds={self.seconds} must be above 0 and at most {LONGEST}")
        check_steps(self.scheduler, self.steps)


class Sounds(Whole[Decoding]):
    """Makes sounds from nothing."""

    tasks = FEWER["audio_ddpm"]
    missing = dict.fromkeys(("continue", "fill", "interpolate", "vary"), MISSING)
    session_error = "spectrograms are made whole, not bar by bar: sample them"
    decoding = Decoding

    def _batch(self, jobs: Sequence[Job], decoding: Decoding) -> list[Made]:
        check_steps(decoding.scheduler, decoding.steps, len(self.model.log_snrs_S))
        model, device = self.model.eval(), self.model.log_snrs_S.device
        length = max(1, round(decoding.seconds * self.representation.rate))
        shape = (length, model.shape.width)
        generators = [torch.Generator().manual_seed(job.seed) for job in jobs]
        start_B = torch.zeros(len(jobs), dtype=torch.long, device=device)
        held_BT = torch.ones(len(jobs), length, dtype=torch.bool, device=device)

        def predict(noisy_BTW: Tensor, log_snr_B: Tensor) -> Tensor:
            output = model(noisy_BTW, log_snr_B, start_B, held_BT)
            return clean_of("velocity", output, noisy_BTW, log_snr_B)

        frames_BTW = denoised(
            predict,
            lambda: torch.stack([torch.randn(shape, generator=g) for g in generators]).to(device),
            levels_of(model.log_snrs_S, decoding.steps),
            scheduler=decoding.scheduler,
        )
        arrays = frames_BTW.cpu().numpy().astype(np.float16)
        return [Made(array, ended=False) for array in arrays]
