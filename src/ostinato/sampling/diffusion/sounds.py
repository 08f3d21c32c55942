"""The sampler of diffusion over spectrograms: frames from noise, which become sound."""

# B batch, T frames, W bands

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from ostinato.models.diffusion.audio_ddpm import Model
from ostinato.models.diffusion.parts.noise import clean_of
from ostinato.representations.protocol import Sounding
from ostinato.sampling.diffusion.schedulers import check_steps, denoised, levels_of
from ostinato.sampling.request import Capabilities, Unconditional
from ostinato.sampling.sampler import Job, Made, Session
from ostinato.settings import checked

BATCH = 16
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
        if not self.seconds > 0:
            raise ValueError(f"seconds={self.seconds} must be above 0")
        check_steps(self.scheduler, self.steps)


class Sounds:
    """Makes sounds from nothing."""

    tasks = (Unconditional.name,)

    def __init__(self, model: Model, representation: Sounding) -> None:
        self.model, self.representation = model, representation

    def capabilities(self) -> Capabilities:
        """All options of Decoding."""
        missing = dict.fromkeys(("continue", "fill", "interpolate", "vary"), MISSING)
        return Capabilities(tasks=self.tasks, missing=missing, options=asdict(Decoding()))

    def session(self, job: Job) -> Session:
        """There are none: all frames are made at once.

        Raises:
            ValueError: always.
        """
        raise ValueError("spectrograms are made whole, not bar by bar: sample them")

    def sample(self, jobs: Sequence[Job]) -> list[Made]:
        """Neighbouring jobs with the same options share batches."""
        made: list[Made] = []
        for decoding, group in groupby(jobs, key=_decoding):
            part = list(group)
            for start in range(0, len(part), BATCH):
                made += self._batch(part[start : start + BATCH], decoding)
        return made

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


def _decoding(job: Job) -> Decoding:
    return checked(Decoding, "sampling", job.request.options)
