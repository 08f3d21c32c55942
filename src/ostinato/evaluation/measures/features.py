"""Musical features of excerpts, and how far their distribution lies from that of held-out music."""

from collections.abc import Sequence

import numpy as np

from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Figure, Result
from ostinato.metrics.bootstrap import Interval, mean_interval
from ostinato.metrics.compare import wasserstein_floor, wasserstein_interval
from ostinato.metrics.features import FEATURES
from ostinato.metrics.features import measure as features_of
from ostinato.music.piece import Piece

REAL = ("held_out", "train")


def reference(corpus: Corpus) -> dict[str, Array]:
    """The features of real music, (features, pieces)."""
    return {"held_out": _table(corpus.held_out), "train": _table(corpus.train)}


def measure(context: Context) -> Result:
    """Means beside those of held-out music, distances beside their floors."""
    chance = {"seed": context.seed, "resamples": context.resamples}
    sets = {"samples": _table(context.samples), **{kind: context.reference[kind] for kind in REAL}}
    groups = {kind: getattr(context, kind).groups for kind in sets}
    values: dict[str, Figure] = {}
    apart = 0
    for row, (name, feature) in enumerate(FEATURES.items()):
        ours, theirs, train = (sets[kind][row] for kind in ("samples", *REAL))
        means = {
            kind: mean_interval(sets[kind][row], groups=groups[kind], **chance) for kind in sets
        }
        values[name] = Figure.of(
            means["samples"],
            unit=feature.unit,
            label=feature.label,
            note=feature.description,
            reference=means["held_out"],
            beside={"training music": means["train"]},
        )
        distance = wasserstein_interval(
            ours, theirs, groups=(groups["samples"], groups["held_out"]), **chance
        )
        floor = wasserstein_floor(train, theirs, int((~np.isnan(ours)).sum()), **chance)
        apart += _is_apart(distance, floor)
        values[f"{name}/distance"] = Figure.of(
            distance,
            unit=feature.unit,
            direction="lower",
            label=f"{feature.label}, distance",
            floor=floor,
        )
    values["apart"] = Figure(
        float(apart),
        unit=f"of {len(FEATURES)}",
        direction="lower",
        label="Features apart",
        note="features whose distance lies above the floor",
        is_headline=True,
    )
    per_piece = {
        f"{kind}/{name}": table[row]
        for kind, table in sets.items()
        for row, name in enumerate(FEATURES)
    }
    return Result(
        values,
        view="density",
        per_piece=per_piece,
        title="Features",
        note="Each curve is the distribution of a feature over excerpts of one length; the dot is "
        "the mean with its 95 % interval. Distance is the Wasserstein-1 distance to held-out "
        "music, its floor what draws of as many training pieces as there are samples get.",
        order=60,
    )


def _table(pieces: Sequence[Piece]) -> Array:
    return np.stack(list(features_of(pieces).values()))


def _is_apart(distance: Interval, floor: Interval) -> bool:
    """Whether a distance is above what real music would get; unknown is not."""
    return distance.low > floor.high
