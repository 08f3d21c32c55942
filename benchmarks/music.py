"""Four-voice music: bars a second of the step-wise form against the flat form of the same trunk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.measure import OURS, Race, in_turn
from ostinato.models import build
from ostinato.models.parts.autoregressive import TokenShape
from ostinato.representations.grid import Grid
from ostinato.sampling.decode import decode
from ostinato.sampling.settings import Decoding

BARS, BEATS = 8, 4
BATCHES = (1, 16)
CONFIG = Path(__file__).parents[1] / "conf/model/gpt/small.yaml"


def races(rounds: int) -> list[Race]:
    """Through the real decoding loop and the real grid, grammar included."""
    settings = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["model"]
    voices = len(Grid().voices)
    return [
        Race(
            question=f"four-voice music, batch {batch}",
            unit="bars",
            amount=batch * BARS,
            seconds=in_turn(
                {
                    OURS: _sampler(settings, Grid(), batch, BARS * BEATS),
                    "our flat form": _sampler(
                        flat(settings, voices), Grid(voices=("all",)), batch, voices * BARS * BEATS
                    ),
                },
                rounds,
            ),
            aims={},
        )
        for batch in BATCHES
    ]


def flat(settings: dict[str, Any], voices: int) -> dict[str, Any]:
    """The same trunk where every voice is a position: it reaches as far back and tells the same
    time.

    Ages stay off: there, a sub-token's neighbour in time is not the position before.
    """
    return settings | {
        "order": [0],
        "context": voices * settings["context"],
        "periods": [voices * period for period in settings["periods"]],
        "ages": 0,
    }


def _sampler(
    settings: dict[str, Any], grid: Grid, batch: int, quarters: float
) -> Callable[[], None]:
    torch.manual_seed(0)
    shape = TokenShape(width=grid.width, vocabulary=len(grid.vocabulary))
    plain = {
        key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
    }
    model = build("gpt", plain, shape)
    prompts = [np.zeros((0, grid.width), np.int32)] * batch

    def sample() -> None:
        made = decode(model, grid, prompts, range(batch), quarters, Decoding())
        assert all(sequence.failed is None for sequence in made)

    return sample
