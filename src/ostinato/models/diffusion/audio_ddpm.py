"""Gaussian diffusion over mel spectrograms (Ho 2020): noise becomes frames, and frames sound.

All bands of some frames are one position of a U-Net over time (parts/unet.py), so that every block
sees whole chords. The network, narrower than its input, need not carry all noise through itself: it
says what the frames are, m, but for a grain of variance s², and Gauss's formula does the rest,
E[x | x_λ, m] = m + K (x_λ - α m) with K = α s² / (α² s² + σ²) (preconditioning, as in Karras 2022,
table 1, around m in place of 0). That is the velocity v = α ε - σ x (Salimans & Ho 2022, appendix
D) of the formula below. Its squared error is weighted by α² s² + σ², so that an error of m costs
the same at every level with more noise than grain.

A frame's distance from the beginning of its piece is part of the input: a sample begins as pieces
do, with an attack out of silence.
"""

# B batch, T frames, W bands, P positions of so many frames, D width, L draws of a validation

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.diffusion.parts import noise
from ostinato.models.diffusion.parts.level import NoiseLevel
from ostinato.models.diffusion.parts.unet import UNet, UNetConfig
from ostinato.models.spec import ArraySpec

DRAWS = 2  # of a validation
FADES = (4.0, 64.0)  # frames over which the beginning of a piece is forgotten


@dataclass(frozen=True, kw_only=True)
class Config(UNetConfig):
    """Settings of the family, besides those of UNetConfig.

    patch: frames in one position of the first level. schedule, shift: see noise.log_snrs.
    diffusion_steps: S, of the process. grain: s, in units of a frame's values.
    """

    patch: int = 4
    widths: tuple[int, ...] = (256, 384)
    depths: tuple[int, ...] = (1, 3)
    dropout: float = 0.0
    schedule: str = "cosine"
    shift: float = 0.0
    diffusion_steps: int = 1000
    grain: float = 0.15

    def __post_init__(self) -> None:
        UNetConfig.__post_init__(self)
        if self.patch < 1:
            raise ValueError(f"patch={self.patch} must be at least 1")
        if not 0 < self.grain <= 1:
            raise ValueError(f"grain={self.grain} must lie in (0, 1]")
        noise.log_snrs(self.schedule, self.diffusion_steps, self.shift)


class Model(nn.Module):
    """The velocity of noisy frames.

    Raises:
        ValueError: an encoding of something else than spectrograms.
    """

    log_snrs_S: Tensor

    def __init__(self, config: Config, spec: ArraySpec) -> None:
        super().__init__()
        if spec.kind != "mel" or not spec.is_real:
            raise ValueError(
                f"it learns on spectrograms, kind mel with real numbers, and this encoding holds "
                f"{spec.kind} of {spec.vocabulary} symbols; take representation mel"
            )
        self.config, self.shape = config, spec
        levels_S = noise.log_snrs(config.schedule, config.diffusion_steps, config.shift)
        self.register_buffer("log_snrs_S", levels_S, persistent=False)
        width = config.widths[0]
        self.level = NoiseLevel(config.level_width)
        self.read = nn.Linear(config.patch * spec.width, width, bias=False)
        self.place = nn.Linear(len(FADES), width)
        self.unet = UNet(config)
        self.write = nn.Linear(width, config.patch * spec.width)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    def forward(
        self, noisy_BTW: Tensor, log_snr_B: Tensor, start_B: Tensor, held_BT: Tensor
    ) -> Tensor:
        """The velocity at x_λ, (B, T, W): σ / (α² s² + σ²) · (α (1 - s²) x_λ - m).

        start: distance of the first frame from the beginning of its piece. held: which frames
        belong to the piece; the others are not seen.
        """
        length, patch = noisy_BTW.shape[1], self.config.patch
        more = -length % patch
        noisy_BTW, held_BT = F.pad(noisy_BTW, (0, 0, 0, more)), F.pad(held_BT, (0, more))
        frames_T = torch.arange(0, length, patch, device=noisy_BTW.device)
        since_BP = (start_B[:, None] + frames_T).float()
        place_BPF = torch.stack([torch.exp(-since_BP / fade) for fade in FADES], dim=-1)
        batch = len(noisy_BTW)
        patches = (noisy_BTW * held_BT[..., None]).reshape(batch, len(frames_T), -1)
        held_BP = held_BT.reshape(batch, -1, patch).any(dim=2)
        x_BPD = self.read(patches) + self.place(place_BPF)
        y_BPD = self.write(self.unet(x_BPD, self.level(log_snr_B), held_BP))
        means_BTW = y_BPD.reshape(batch, length + more, -1)
        grain = self.config.grain**2
        alpha, sigma = noise.signal(log_snr_B, noisy_BTW), noise.spread(log_snr_B, noisy_BTW)
        gain = sigma / (alpha**2 * grain + sigma**2)
        return (gain * (alpha * (1 - grain) * noisy_BTW - means_BTW))[:, :length]

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The sum of the weighted errors of a batch, at levels spread evenly over its rows."""
        rows = len(batch["frames"])
        shares_B = (torch.randperm(rows) + torch.rand(rows)) / rows
        noise_BTW = torch.randn(batch["frames"].shape)
        return self._errors(batch, shares_B, noise_BTW).sum()

    def validate(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weighted errors as `nats`, and as `target` which of them count.

        Levels and noise are the same every time. Both have the shape (L B, T, W).
        """
        frames_BTW = batch["frames"]
        rows, generator = len(frames_BTW), torch.Generator().manual_seed(0)
        found = []
        for draw in range(DRAWS):
            shares_B = ((torch.arange(rows) * DRAWS + draw) % (rows * DRAWS) + 0.5) / (rows * DRAWS)
            noise_BTW = torch.randn(frames_BTW.shape, generator=generator)
            found.append(self._errors(batch, shares_B, noise_BTW))
        held = batch["held"][..., None].expand(frames_BTW.shape)
        return {"nats": torch.cat(found), "target": held.repeat(DRAWS, 1, 1)}

    def _errors(self, batch: dict[str, Tensor], shares_B: Tensor, noise_BTW: Tensor) -> Tensor:
        """Weighted squared errors, 0 after ends; shares: of the process, from 0 to 1."""
        clean, held = batch["frames"], batch["held"]
        noise_BTW = noise_BTW.to(clean.device)
        steps_B = (shares_B * len(self.log_snrs_S)).long().to(clean.device)
        log_snr_B = self.log_snrs_S[steps_B].float()
        noisy = noise.noised(clean, noise_BTW, log_snr_B)
        wanted = noise.target_of("velocity", clean, noise_BTW, log_snr_B)
        outputs = self(noisy, log_snr_B, batch["start"], held)
        alpha, sigma = noise.signal(log_snr_B, clean), noise.spread(log_snr_B, clean)
        weight = alpha**2 * self.config.grain**2 + sigma**2
        return weight * (outputs - wanted).square() * held[..., None]
