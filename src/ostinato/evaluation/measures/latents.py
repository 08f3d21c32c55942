"""Latent variables of variational families: bound, use of the dimensions, reconstruction."""

# P pieces, Z dimensions

from collections.abc import Sequence

import numpy as np

from ostinato.evaluation.latents import HasLatents
from ostinato.evaluation.measures.protocol import Array, Context, Figure, Result
from ostinato.loading.batches import conditions_of, whole_pieces
from ostinato.metrics.bootstrap import ratio_interval
from ostinato.models.spec import Given

ACTIVE = 0.01  # variance of a mean from which on a dimension is active (Burda 2016, section 5.1)
SPLITS = ("test", "valid")
TEXTS = {
    "elbo": ("Bound without importance weights", "nats a voice-cell", "lower"),
    "said": ("KL of the vectors", "nats a voice-cell", "corpus"),
    "reconstruction": ("Cells that come back from their vector", "", "higher"),
}


def measure(context: Context) -> Result:
    """Figures of both splits; nothing for a system without latent variables."""
    values: dict[str, Figure] = {}
    per_piece: dict[str, Array] = {}
    weights: dict[str, Array] = {}
    series: dict[str, Array] = {}
    splits: Sequence[str] = SPLITS if isinstance(context.scorer, HasLatents) else ()
    for split in splits:
        sums, said_Z, variance_Z = _summed(context, split)
        for name, (label, unit, direction) in TEXTS.items():
            interval = ratio_interval(
                sums[name],
                sums["cells"],
                seed=context.seed,
                resamples=context.resamples,
                groups=context.groups[split],
            )
            values[f"{split}/{name}"] = Figure.of(
                interval,
                unit=unit,
                direction=direction,
                label=f"{label}, {split}",
                is_headline=name == "reconstruction" and split == "test",
                is_bound=name == "elbo",
            )
            per_piece[f"{split}/{name}"] = sums[name] / sums["cells"]
            weights[f"{split}/{name}"] = sums["cells"]
        active = int((variance_Z > ACTIVE).sum())
        values[f"{split}/active_units"] = Figure(
            float(active), unit=f"of {len(said_Z)}", label=f"Active dimensions, {split}"
        )
        ranked = np.sort(said_Z)[::-1]
        series[split] = np.stack([1.0 + np.arange(len(ranked)), ranked], axis=1)
    return Result(
        values,
        per_piece=per_piece,
        weights=weights,
        series=series,
        title="Latent variables",
        note="Only of families that have any. A dimension is active where the mean of its "
        "posterior has a variance above 0.01 over held-out music (Burda 2016). Collapsed ones say "
        "nothing: few active dimensions and no KL mean that the decoder ignores its vectors. "
        "Reconstruction takes the mean of the posterior and the likeliest symbol each time; every "
        "beat is given the true step before it.",
        order=15,
    )


def _summed(context: Context, split: str) -> tuple[dict[str, Array], Array, Array]:
    """Sums of every piece; KL of every dimension, (Z,), and the variance of its mean, (Z,)."""
    scorer, part = context.scorer, context.tokens.splits[split]
    assert isinstance(scorer, HasLatents)
    sums = {name: np.zeros(len(part)) for name in (*TEXTS, "cells")}
    said, means = [], []
    for numbers, batch in whole_pieces(context.tokens, split):
        found = scorer.latents(batch, Given(conditions_of(part, numbers)))
        places = np.asarray(numbers)[found.piece_N.numpy()]
        for name, values_N in (
            ("elbo", found.nats_N),
            ("said", found.said_NZ.sum(dim=1)),
            ("reconstruction", found.same_N),
            ("cells", found.cells_N),
        ):
            np.add.at(sums[name], places, values_N.double().numpy())
        said.append(found.said_NZ.double().numpy())
        means.append(found.mean_NZ.double().numpy())
    return sums, np.concatenate(said).mean(axis=0), np.concatenate(means).var(axis=0)
