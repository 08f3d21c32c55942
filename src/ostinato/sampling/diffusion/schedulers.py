"""From noise to data by diffusers' schedulers, over noise levels of a model's own process.

A scheduler gets a process of as many steps as it is to take, whose levels are chosen evenly from
the model's. Asked for fewer steps than its process has, diffusers (0.42) assumes that they divide
evenly (`timestep - S // steps`), and otherwise believes a sample to be at another level than it is.
"""

# B batch, S steps of the process, N steps to take; values have any shape (B, …)

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ostinato.models.diffusion.parts import noise

LARGEST = 1 - 2**-24  # of β: diffusers has it in 32 bits, and with 1 nothing is left of a sample
Predict = Callable[[Tensor, Tensor], Tensor]


class Known(NamedTuple):
    """Values that a sample begins with, (B, …); where `kept` is true they stay."""

    clean: Tensor
    kept: Tensor | None = None


def levels_of(log_snrs_S: Tensor, steps: int) -> Tensor:
    """So many of the process's λ, evenly spaced, the noisiest included; (N,), least noisy first."""
    numbers_N = torch.arange(1, steps + 1, dtype=torch.float64) * len(log_snrs_S) / steps
    return log_snrs_S.cpu()[numbers_N.round().long() - 1]


def scheduler_of(name: str, levels_N: Tensor) -> Any:
    """Of diffusers, over all of these levels, for predictions of the clean values.

    ddim: Song 2021; with eta=1 it is ddpm, the ancestral sampler of Ho 2020 with its smaller
    variance. dpm: DPM-Solver++ (2M; Lu 2022).
    """
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    given: dict[str, Any] = {
        "num_train_timesteps": len(levels_N),
        "trained_betas": noise.betas(levels_N).clamp(max=LARGEST).tolist(),
        "prediction_type": "sample",
        "timestep_spacing": "trailing",
    }
    if name == "dpm":
        scheduler = DPMSolverMultistepScheduler(**given, final_sigmas_type="zero")
    else:
        scheduler = DDIMScheduler(**given, clip_sample=False, set_alpha_to_one=True)
    scheduler.set_timesteps(len(levels_N))
    return scheduler


@torch.inference_mode()
def denoised(
    predict: Predict,
    draw: Callable[[], Tensor],
    levels_N: Tensor,
    *,
    scheduler: str,
    known: Known | None = None,
    resample: int = 1,
) -> Tensor:
    """What becomes of noise, from the last of these levels to none.

    Args:
        predict: the clean values of x_λ and λ, (B,). draw: standard normal noise for all pieces.
        known: begins with these values, noised, and keeps some: their truth takes the place of what
            is predicted, so every step is a step of the forward process of theirs.
        resample: how often each step is taken, with noise added again between, so that what is
            made agrees with what is kept (RePaint: Lugmayr 2022, algorithm 1); not with dpm.
    """
    chosen = scheduler_of(scheduler, levels_N)
    ddpm = scheduler == "ddpm"
    x = draw()
    if known is not None:
        x = noise.noised(known.clean, x, _same(levels_N[-1], x))
    for step in chosen.timesteps.tolist():
        for turn in range(resample):
            clean = predict(x, _same(levels_N[step], x))
            if known is not None and known.kept is not None:
                clean = torch.where(known.kept, known.clean, clean)
            more = {"eta": 1.0, "variance_noise": draw()} if ddpm else {}
            after = chosen.step(clean, step, x, **more).prev_sample
            if turn + 1 < resample and step:
                # λ of one step of noise from the level before to this one
                kept = levels_N[step].sigmoid() / levels_N[step - 1].sigmoid()
                x = noise.noised(after, draw(), _same(torch.logit(kept), x))
            else:
                x = after
                break
    return x


def _same(level: Tensor, like: Tensor) -> Tensor:
    return level.float().to(like.device).expand(len(like))
