"""Four-voice music: bars a second of the step-wise form beside flat forms, our own and a GPT-2."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks import peers
from benchmarks.measure import OURS, Case, Race, in_turn
from benchmarks.sampling import generate
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.representations.grid.grid import Grid
from ostinato.representations.protocol import Extent
from ostinato.representations.store import codec_of
from ostinato.sampling.autoregressive.decode import decode
from ostinato.sampling.autoregressive.decoding import Decoding

BARS, BEATS, STEPS = 8, 4, 4  # steps of the grid in a beat
BATCHES = (1, 16)
FLAT_GPT2 = "flat GPT-2 of transformers"
AIMS = {FLAT_GPT2: 6.0}
CONFIG = Path(__file__).parents[1] / "conf/model/gpt/small.yaml"


def cases() -> list[Case]:
    """One piece, and many at once."""
    return [
        Case(f"music, batch {batch}", lambda rounds, batch=batch: race(rounds, batch))
        for batch in BATCHES
    ]


def race(rounds: int, batch: int) -> Race:
    """Ours through the real decoding loop and the real grid, grammar included; the flat GPT-2 by
    its own generate, without any grammar.
    """
    settings = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["model"] | {"order": []}
    voices, beats = len(Grid().voices), BARS * BEATS
    contestants = {
        OURS: _sampler(settings, Grid(), batch, beats),
        "our flat form": _sampler(
            flat(settings, voices), Grid(voices=("all",)), batch, voices * beats
        ),
        FLAT_GPT2: _flat_gpt2(settings, batch, voices * beats * STEPS),
    }
    return Race(
        question=f"four-voice music, batch {batch}",
        unit="bars",
        amount=batch * BARS,
        seconds=in_turn(contestants, rounds),
        aims=AIMS,
    )


def _flat_gpt2(settings: dict[str, Any], batch: int, tokens: int) -> Callable[[], None]:
    """The published shape of as many layers, as wide, over the same symbols one by one."""
    model = peers.gpt2(
        tokens + 1,
        settings["layers"],
        settings["width"],
        settings["heads"],
        len(Grid().vocabulary),
    ).eval()
    return lambda: generate(model, batch, tokens)


def flat(settings: dict[str, Any], voices: int) -> dict[str, Any]:
    """The same trunk where every voice is a position: it reaches as far back and tells the same
    time.

    Ages stay off: there, a sub-token's neighbour in time is not the position before.
    """
    return settings | {
        "order": [0],
        "context": voices * settings["context"],
        "periods": [voices * period for period in settings["periods"]],
        "held_steps": 0,
        "pair_tables": False,
    }


def _sampler(
    settings: dict[str, Any], grid: Grid, batch: int, quarters: float
) -> Callable[[], None]:
    torch.manual_seed(0)
    shape = ArraySpec.of(codec_of(grid))
    plain = {
        key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
    }
    model = build("gpt", plain, shape)
    prompts = [np.zeros((0, grid.width), np.int32)] * batch
    extent = Extent(round(quarters), meter="1/4")

    def sample() -> None:
        made = decode(model, grid, prompts, range(batch), extent, Decoding())
        assert all(sequence.failed is None for sequence in made)

    return sample
