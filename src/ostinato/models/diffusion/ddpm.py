"""Gaussian diffusion over piano rolls of voices, with a U-Net over time (Ho 2020).

A grid becomes one roll for each voice, in which one key of each step is 1 (parts/rolls.py). Noise
is added to the rolls, and the network tells from a noisy roll what the clean one was. It may
predict the noise, the velocity or the roll itself and learn by squared errors; or it predicts
`cells`: the probability of each key, learned by cross-entropy. Their mean is the expected roll,
which the other three also stand for (Dieleman 2022, section 3). To the logits of the keys is added
what the noisy values of the cell itself say, log N(z; α e_k, σ²) = α z_k / σ² + constant, so that
the network need only learn what the other cells say (Gulrajani & Hashimoto 2023, section 3).

Bar lines and the end have an exact distribution of their own (layers/bar_lines.py); voices are made
given them. The variational bound in continuous time (Kingma 2021, eq. 15 to 18) is one of the nats
of the cells themselves: parts/bound.py.
"""

# B batch, T positions, W columns, V voices, S symbols of a voice, D width, C level's width

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.diffusion.parts import noise
from ostinato.models.diffusion.parts.bars import NEAR, Frame, aligned, distances
from ostinato.models.diffusion.parts.bound import bound_of
from ostinato.models.diffusion.parts.intervals import Intervals
from ostinato.models.diffusion.parts.level import NoiseLevel
from ostinato.models.diffusion.parts.nearby import Nearby
from ostinato.models.diffusion.parts.rolls import cells_of, rolls_of
from ostinato.models.diffusion.parts.unet import UNet, UNetConfig
from ostinato.models.grids.parts.voices import GridConfig, GridModel
from ostinato.models.spec import ArraySpec, Given

CELLS = "cells"
DRAWS = 4  # of a validation


@dataclass(frozen=True, kw_only=True)
class Config(GridConfig, UNetConfig):
    """Settings of the family, besides those of GridConfig and UNetConfig.

    schedule, shift: see noise.log_snrs. diffusion_steps: S, of the process. prediction: `noise`,
    `velocity`, `clean` or `cells`. intervals: whether logits of cells are told what the other
    voices say through intervals, see parts/intervals.py.
    """

    widths: tuple[int, ...] = (128, 192, 256)
    depths: tuple[int, ...] = (1, 1, 3)
    schedule: str = "log_linear"
    shift: float = 0.0
    diffusion_steps: int = 1000
    prediction: str = CELLS
    intervals: bool = True

    def __post_init__(self) -> None:
        GridConfig.__post_init__(self)
        UNetConfig.__post_init__(self)
        if self.prediction != CELLS:
            noise.check_prediction(self.prediction)
        noise.log_snrs(self.schedule, self.diffusion_steps, self.shift)


class Model(GridModel):
    """The clean rolls of noisy ones, given bar lines and conditions."""

    makes = "family ddpm makes piano rolls"
    config: Config
    log_snrs_S: Tensor

    def __init__(self, config: Config, spec: ArraySpec) -> None:
        super().__init__(config, spec)
        self.hold = spec.voices.hold if spec.voices else -1
        levels_S = noise.log_snrs(config.schedule, config.diffusion_steps, config.shift)
        self.register_buffer("log_snrs_S", levels_S, persistent=False)
        voices, width = len(self.columns_V), config.widths[0]
        self.clocks = nn.ModuleList(
            nn.Embedding(size, width) for size in (self.place_count, NEAR + 1, NEAR + 1)
        )
        self.conditioning = self.condition_on(config.level_width)
        self.level = NoiseLevel(config.level_width)
        self.read = nn.Linear(voices * self.symbols, width, bias=False)
        self.unet = UNet(config)
        self.write = nn.Linear(width, voices * self.symbols)
        self.nearby = Nearby(voices, config.level_width) if config.prediction == CELLS else None
        self.intervals = (
            Intervals(voices, spec.voices, config.level_width)
            if self.nearby and spec.voices and config.intervals
            else None
        )
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)
        for clock in self.clocks:
            nn.init.normal_(clock.weight, std=0.1)  # type: ignore[arg-type]

    def frame(self, rows_BTW: Tensor, start_B: Tensor, given: Given | None = None) -> Frame:
        """Of rows of the encoding, of which only the bar column matters; start_B: steps before."""
        _, free_BTV = self.voices(rows_BTW)
        places_BT = self.places(rows_BTW, start_B)
        ends = (places_BT, *distances(rows_BTW, start_B, self.structure))
        return Frame(free_BTV, torch.stack(ends), given)

    def rolls(self, rows_BTW: Tensor) -> Tensor:
        """Clean rolls of rows of the encoding, (B, T, V, S)."""
        return rolls_of(*self.voices(rows_BTW), self.symbols)

    def cells(self, rolls_BTVS: Tensor) -> Tensor:
        """Rows of the voices' cells, (B, T, V): the key with the largest value."""
        return cells_of(rolls_BTVS, self.hold)

    def outputs(self, noisy_BTVS: Tensor, log_snr_B: Tensor, frame: Frame) -> Tensor:
        """What the network predicts of noisy rolls, (B, T, V, S): logits of cells, or values."""
        free_BTV1 = frame.free_BTV[..., None]
        noisy_BTVS = noisy_BTVS * free_BTV1
        level_BC = F.silu(self.conditioned(self.level(log_snr_B), frame.given))
        x_BTD = self.read(noisy_BTVS.flatten(2))
        for clock, codes_BT in zip(self.clocks, frame.clocks_3BT, strict=True):
            x_BTD = x_BTD + clock(codes_BT)
        y_BTD = self.unet(x_BTD, level_BC, frame.free_BTV.any(dim=2))
        out_BTVS: Tensor = self.write(y_BTD).view_as(noisy_BTVS)
        if self.nearby is None:
            return out_BTVS
        own_BTVS = noise.evidence(noisy_BTVS, log_snr_B)
        logits_BTVS = out_BTVS + own_BTVS + self.nearby(own_BTVS * free_BTV1, level_BC)
        if self.intervals is None:
            return logits_BTVS
        return self.intervals(logits_BTVS, frame.free_BTV.any(dim=2), level_BC)

    def clean(
        self, noisy_BTVS: Tensor, log_snr_B: Tensor, frame: Frame, sharpness: float = 1.0
    ) -> Tensor:
        """The expected clean rolls, (B, T, V, S); sharpness multiplies the logits of cells."""
        out_BTVS = self.outputs(noisy_BTVS, log_snr_B, frame)
        if self.config.prediction == CELLS:
            rolls_BTVS = (sharpness * out_BTVS).softmax(dim=-1)
        else:
            rolls_BTVS = noise.clean_of(self.config.prediction, out_BTVS, noisy_BTVS, log_snr_B)
        return rolls_BTVS * frame.free_BTV[..., None]

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Cross-entropy of cells, or squared errors of what is predicted; and nats of bar lines.

        Noise levels are those of the process, spread evenly over the batch.
        """
        rows_BTW, start_B = aligned(batch["targets"], batch["start"], self.structure)
        size = len(rows_BTW)
        spread_B = (torch.randperm(size) + torch.rand(size)) / size
        steps_B = (spread_B * len(self.log_snrs_S)).long().clamp(max=len(self.log_snrs_S) - 1)
        level_B = self.log_snrs_S[steps_B.to(rows_BTW.device)].float()
        cells_BTV, free_BTV = self.voices(rows_BTW)
        rolls_BTVS = self.rolls(rows_BTW)
        fresh_BTVS = torch.randn(rolls_BTVS.shape).to(rolls_BTVS.device)
        noisy_BTVS = noise.noised(rolls_BTVS, fresh_BTVS, level_B)
        frame = self.frame(rows_BTW, start_B, self.given(batch["conditions"]))
        out_BTVS = self.outputs(noisy_BTVS, level_B, frame)
        if self.config.prediction == CELLS:
            loss = F.cross_entropy(out_BTVS[free_BTV].float(), cells_BTV[free_BTV], reduction="sum")
        else:
            wanted = noise.target_of(self.config.prediction, rolls_BTVS, fresh_BTVS, level_B)
            loss = F.mse_loss(out_BTVS[free_BTV].float(), wanted[free_BTV], reduction="sum")
        return loss + self.bar_loss(batch)

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The bound of whole pieces without conditions, so that it compares with other models'."""
        rows_BTW, _ = batch
        nats_BTW = bound_of(self, rows_BTW, None, draws=DRAWS)
        return {"nats": nats_BTW, "target": rows_BTW}
