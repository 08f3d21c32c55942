"""Ranges of the numbers that a user can write, and some lists of words, by the names in conf/.

They keep out what no setting can mean and what would fill the memory; closer limits, which hang on
other settings or on the model, are checked where a setting is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`; `above`, `below`: without the end itself."""

    least: float = -inf
    most: float = inf
    above: bool = False
    below: bool = False

    def __contains__(self, number: float) -> bool:
        low = number > self.least if self.above else number >= self.least
        return low and (number < self.most if self.below else number <= self.most)

    def __str__(self) -> str:
        ends = []
        if self.least > -inf:
            ends.append(f"{'above' if self.above else 'at least'} {self.least:.15g}")
        if self.most < inf:
            ends.append(f"{'below' if self.below else 'at most'} {self.most:.15g}")
        return " and ".join(ends)


POSITIVE, SHARE, COUNT = Range(0, above=True), Range(0, 1), Range(0)
BELOW_ONE = Range(0, 1, below=True)
MANY, MOST_LAYERS, MOST_WIDTH = 10_000, 1024, 65_536
PORT, FREE_PORT = Range(1, 65_535), Range(0, 65_535)

CHOICES: Mapping[str, tuple[str, ...]] = {
    "device": ("cpu", "cuda"),
    "precision": ("full", "int8"),
    "end_on": ("any", "triad", "tonic"),
    "mode": ("plan", "serve", "simulate", "analyse", "export", "upgrade"),
    "format": ("muspy", "midi", "musicxml"),
    "to": ("clip", "arrangement", "reply", "port"),
}
RANGES: Mapping[str, Range] = {
    # generate
    "bars": Range(1, MANY),
    "min_bars": Range(1, MANY),
    "n": Range(1, MANY),
    "seed": Range(0, 2**32 - 1),
    "prompt_bars": Range(1, MANY),
    "temperature": Range(0, 100),  # 0: where a family takes the likeliest
    "top_k": COUNT,
    "top_p": Range(0, 1, above=True),
    "min_p": SHARE,
    "split": Range(0, 100),
    "motion": Range(0, 100, above=True),
    "best_of": Range(1, MANY),
    "no_repeat": COUNT,
    "tempo": Range(10, 1000),
    "infill.particles": Range(1, MANY),
    "options.seconds": Range(0, 600, above=True),  # more would fill the memory
    "options.steps": Range(0, MANY),
    "vary": SHARE,
    # train
    "model.dropout": BELOW_ONE,
    "model.heads": Range(1, MOST_LAYERS),
    "model.layers": Range(1, MOST_LAYERS),
    "model.periods": Range(1),
    "model.voice_hidden": Range(0, MOST_WIDTH),
    "model.width": Range(1, MOST_WIDTH),
    "optimizer.betas": BELOW_ONE,
    "optimizer.clip": COUNT,
    "optimizer.final_lr_ratio": SHARE,
    "optimizer.lr": POSITIVE,
    "optimizer.weight_decay": COUNT,
    "training.batch": Range(1, 1_000_000),
    "training.crop": Range(1, 1_000_000),
    "training.ema_decay": BELOW_ONE,
    "training.steps": Range(1, 10**9),
    "training.threads": Range(1, MOST_LAYERS),
    "training.validate_every": Range(1, 10**9),
    "trainer.micro_batch": Range(1),
    # pages, servers, listening tests, export
    "port": PORT,
    "threads": Range(1, MOST_LAYERS),
    "queue": Range(1, MANY),
    "duet_bars": Range(1, 64),
    "qpm": Range(10, 1000),
    "live.port": PORT,
    "live.reply_port": FREE_PORT,
    "live.timeout": POSITIVE,
    "resamples": Range(1, 1_000_000),
    "limits.requests_per_second": POSITIVE,
    "limits.address_per_second": POSITIVE,
    "limits.new_per_minute": POSITIVE,
    "limits.secrets_per_minute": POSITIVE,
    "limits.body_bytes": Range(1),
    "simulated.listeners": Range(1, 100_000),
    "simulated.ability": SHARE,
    "simulated.listener_sd": COUNT,
    "simulated.item_sd": COUNT,
    "simulated.tie": COUNT,
    "simulated.lapse": SHARE,
    "simulated.seed": Range(0, 2**32 - 1),
    "renders": Range(0, MANY),
    "pieces": Range(0, MANY),
    "seconds": Range(0, 3600, above=True),
    "most_bytes": Range(1),
}
