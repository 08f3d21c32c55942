"""The noise level as a vector, for networks that must know how noisy their input is."""

# B batch, D width, F frequencies

import math

import torch
from torch import Tensor, nn

FREQUENCIES = 32
FINEST, COARSEST = 0.5, 30.0  # wavelengths in units of λ


class NoiseLevel(nn.Module):
    """Sines and cosines of λ at geometric wavelengths, then a perceptron of two layers.

    After the timestep embedding of Ho 2020, with λ itself in place of a step's number, so that a
    model knows the same level under any schedule.
    """

    angular_F: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        lengths_F = torch.logspace(math.log10(FINEST), math.log10(COARSEST), FREQUENCIES)
        self.register_buffer("angular_F", 2 * math.pi / lengths_F, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, log_snr_B: Tensor) -> Tensor:
        """Shape (B, D)."""
        angles_BF = log_snr_B.float()[:, None] * self.angular_F
        vectors: Tensor = self.layers(torch.cat([angles_BF.sin(), angles_BF.cos()], dim=1))
        return vectors
