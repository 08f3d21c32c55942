"""Training of Gaussian diffusion, against a plain loop of diffusers over a U-Net with as many
weights.

Two of ours: latent_ddpm/small, the default, over vectors of 32 beats, which a vae makes from the
cells in every step; and ddpm/small over rolls of four voices of 47 keys and 64 steps. 16 pieces at
a time. Theirs: UNet1DModel over time with the dimensions or keys as channels, DDPMScheduler's
noise, squared errors of it, AdamW; its vectors are there already.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.measure import OURS, Case, Race, in_turn

BATCH, STEPS, VOICES, SYMBOLS = 16, 64, 4, 47
CROP, SPAN, LATENT = 128, 4, 16  # of vectors: steps, those of a beat, dimensions
WIDTHS = (64, 72, 96)  # of theirs, for either: as many weights, within a tenth
AIM = {"diffusers": 1.0}


def cases() -> list[Case]:
    """The default; and rolls, predicting the noise, as the other does, and cells, as ddpm/small."""
    return [
        Case(name(made), lambda rounds, made=made: race(rounds, made))
        for made in ("vectors", "rolls, noise predicted", "rolls, cells predicted")
    ]


def name(made: str) -> str:
    return f"diffusion of {made}, float32, batch {BATCH}, length {length(made)}"


def length(made: str) -> int:
    return CROP if made == "vectors" else STEPS


def race(rounds: int, made: str) -> Race:
    """Steps of both, in turn."""
    if made == "vectors":
        sides = {OURS: latent(), "diffusers": theirs(vectors(), WIDTHS)}
    else:
        prediction = made.split()[1]
        sides = {OURS: ours(prediction), "diffusers": theirs(rolls(), WIDTHS)}
    return Race(
        question=name(made),
        unit="steps of music",
        amount=BATCH * length(made),
        seconds=in_turn(sides, rounds),
        aims=AIM,
    )


def latent() -> Callable[[], None]:
    """One optimizer step of the latent size, which makes its vectors anew; no bar lines."""
    settings = yaml.safe_load(Path("conf/model/latent_ddpm/small.yaml").read_text(encoding="utf-8"))
    return steps_of("latent_ddpm", settings["model"], CROP)


def ours(prediction: str) -> Callable[[], None]:
    """One optimizer step of the small size, bar lines left out, as the other has none."""
    settings = yaml.safe_load(Path("conf/model/ddpm/small.yaml").read_text(encoding="utf-8"))
    return steps_of("ddpm", settings["model"] | {"prediction": prediction}, STEPS)


def steps_of(family: str, settings: dict[str, Any], steps: int) -> Callable[[], None]:
    """One optimizer step of a family that has a `loss`."""
    from ostinato.models.registry import build
    from ostinato.models.spec import ArraySpec, Voices

    voices = Voices(first=0, end=VOICES, lowest=1, pitches=SYMBOLS - 1)
    spec = ArraySpec(width=VOICES, vocabulary=SYMBOLS, voices=voices)
    model = build(family, settings, spec).train()
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=1e-3, fused=True)
    batch = {"targets": cells(steps), "start": torch.zeros(BATCH).long(), "conditions": None}

    def run() -> None:
        (model.loss(batch) / batch["targets"].numel()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


def theirs(clean_BCT: torch.Tensor, widths: tuple[int, ...]) -> Callable[[], None]:
    """One optimizer step of the loop in diffusers' own tutorial."""
    from diffusers import DDPMScheduler, UNet1DModel

    channels, length = clean_BCT.shape[1:]
    model = UNet1DModel(
        sample_size=length,
        in_channels=channels,
        out_channels=channels,
        extra_in_channels=2 * widths[0],  # its embedding of the time
        block_out_channels=widths,
        down_block_types=("DownBlock1DNoSkip", "DownBlock1D", "AttnDownBlock1D"),
        up_block_types=("AttnUpBlock1D", "UpBlock1D", "UpBlock1DNoSkip"),
    ).train()
    noise_of = DDPMScheduler(1000)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def run() -> None:
        noise = torch.randn_like(clean_BCT)
        times = torch.randint(0, 1000, (BATCH,))
        output = model(noise_of.add_noise(clean_BCT, noise, times), times).sample
        torch.nn.functional.mse_loss(output, noise).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


def cells(steps: int = STEPS) -> torch.Tensor:
    """Random cells; what they are changes no time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, SYMBOLS, (BATCH, steps, VOICES), generator=generator)


def rolls() -> torch.Tensor:
    """The cells as rolls, keys of all voices before time."""
    return torch.nn.functional.one_hot(cells(), SYMBOLS).float().flatten(2).transpose(1, 2)


def vectors() -> torch.Tensor:
    """Random vectors of beats, dimensions before time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(BATCH, LATENT, CROP // SPAN, generator=generator)
