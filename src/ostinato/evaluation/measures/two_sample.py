"""How well a classifier tells a system's samples from held-out music; 0.5 is real music itself.

Two classifiers: a logistic regression on the features of each piece, and a small network on what
happens at every step. The floor is the same test with training pieces in place of samples: as many
as there are samples, or as there are groups of training pieces, if those are fewer. See
`metrics.two_sample`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Excerpts, Figure, Result
from ostinato.metrics.bootstrap import Interval, mean_interval
from ostinato.metrics.profile import profiles
from ostinato.metrics.step_network import network, step_channels
from ostinato.metrics.two_sample import Clue, Learner, Plan, Told, clues, logistic, tell_apart
from ostinato.seeds import seed_of

ALSO_TRIVIAL = True
SHOWN = 8  # features that the report names
DRAWS = {"features": 10, "network": 2}  # of training pieces for the floor
REPEATS = {"features": 5, "network": 1}
TITLES = {"features": "features of a piece", "network": "a small network"}


def reference(corpus: Corpus) -> Mapping[str, Array]:
    """The features of real music."""
    return {kind: profiles(getattr(corpus, kind))[1] for kind in ("held_out", "train")}


def measure(context: Context) -> Result:
    """Balanced accuracy and AUC of both classifiers, and what the first one used."""
    names, ours = profiles(context.samples)
    features = {"samples": ours, **{k: context.reference[k] for k in ("held_out", "train")}}
    channels = {"samples": step_channels(context.samples)}
    channels |= {k: step_channels(getattr(context, k)) for k in ("held_out", "train")}
    figures: dict[str, Figure] = {}
    per_piece: dict[str, Array] = {}
    with _one_thread():
        for name, arrays, learner in (
            ("features", features, logistic),
            ("network", channels, network),
        ):
            told, floors = _beside_floor(context, arrays, learner, name)
            figures |= _figures(name, told, floors)
            count = len(context.samples)
            per_piece[f"samples/{name}_log_odds"] = told.odds[:count]
            per_piece[f"held_out/{name}_log_odds"] = told.odds[count:]
        values, is_sample, groups = _sets(context.samples, context.held_out, features)
        plan = Plan(repeats=1, resamples=1, seed=context.seed)
        found = clues(logistic(values), names, values, is_sample, groups, plan)[1]
    figures |= _clue_figures(context, names, features, found[:SHOWN])
    drawn = min(len(context.samples), len(np.unique(context.train.groups)))
    shorter = len(context.samples_whole) - len(context.samples)
    return Result(
        figures,
        view="forest",
        per_piece=per_piece,
        title="Recognized by classifiers",
        note=f"The first {context.quarters} quarters of {len(context.samples)} samples and "
        f"{len(context.held_out)} held-out pieces; {shorter} samples are shorter and left out. "
        f"The floor is the same test of {drawn} training pieces of different works. "
        "0.5 is chance, 1 means that every piece is recognized. The lower rows are the features "
        "that the classifier used most: their means in samples and in held-out music.",
        order=5,
        columns={f"{name}_accuracy": name for name in ("features", "network")},
    )


def _beside_floor(
    context: Context, arrays: Mapping[str, Array], learner: Callable[[Array], Learner], name: str
) -> tuple[Told, list[Told]]:
    """The test of the samples, and of draws of as many training pieces, one of a group each."""

    def test(values: Array, is_sample: Array, groups: Sequence[str], plan: Plan) -> Told:
        return tell_apart(learner(values), is_sample, groups, plan)[0]

    plan = Plan(repeats=REPEATS[name], resamples=context.resamples, seed=context.seed)
    told = test(*_sets(context.samples, context.held_out, arrays), plan)
    floors = []
    for draw in range(DRAWS[name] if len(context.train) else 0):
        chosen = one_of_each_group(
            context.train.groups, len(context.samples), seed_of(context.seed, "floor", draw)
        )
        drawn = {"samples": arrays["train"][chosen], "held_out": arrays["held_out"]}
        part = context.train.only(chosen)
        again = Plan(repeats=1, resamples=context.resamples, seed=context.seed + draw)
        floors.append(test(*_sets(part, context.held_out, drawn), again))
    return told, floors


def one_of_each_group(groups: Array, count: int, seed: int) -> Array:
    """Mask of at most `count` pieces, of different groups."""
    order = np.random.default_rng(seed).permutation(len(groups))
    first = np.unique(groups[order], return_index=True)[1]
    mask = np.zeros(len(groups), dtype=bool)
    mask[order[np.sort(first)[:count]]] = True
    return mask


def _sets(
    ours: Excerpts, theirs: Excerpts, arrays: Mapping[str, Array]
) -> tuple[Array, Array, list[str]]:
    """Rows of both sets, which are samples, and their groups."""
    parts = [arrays["samples"], arrays["held_out"]]
    wide = max(part.shape[-1] for part in parts)
    parts = [part for part in parts if len(part)] or parts
    parts = [np.pad(p, [(0, 0)] * (p.ndim - 1) + [(0, wide - p.shape[-1])]) for p in parts]
    groups = [f"sample {name}" for name in ours.groups] + [str(name) for name in theirs.groups]
    return np.concatenate(parts), np.arange(len(groups)) < len(ours), groups


def _figures(name: str, told: Told, floors: Sequence[Told]) -> dict[str, Figure]:
    figures = {}
    for kind, label in (("accuracy", "balanced accuracy"), ("auc", "AUC")):
        floor = _mean_of([getattr(told, kind) for told in floors])
        figures[f"{name}_{kind}"] = Figure.of(
            getattr(told, kind),
            unit="share",
            direction="lower",
            floor=floor,
            label=f"Recognized by {TITLES[name]}, {label}",
            note="0.5: the classifier cannot tell it from held-out music",
            is_headline=kind == "accuracy",
        )
    return figures


def _mean_of(intervals: Sequence[Interval]) -> Interval | None:
    """The mean of each of their numbers; None of none."""
    if not intervals:
        return None
    value, low, high = (
        float(np.mean([getattr(x, key) for x in intervals])) for key in ("value", "low", "high")
    )
    return Interval(value, low, high, intervals[0].count)


def _clue_figures(
    context: Context, names: Sequence[str], features: Mapping[str, Array], found: Sequence[Clue]
) -> dict[str, Figure]:
    figures = {}
    for clue in found:
        column = names.index(clue.feature)
        ours, theirs = (
            mean_interval(
                features[kind][:, column],
                groups=getattr(context, kind).groups,
                seed=context.seed,
                resamples=context.resamples,
            )
            for kind in ("samples", "held_out")
        )
        figures[f"clue_{clue.feature.replace(' ', '_')}"] = Figure.of(
            ours,
            reference=theirs,
            label=clue.feature,
            note=f"AUC of this feature alone {clue.alone:.2f}; {clue.drop:.2f} of the log-odds",
        )
    return figures


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order, whatever the number of processors."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
