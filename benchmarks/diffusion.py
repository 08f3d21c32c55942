"""Training of ddpm/small, against a plain loop of diffusers over a U-Net with as many weights.

Both learn rolls of four voices of 47 keys over 64 steps, 16 at a time. Theirs: UNet1DModel over
time with the keys as channels, DDPMScheduler's noise, squared errors of it, AdamW.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import yaml

from benchmarks.measure import OURS, Case, Race, in_turn

BATCH, STEPS, VOICES, SYMBOLS = 16, 64, 4, 47
WIDTHS = (64, 72, 96)  # of theirs: as many weights, within a tenth
AIM = {"diffusers": 1.0}


def cases() -> list[Case]:
    """Ours predicting the noise, as the other does, and predicting cells, as by default."""
    return [
        Case(name(prediction), lambda rounds, prediction=prediction: race(rounds, prediction))
        for prediction in ("noise", "cells")
    ]


def name(prediction: str) -> str:
    return f"diffusion, {prediction} predicted, float32, batch {BATCH}, length {STEPS}"


def race(rounds: int, prediction: str) -> Race:
    """Steps of both, in turn."""
    return Race(
        question=name(prediction),
        unit="steps of music",
        amount=BATCH * STEPS,
        seconds=in_turn({OURS: ours(prediction), "diffusers": theirs()}, rounds),
        aims=AIM,
    )


def ours(prediction: str) -> Callable[[], None]:
    """One optimizer step of the small size, bar lines left out, as the other has none."""
    from ostinato.models.registry import build
    from ostinato.models.spec import ArraySpec, Voices

    settings = yaml.safe_load(Path("conf/model/ddpm/small.yaml").read_text(encoding="utf-8"))
    voices = Voices(first=0, end=VOICES, lowest=1, pitches=SYMBOLS - 1)
    spec = ArraySpec(width=VOICES, vocabulary=SYMBOLS, voices=voices)
    model = build("ddpm", settings["model"] | {"prediction": prediction}, spec).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    batch = {"targets": cells(), "start": torch.zeros(BATCH).long(), "conditions": None}

    def run() -> None:
        (model.loss(batch) / batch["targets"].numel()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


def theirs() -> Callable[[], None]:
    """One optimizer step of the loop in diffusers' own tutorial."""
    from diffusers import DDPMScheduler, UNet1DModel

    model = UNet1DModel(
        sample_size=STEPS,
        in_channels=VOICES * SYMBOLS,
        out_channels=VOICES * SYMBOLS,
        extra_in_channels=2 * WIDTHS[0],  # its embedding of the time
        block_out_channels=WIDTHS,
        down_block_types=("DownBlock1DNoSkip", "DownBlock1D", "AttnDownBlock1D"),
        up_block_types=("AttnUpBlock1D", "UpBlock1D", "UpBlock1DNoSkip"),
    ).train()
    noise_of = DDPMScheduler(1000)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    rolls = torch.nn.functional.one_hot(cells(), SYMBOLS).float().flatten(2).transpose(1, 2)

    def run() -> None:
        noise = torch.randn_like(rolls)
        times = torch.randint(0, 1000, (BATCH,))
        output = model(noise_of.add_noise(rolls, noise, times), times).sample
        torch.nn.functional.mse_loss(output, noise).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


def cells() -> torch.Tensor:
    """Random cells; what they are changes no time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, SYMBOLS, (BATCH, STEPS, VOICES), generator=generator)
