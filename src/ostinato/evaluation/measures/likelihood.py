"""Likelihood of whole held-out pieces in several units, beside baselines that need no network."""

import math
from dataclasses import replace

import numpy as np

from ostinato.evaluation.baselines import score_baselines
from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Figure, Result
from ostinato.evaluation.scored import Scored, pieces_of, score_and_predict, scored
from ostinato.metrics.bootstrap import Interval
from ostinato.models.spec import ArraySpec

KINDS = ("tokens", "roll", "mel")
SPLITS = ("test", "valid")
COMPARED = ("test/nats_per_voice_cell", "test/nats_per_token")  # the first one that there is
HEADLINES = ("test/nats_per_token", "valid/nats_per_token", "test/bits_per_quarter")


def reference(corpus: Corpus) -> dict[str, Array]:
    """Nats of every piece by every baseline; arrays of symbols only have some."""
    if ArraySpec.of(corpus.tokens.codec).is_real:
        return {}
    return {
        f"{split}/{name}": np.stack([found.nats, _or_nan(found.voice_nats, found.nats)])
        for split in SPLITS
        for name, found in score_baselines(corpus.tokens, split).items()
    }


def measure(context: Context) -> Result:
    """Every unit of both splits with its interval over groups; nothing without a scorer."""
    values: dict[str, Figure] = {}
    per_piece: dict[str, Array] = {}
    weights: dict[str, Array] = {}
    for split in SPLITS if context.scorer else ():
        assert context.scorer is not None
        chance = {"seed": context.seed, "resamples": context.resamples}
        groups = context.groups[split]
        found, predicted = score_and_predict(
            context.scorer, context.tokens, split, groups=groups, **chance
        )
        beside = _baselines(context, split)
        intervals = found.intervals(groups=groups, **chance) | predicted
        for unit, interval in intervals.items():
            name = f"{split}/{unit}"
            values[name] = Figure.of(
                interval,
                direction="higher" if unit == "accuracy" else "lower",
                label=f"{unit.replace('_', ' ').capitalize()}, {split}",
                beside=beside.get(unit, {}),
                is_headline=name in HEADLINES,
                is_bound=context.scorer.kind == "bound" and unit != "accuracy",
            )
        for unit, (above, below) in found.units().items():
            name = f"{split}/{unit}"
            per_piece[name] = np.divide(
                above, below, out=np.full(len(above), np.nan), where=below > 0
            )
            weights[name] = below
    return Result(
        values,
        per_piece=per_piece,
        weights=weights,
        title="Likelihood",
        note="How well a system predicts held-out music; lower is better. Nats per token compare "
        "systems of one encoding only. ≤ is an upper bound of the nats, where a likelihood cannot "
        "be computed exactly. The baselines ngram and copy are fitted on valid, so their "
        "figures of valid are too good; compare with those of test.",
        order=10,
        columns={next((unit for unit in COMPARED if unit in values), ""): "nats"},
    )


def _baselines(context: Context, split: str) -> dict[str, dict[str, Interval]]:
    """Intervals of the baselines by unit and name."""
    nothing = enumerate(np.zeros(piece.shape) for piece in pieces_of(context.tokens, split))
    lengths = scored(context.tokens, split, dict(nothing))
    beside: dict[str, dict[str, Interval]] = {}
    for key, (nats, voice_nats) in context.reference.items():
        if key.startswith(f"{split}/"):
            voices = None if lengths.voice_nats is None else voice_nats
            made: Scored = replace(lengths, nats=nats, voice_nats=voices)
            intervals = made.intervals(
                groups=context.groups[split], seed=context.seed, resamples=context.resamples
            )
            for unit, interval in intervals.items():
                beside.setdefault(unit, {})[key.partition("/")[2]] = interval
    return beside


def _or_nan(values: Array | None, like: Array) -> Array:
    return np.full(len(like), math.nan) if values is None else values
