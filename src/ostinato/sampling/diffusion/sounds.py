"""The sampler of diffusion over spectrograms: frames from noise, which become sound."""

# B batch, T frames, W bands

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ostinato.models.diffusion.parts.noise import clean_of
from ostinato.sampling.diffusion.decoding import FEWER, FEWER_BECAUSE, SoundDecoding, check_steps
from ostinato.sampling.diffusion.schedulers import denoised, levels_of
from ostinato.sampling.grids.whole import Whole
from ostinato.sampling.sampler import Job, Made


class Sounds(Whole[SoundDecoding]):
    """Makes sounds from nothing."""

    tasks = FEWER["audio_ddpm"]
    missing = FEWER_BECAUSE["audio_ddpm"]
    session_error = "spectrograms are made whole, not bar by bar: sample them"
    decoding = SoundDecoding

    def _batch(self, jobs: Sequence[Job], decoding: SoundDecoding) -> list[Made]:
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
