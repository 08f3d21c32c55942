"""Voices' piano rolls by a generator and a critic: WGAN-GP (Gulrajani et al. 2017) with binary
neurons at the output (BinaryMuseGAN: Dong & Yang 2018) and a temporal, conditional generator
(MuseGAN: Dong et al. 2018).

The critic maximizes E[critic(real)] − E[critic(made)], less a penalty on gradients whose norm is
not 1; that difference estimates the Wasserstein distance of music and samples. The generator
minimizes it. No likelihood follows from either. Bar lines and the end have an exact distribution of
their own (layers/bar_lines.py); the voices are made given them.
"""

# B batch, N bars of a strip, T steps of its inner bars, V voices, C symbols

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ostinato.models.adversarial.parts.critic import Critic
from ostinato.models.adversarial.parts.generator import BEATS, EDGE, Generator, Latent, Strip
from ostinato.models.adversarial.parts.neurons import KINDS, Kind
from ostinato.models.adversarial.parts.rolls import MARGIN, form_of
from ostinato.models.layers.bar_lines import BarLines
from ostinato.models.spec import ArraySpec


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the family.

    width: of a bar's vector in the generator; beats and steps have two thirds and a half of it.
    critic_width: likewise. latent: Z, of the piece's vector and of each bar's. neurons: of the
    output in training, `deterministic`, `stochastic`, or `none` (probabilities, as in MuseGAN).
    critic_steps: of each step of the generator. critic_lr: of the critic, in multiples of
    optimizer.lr. penalty: weight of the gradient penalty. known: share of the training strips of
    which some cells are given. bar_steps: longest bar that can be made.
    """

    width: int = 192
    critic_width: int = 192
    latent: int = 48
    neurons: str = "deterministic"
    critic_steps: int = 3
    critic_lr: float = 1.0
    penalty: float = 10.0
    known: float = 0.5
    bar_steps: int = 16

    def __post_init__(self) -> None:
        if self.neurons not in KINDS:
            raise ValueError(f"neurons={self.neurons!r} is none of {', '.join(KINDS)}")
        for name in ("width", "critic_width", "latent", "critic_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.width % 6 or self.critic_width % 6:
            raise ValueError(
                f"width={self.width} and critic_width={self.critic_width} must be multiples of 6"
            )
        if self.bar_steps < BEATS or self.bar_steps % BEATS:
            raise ValueError(f"bar_steps={self.bar_steps} must be a multiple of {BEATS}")
        if not 0 <= self.known <= 1:
            raise ValueError(f"known={self.known} must lie in [0, 1]")
        if self.critic_lr <= 0 or self.penalty < 0:
            raise ValueError(
                f"critic_lr={self.critic_lr} must be above 0 and penalty={self.penalty} at least 0"
            )


class Model(nn.Module):
    """A generator, its critic, and what pieces are like as a whole: bar lines and keys.

    shifts: how many training pieces were moved by each number of semitones from -6 on.

    Raises:
        ValueError: an encoding that is not a grid of voices with bar lines.
    """

    shifts: Tensor

    def __init__(self, config: Config, spec: ArraySpec) -> None:
        super().__init__()
        self.config, self.shape = config, spec
        self.form = form_of(spec, config.bar_steps)
        self.generator = Generator(
            self.form,
            latent=config.latent,
            width=config.width,
            neurons=config.neurons,  # type: ignore[arg-type]
        )
        self.critic = Critic(self.form, width=config.critic_width)
        self.bar_lines = BarLines(self.form.structure)
        self.register_buffer("shifts", torch.ones(2 * MARGIN))

    @property
    def hard(self) -> Kind:
        """The neurons of music: without binary ones in training, probabilities above 1/2 fire."""
        return "stochastic" if self.config.neurons == "stochastic" else "deterministic"

    def latent(self, strip: Strip, random: torch.Generator | None = None) -> Latent:
        """Drawn from torch's generator, or from `random`."""
        batch, bars, steps = strip.steps_BNS.shape
        cells = (batch, (bars - 2 * EDGE) * steps, self.form.count, 2)
        device, width = strip.steps_BNS.device, self.config.latent
        return Latent(
            torch.randn(batch, width, generator=random).to(device),
            torch.randn(batch, bars, width, generator=random).to(device),
            torch.rand(cells, generator=random).to(device),
        )
