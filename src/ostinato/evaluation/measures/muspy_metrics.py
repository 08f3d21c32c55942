"""MusPy's own metrics, uncorrected, to compare with papers that use them."""

from collections.abc import Iterable

import numpy as np

from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Figure, Result
from ostinato.metrics.bootstrap import mean_interval
from ostinato.metrics.muspy_metrics import RESOLUTION, UNITS, muspy_metrics
from ostinato.music.piece import Piece


def reference(corpus: Corpus) -> dict[str, Array]:
    """The values of held-out music."""
    return {f"held_out.{name}": values for name, values in _values(corpus.held_out).items()}


def measure(context: Context) -> Result:
    """The mean over pieces of each metric that is defined for held-out music."""
    found = _values(context.samples)
    values: dict[str, Figure] = {}
    per_piece: dict[str, Array] = {}
    chance = {"seed": context.seed, "resamples": context.resamples}
    for name, unit in UNITS.items():
        theirs = context.reference[f"held_out.{name}"]
        if np.isnan(theirs).all():
            continue
        values[name] = Figure.of(
            mean_interval(found[name], groups=context.samples.groups, **chance),
            unit=unit,
            label=f"muspy.{name}",
            reference=mean_interval(theirs, groups=context.held_out.groups, **chance),
        )
        per_piece |= {f"samples/{name}": found[name], f"held_out/{name}": theirs}
    return Result(
        values,
        view="table",
        per_piece=per_piece,
        title="MusPy's metrics",
        note=f"As muspy.metrics computes them at {RESOLUTION} ticks a quarter, errors included.",
        order=80,
    )


def _values(pieces: Iterable[Piece]) -> dict[str, Array]:
    rows = [muspy_metrics(piece) for piece in pieces]
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in UNITS}
