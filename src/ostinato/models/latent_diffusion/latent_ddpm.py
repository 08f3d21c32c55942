"""Gaussian diffusion over the vectors of a vae, one for every beat (Vahdat 2021; Rombach 2022).

A trained vae turns every beat into a vector, and a vector into a beat; it stays as it is. In place
of its prior, which goes from beat to beat, a U-Net over beats learns the vectors of a whole piece:

    p(x | bar lines) = ∫ p(z) Π_s p(x_s | z_s, x_<s) dz

Vectors are shifted and scaled to mean 0 and variance 1 over the training pieces. The network
predicts the velocity v = α ε - σ u of a noisy vector α u + σ ε (Salimans & Ho 2022, eq. 11). It may
know conditions of the piece, which are hidden in a share of training, so that it can be guided.
"""

# B batch, S segments of a piece, N segments of the batch, Z dimensions, D width, C level's width

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.models.diffusion.parts import noise
from ostinato.models.diffusion.parts.bars import aligned
from ostinato.models.diffusion.parts.level import NoiseLevel
from ostinato.models.diffusion.parts.unet import UNet, UNetConfig
from ostinato.models.latent_diffusion.parts.bound import bound_of
from ostinato.models.layers.conditions import ConditionInput
from ostinato.models.spec import ArraySpec, ConditionSpec, Given
from ostinato.models.variational import vae
from ostinato.models.variational.parts.segments import FAR, Segments
from ostinato.settings import checked

DRAWS = 2  # of a validation
PREDICTION = "velocity"


@dataclass(frozen=True, kw_only=True)
class Config(UNetConfig):
    """Settings of the family, besides those of UNetConfig.

    vae: all settings of the vae whose vectors these are. autoencoder: its folder, which only a
    training reads. schedule, shift: see noise.log_snrs. diffusion_steps: of the process.
    conditions, condition_dropout: as in GridConfig.
    """

    vae: Mapping[str, Any]
    autoencoder: str = "models/vae"
    schedule: str = "cosine"
    shift: float = 0.0
    diffusion_steps: int = 1000
    conditions: tuple[str, ...] = ()
    condition_dropout: float = 0.1

    def __post_init__(self) -> None:
        UNetConfig.__post_init__(self)
        noise.log_snrs(self.schedule, self.diffusion_steps, self.shift)
        checked(vae.Config, "model.vae", self.vae)


class Model(nn.Module):
    """The vectors of whole pieces, given their bar lines; and the vae, which does not learn.

    Raises:
        ValueError: an encoding that is not a grid with a column for each voice, or that lacks one
            of the conditions.
    """

    log_snrs_S: Tensor
    shift_Z: Tensor
    scale_Z: Tensor

    def __init__(self, config: Config, spec: ArraySpec) -> None:
        super().__init__()
        self.config, self.shape = config, spec
        self.vae = vae.Model(checked(vae.Config, "model.vae", config.vae), spec)
        self.vae.requires_grad_(False)
        levels_S = noise.log_snrs(config.schedule, config.diffusion_steps, config.shift)
        self.register_buffer("log_snrs_S", levels_S, persistent=False)
        latent, width = self.vae.config.latent, config.widths[0]
        self.register_buffer("shift_Z", torch.zeros(latent))
        self.register_buffer("scale_Z", torch.ones(latent))
        self.level = NoiseLevel(config.level_width)
        names, dropout = config.conditions, config.condition_dropout
        self.conditioning = (
            ConditionInput(names, spec.conditions, config.level_width, dropout) if names else None
        )
        self.read = nn.Linear(latent, width)
        self.length = nn.Embedding(self.vae.config.span + 1, width)
        self.counts = nn.ModuleList(nn.Embedding(FAR + 1, width) for _ in vae.COUNTS)
        self.unet = UNet(config)
        self.write = nn.Linear(width, latent)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)
        for table in (self.length, *self.counts):
            nn.init.normal_(table.weight, std=0.1)

    def train(self, mode: bool = True) -> "Model":
        """The vae stays in evaluation mode."""
        super().train(mode)
        self.vae.eval()
        return self

    @property
    def conditions(self) -> tuple[ConditionSpec, ...]:
        """Those that the model uses."""
        return self.conditioning.specs if self.conditioning else ()

    def scaled(self, z_NZ: Tensor) -> Tensor:
        """Vectors of the vae in units of the diffusion."""
        return (z_NZ - self.shift_Z) / self.scale_Z

    def unscaled(self, u_NZ: Tensor) -> Tensor:
        """The inverse of `scaled`."""
        return u_NZ * self.scale_Z + self.shift_Z

    def velocity(
        self,
        noisy_BSZ: Tensor,
        log_snr_B: Tensor,
        segments: Segments,
        given: Given | None = None,
    ) -> Tensor:
        """What the network predicts of the noisy vectors of pieces, (B, S, Z)."""
        tables = zip(self.counts, vae.COUNTS, strict=True)
        clocks_ND = sum(table(getattr(segments, name)) for table, name in tables)
        clocks_BSD = segments.by_piece(clocks_ND + self.length(segments.length))
        held_BS = segments.by_piece(torch.ones_like(clocks_ND[:, :1]))[..., 0] > 0
        x_BSD = self.read(noisy_BSZ) + clocks_BSD
        level_BC = self.level(log_snr_B)
        if self.conditioning is not None:
            codes = given.codes_BC if given else None
            known = self.conditioning.not_given(len(x_BSD)) if codes is None else codes
            level_BC = level_BC + self.conditioning(known)
        out_BSZ: Tensor = self.write(self.unet(x_BSD, level_BC, held_BS))
        return out_BSZ * held_BS[..., None]

    def clean(
        self,
        noisy_BSZ: Tensor,
        log_snr_B: Tensor,
        segments: Segments,
        given: Given | None = None,
    ) -> Tensor:
        """The expected vectors, (B, S, Z)."""
        velocity = self.velocity(noisy_BSZ, log_snr_B, segments, given)
        return noise.clean_of(PREDICTION, velocity, noisy_BSZ, log_snr_B)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Squared errors of the velocity, at levels spread evenly over the batch; the sum."""
        structure = self.vae.structure
        rows_BTW, start_B = aligned(batch["targets"], batch["start"], structure)
        with torch.no_grad():
            segments = self.vae.segments(rows_BTW, start_B)
            codes_ND = self.vae.encoder(segments.cells, segments.before)
            z_NZ = self.vae.posterior(codes_ND, self.vae.alone(segments)).sample()
        clean = segments.by_piece(self.scaled(z_NZ))
        size = len(clean)
        spread_B = (torch.randperm(size) + torch.rand(size)) / size
        steps_B = (spread_B * len(self.log_snrs_S)).long().clamp(max=len(self.log_snrs_S) - 1)
        level_B = self.log_snrs_S[steps_B.to(clean.device)].float()
        fresh = torch.randn(clean.shape).to(clean)
        given = Given(self.conditioning.pick(batch["conditions"])) if self.conditioning else None
        out = self.velocity(noise.noised(clean, fresh, level_B), level_B, segments, given)
        wanted = noise.target_of(PREDICTION, clean, fresh, level_B)
        return segments.of_pieces(out - wanted).float().square().sum()

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The bound of whole pieces without conditions, so that it compares with other models'."""
        rows_BTW, _ = batch
        return {"nats": bound_of(self, rows_BTW, draws=DRAWS), "target": rows_BTW}
