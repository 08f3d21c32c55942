"""Fréchet distance between samples and held-out music on musical features."""

import numpy as np

from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Figure, Result
from ostinato.metrics.bootstrap import Interval, percentiles
from ostinato.metrics.frechet import (
    Distance,
    corrected_frechet,
    feature_rows,
    standardized,
)
from ostinato.seeds import seed_of

UNIT = "squared deviations"
DRAWS = 50  # of training pieces, for the floor


def reference(corpus: Corpus) -> dict[str, Array]:
    """The features of real music."""
    return {"held_out": feature_rows(corpus.held_out), "train": feature_rows(corpus.train)}


def measure(context: Context) -> Result:
    """The corrected distance, and the plain one. Pieces with an undefined feature are left out."""
    real = context.reference
    mine = feature_rows(context.samples)
    rows, kept = standardized(mine, real["train"])
    theirs, complete = standardized(real["held_out"], real["train"])
    others, whole = standardized(real["train"], real["train"])
    groups = context.held_out.groups[complete]
    found = corrected_frechet(rows[kept], theirs[complete], context.samples.groups[kept], groups)
    floors = _floors(
        others[whole], context.train.groups[whole], theirs[complete], groups, int(kept.sum()),
        seed=context.seed,
    )  # fmt: skip
    low, high = found.interval
    left, left_real, left_train = (int((~mask).sum()) for mask in (kept, complete, whole))
    return Result(
        {
            "frechet": Figure(
                found.value,
                low,
                high,
                unit=UNIT,
                direction="lower",
                floor=floors["value"],
                label="Fréchet distance",
                is_headline=True,
            ),
            "frechet_plain": Figure(
                found.plain,
                unit=UNIT,
                direction="lower",
                floor=floors["plain"],
                label="Fréchet distance, uncorrected",
            ),
        },
        view="table",
        title="Fréchet distance",
        note=f"On {rows.shape[1]} features in standard deviations of training music; {left} "
        f"samples, {left_real} held-out and {left_train} training pieces lack one and are left "
        "out. Only distances to the same held-out music can be compared.",
        order=15,
    )  # fmt: skip


def _floors(
    train: Array, names: Array, held_out: Array, groups: Array, count: int, *, seed: int
) -> dict[str, Interval]:
    """Distances of draws of `count` training pieces from held-out music: mean and central 95 %."""
    if not 3 <= count <= len(train):
        return {"value": Interval(count=count), "plain": Interval(count=count)}
    generator = np.random.default_rng(seed_of(seed, "frechet"))
    draws = [generator.choice(len(train), count, replace=False) for _ in range(DRAWS)]
    found: list[Distance] = [
        corrected_frechet(train[rows], held_out, names[rows], groups) for rows in draws
    ]
    return {
        name: Interval(float(values.mean()), *percentiles(values, 0.95), count)
        for name in ("value", "plain")
        for values in [np.array([getattr(distance, name) for distance in found])]
    }
