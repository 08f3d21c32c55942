"""Gaussians with independent dimensions, and what a variational bound needs of them."""

# N segments, Z dimensions

import math
from typing import NamedTuple

import torch
from torch import Tensor

LOWEST, HIGHEST = -6.0, 3.0  # of the logarithm of a standard deviation


class Gaussian(NamedTuple):
    """Means and logarithms of standard deviations, (…, Z) each."""

    mean: Tensor
    log_std: Tensor

    @classmethod
    def of(cls, values: Tensor) -> "Gaussian":
        """From the output of a layer, (…, 2 Z)."""
        mean, log_std = values.float().chunk(2, dim=-1)
        return cls(mean, log_std.clamp(LOWEST, HIGHEST))

    def sample(self, noise: Tensor | None = None) -> Tensor:
        """The mean plus std · noise (Kingma & Welling 2014, section 2.4); None: noise of torch."""
        noise = torch.randn_like(self.mean) if noise is None else noise
        return self.mean + self.log_std.exp() * noise

    def log_density(self, z: Tensor) -> Tensor:
        """Logarithm of N(z; mean, std²), summed over dimensions, (…)."""
        scaled = (z - self.mean) / self.log_std.exp()
        return -(0.5 * scaled**2 + self.log_std + 0.5 * math.log(2 * math.pi)).sum(dim=-1)

    def kl(self, other: "Gaussian") -> Tensor:
        """KL(self ‖ other) in nats of every dimension, (…, Z)."""
        ratio = (2 * (self.log_std - other.log_std)).exp()
        apart = ((self.mean - other.mean) / other.log_std.exp()) ** 2
        return 0.5 * (ratio + apart - 1) + other.log_std - self.log_std
