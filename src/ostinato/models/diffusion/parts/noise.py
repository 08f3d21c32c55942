"""Gaussian noise of known strength, and the three things a network can predict of it.

x_λ = α x + σ ε with α² = sigmoid(λ), σ² = sigmoid(-λ): the marginal of the forward process at the
log signal-to-noise ratio λ, whatever the steps between (Ho 2020, eq. 4; Kingma 2021, eq. 1 to 3).
"""

# B batch, S steps of the process; values have any shape (B, …)

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

PREDICTIONS = ("noise", "velocity", "clean")
OFFSET = 0.008  # of the cosine schedule
LEAST = 1e-8  # of ᾱ, so that λ is finite
LOWEST, HIGHEST = -7.0, 5.0  # λ of the log-linear schedule


def _linear(steps: int) -> Tensor:
    """β from 1e-4 to 0.02 for 1,000 steps, as noisy at the end for others (Ho 2020, section 4)."""
    scale = 1000 / steps
    betas_S = torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64)
    return torch.logit((1 - betas_S.clamp(max=0.999)).cumprod(dim=0).clamp(LEAST, 1 - LEAST))


def _cosine(steps: int) -> Tensor:
    """ᾱ = cos²(π/2 · (t + s) / (1 + s)) (Nichol & Dhariwal 2021, eq. 17)."""
    times_S = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    angles_S = (times_S + OFFSET) / (1 + OFFSET) * math.pi / 2
    start = math.cos(OFFSET / (1 + OFFSET) * math.pi / 2) ** 2
    return torch.logit((angles_S.cos() ** 2 / start).clamp(LEAST, 1 - LEAST))


def _log_linear(steps: int) -> Tensor:
    """λ falls evenly: as many steps for each halving of the signal (Kingma 2021, appendix H)."""
    return torch.linspace(HIGHEST, LOWEST, steps, dtype=torch.float64)


SCHEDULES: dict[str, Callable[[int], Tensor]] = {
    "linear": _linear,
    "cosine": _cosine,
    "log_linear": _log_linear,
}


def log_snrs(schedule: str, steps: int, shift: float = 0.0) -> Tensor:
    """λ of every step, falling, (S,), 64 bits.

    shift: added to λ; negative: noisier throughout, for data whose values repeat each other
    (Hoogeboom 2023, eq. 3; Chen 2023).

    Raises:
        ValueError: an unknown schedule, naming the known, or fewer than two steps.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule={schedule!r} is none of {', '.join(SCHEDULES)}")
    if steps < 2:
        raise ValueError(f"diffusion_steps={steps} must be at least 2")
    return SCHEDULES[schedule](steps) + shift


def betas(log_snrs_S: Tensor) -> Tensor:
    """β of every step, the variance of q(x_s | x_{s-1}), (S,), 64 bits.

    The schedulers of diffusers take them as `trained_betas`.
    """
    kept_S = torch.sigmoid(log_snrs_S.double())
    return 1 - kept_S / F.pad(kept_S[:-1], (1, 0), value=1.0)


def signal(log_snr_B: Tensor, like: Tensor) -> Tensor:
    """α, shaped to multiply `like`, (B, …)."""
    return torch.sigmoid(log_snr_B).sqrt().view(-1, *[1] * (like.ndim - 1)).to(like.dtype)


def spread(log_snr_B: Tensor, like: Tensor) -> Tensor:
    """σ, shaped to multiply `like`, (B, …)."""
    return signal(-log_snr_B, like)


def noised(clean: Tensor, noise: Tensor, log_snr_B: Tensor) -> Tensor:
    """α x + σ ε."""
    return signal(log_snr_B, clean) * clean + spread(log_snr_B, clean) * noise


def target_of(prediction: str, clean: Tensor, noise: Tensor, log_snr_B: Tensor) -> Tensor:
    """What a network is to predict: ε, the velocity v = α ε - σ x (Salimans & Ho 2022, eq. 11), or
    x itself.
    """
    if prediction == "noise":
        return noise
    if prediction == "velocity":
        return signal(log_snr_B, clean) * noise - spread(log_snr_B, clean) * clean
    return clean


def clean_of(prediction: str, output: Tensor, noisy: Tensor, log_snr_B: Tensor) -> Tensor:
    """The x that a prediction at x_λ stands for: (x_λ - σ ε) / α, or α x_λ - σ v."""
    if prediction == "noise":
        return (noisy - spread(log_snr_B, noisy) * output) / signal(log_snr_B, noisy)
    if prediction == "velocity":
        return signal(log_snr_B, noisy) * noisy - spread(log_snr_B, noisy) * output
    return output


def noise_of(clean: Tensor, noisy: Tensor, log_snr_B: Tensor) -> Tensor:
    """ε = (x_λ - α x) / σ."""
    return (noisy - signal(log_snr_B, noisy) * clean) / spread(log_snr_B, noisy)


def evidence(noisy: Tensor, log_snr_B: Tensor) -> Tensor:
    """Of each entry k of a one-hot x, what x_λ says: log N(x_λ; α e_k, σ²) = α x_λ,k / σ² + c."""
    return noisy * signal(log_snr_B, noisy) / spread(log_snr_B, noisy) ** 2


def check_prediction(prediction: str) -> None:
    """Raise ValueError for an unknown prediction, naming the known."""
    if prediction not in PREDICTIONS:
        raise ValueError(f"prediction={prediction!r} is none of {', '.join(PREDICTIONS)}")
