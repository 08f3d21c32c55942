"""Classifier two-sample test: how well samples are told from real music (Lopez-Paz & Oquab 2017).

A classifier is trained on some of the pieces and asked about the others, in cross-validation whose
folds never split a group (pieces of one work). AUC is the probability that it finds a random sample
less real than a random real piece of the same fold: 0.5 is no better than a coin, 1 is always
right. Pieces are only compared within a fold, because scores of different classifiers are not on
one scale: AUC over all folds at once lies below 0.5 for equal sets. Accuracy is balanced, the mean
of the two classes' shares of right answers. No set of finite size gets exactly 0.5, so both are to
be read beside the same test between two sets of real music.
"""

# R repetitions of the cross-validation, N pieces, F features

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.metrics.bootstrap import Interval, expanded, percentiles
from ostinato.seeds import seed_of

Values = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
FOLDS = 5
# given the pieces to learn from, whether each is a sample, and a seed: returns the log-odds that
# pieces are samples
Learner = Callable[[Index, Bools, int], Callable[[Index], Values]]


@dataclass(frozen=True, eq=False)
class Told:
    """How well two sets are told apart: AUC and balanced accuracy, NaN where a set is too small.

    odds: mean log-odds of each piece to be a sample, by classifiers that did not see its group.
    """

    auc: Interval
    accuracy: Interval
    odds: Values


@dataclass(frozen=True, kw_only=True)
class Plan:
    """folds and repeats of the cross-validation, resamples of the bootstrap over groups, seed."""

    folds: int = FOLDS
    repeats: int = 5
    resamples: int = 2000
    seed: int = 1
    level: float = 0.95


def tell_apart(
    learner: Learner, is_sample: Bools, groups: Sequence[str], plan: Plan
) -> tuple[Told, list[Callable[[Index], Values]], Index]:
    """Cross-validate a learner; the classifiers it made and the fold of every piece, (R, N).

    The classifier of repetition r and fold f is number r * folds + f. With fewer than two groups in
    a set nothing is defined, and there are no classifiers.
    """
    folds = min(plan.folds, *(len({g for g, s in zip(groups, is_sample, strict=True) if s == kind})
                              for kind in (True, False)))  # fmt: skip
    fold_RN = np.zeros((plan.repeats, len(is_sample)), dtype=np.int64)
    odds_RN = np.full(fold_RN.shape, np.nan)
    if folds < 2:
        return Told(Interval(), Interval(), np.full(len(is_sample), np.nan)), [], fold_RN
    classifiers = []
    for repeat in range(plan.repeats):
        fold_RN[repeat] = grouped_folds(
            is_sample, groups, folds, seed_of(plan.seed, "folds", repeat)
        )
        for fold in range(folds):
            inside = fold_RN[repeat] == fold
            rows = np.flatnonzero(~inside)
            seed = seed_of(plan.seed, "learn", repeat, fold)
            classifiers.append(learner(rows, is_sample[rows], seed))
            odds_RN[repeat, inside] = classifiers[-1](np.flatnonzero(inside))
    return summary(odds_RN, fold_RN, is_sample, groups, plan), classifiers, fold_RN


def grouped_folds(is_sample: Bools, groups: Sequence[str], folds: int, seed: int) -> Index:
    """The fold of every piece: groups stay whole, and both sets are spread evenly.

    Largest groups first, each to the fold that has least of its set; ties by seed.
    """
    names, group_N = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((len(names), 2))
    np.add.at(counts, (group_N, is_sample.astype(int)), 1)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    filled = np.zeros((folds, 2))
    chosen = np.zeros(len(names), dtype=np.int64)
    for group in order.tolist():
        cost = filled @ (counts[group] > 0) + 1e-3 * filled.sum(axis=1)
        chosen[group] = int(np.argmin(cost))
        filled[chosen[group]] += counts[group]
    return chosen[group_N]


def summary(
    odds_RN: Values, fold_RN: Index, is_sample: Bools, groups: Sequence[str], plan: Plan
) -> Told:
    """AUC and balanced accuracy with percentile intervals of a bootstrap over groups, widened for
    the groups of the smaller set.
    """
    wins, pairs = _comparisons(odds_RN, fold_RN, is_sample)
    right = (np.where(is_sample, odds_RN, -odds_RN) > 0).mean(axis=0) + 0.5 * (odds_RN == 0).mean(
        axis=0
    )
    names, group_N = np.unique(np.asarray(groups), return_inverse=True)
    generator = np.random.default_rng(seed_of(plan.seed, "bootstrap"))
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), plan.resamples)
    weights = np.vstack([np.ones(len(is_sample)), drawn[:, group_N]])
    ours, theirs = weights[:, is_sample], weights[:, ~is_sample]
    with np.errstate(invalid="ignore"):  # a resample without one of the sets is not counted
        aucs = ((ours @ wins) * theirs).sum(axis=1) / ((ours @ pairs) * theirs).sum(axis=1)
        accuracies = (ours @ right[is_sample] / ours.sum(axis=1)
                      + theirs @ right[~is_sample] / theirs.sum(axis=1)) / 2  # fmt: skip
    fewest = min(len(np.unique(group_N[side])) for side in (is_sample, ~is_sample))
    level = expanded(plan.level, fewest)
    auc, accuracy = (
        Interval(float(values[0]), *percentiles(values[1:], level), len(is_sample))
        for values in (aucs, accuracies)
    )
    return Told(auc, accuracy, odds_RN.mean(axis=0))


def _comparisons(odds_RN: Values, fold_RN: Index, is_sample: Bools) -> tuple[Values, Values]:
    """For every sample and real piece: how often the sample had the higher odds, ties half, and how
    often both were in one fold; shape (samples, real), summed over repetitions.
    """
    wins = np.zeros((int(is_sample.sum()), int((~is_sample).sum())))
    pairs = np.zeros_like(wins)
    for odds, fold in zip(odds_RN, fold_RN, strict=True):
        together = fold[is_sample][:, None] == fold[~is_sample]
        above = np.sign(odds[is_sample][:, None] - odds[~is_sample]) / 2 + 0.5
        wins += above * together
        pairs += together
    return wins, pairs


def logistic(values: Values, *, strength: float = 0.1) -> Learner:
    """Regularized logistic regression on features, (N, F), standardized; both sets weigh alike.

    strength: scikit-learn's C. Undefined values are the median of the pieces learned from.
    """

    def learn(rows: Index, is_sample: Bools, seed: int) -> Callable[[Index], Values]:
        from sklearn.linear_model import LogisticRegression  # takes a second to import

        middle, scale = _standard(values[rows])
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
        model.fit(standardized(values[rows], middle, scale), is_sample)
        weights, bias = model.coef_[0], float(model.intercept_[0])
        return lambda asked: standardized(values[asked], middle, scale) @ weights + bias

    return learn


def standardized(values: Values, middle: Values, scale: Values) -> Values:
    """Values as multiples of `scale` from their `middle`; undefined ones lie in it."""
    return np.nan_to_num((values - middle) / scale)


def _standard(values: Values) -> tuple[Values, Values]:
    known = np.where(np.isnan(values).all(axis=0), 0.0, values)
    middle, scale = np.nanmedian(known, axis=0), np.nanstd(known, axis=0)
    return middle, np.where(scale > 0, scale, 1.0)


@dataclass(frozen=True)
class Clue:
    """A feature that gave samples away.

    drop: by how much the mean log-odds of samples above those of real pieces fall when its values
    are shuffled among the pieces (permutation importance; features that say the same share it).
    alone: AUC by this feature by itself, above 0.5 where samples have more of it.
    """

    feature: str
    drop: float
    alone: float


def clues(
    learner: Learner,
    names: Sequence[str],
    values: Values,
    is_sample: Bools,
    groups: Sequence[str],
    plan: Plan,
) -> tuple[Told, list[Clue]]:
    """The test on features, (N, F), and all features by how much the classifiers use them.

    learner: of `logistic(values)`; the values are changed while it is asked, and restored.
    """
    told, classifiers, fold_RN = tell_apart(learner, is_sample, groups, plan)
    if not classifiers:
        return told, []
    folds = len(classifiers) // plan.repeats
    order = np.random.default_rng(seed_of(plan.seed, "permute")).permutation(len(values))
    found = []
    for column, name in enumerate(names):
        own = values[:, column].copy()
        values[:, column] = own[order]
        odds_RN = np.empty(fold_RN.shape)
        for number, classifier in enumerate(classifiers):
            inside = np.flatnonzero(fold_RN[number // folds] == number % folds)
            odds_RN[number // folds, inside] = classifier(inside)
        values[:, column] = own
        drop = _gap(told.odds, is_sample) - _gap(odds_RN.mean(axis=0), is_sample)
        found.append(Clue(name, drop, _auc_of(own[is_sample], own[~is_sample])))
    return told, sorted(found, key=lambda clue: (-clue.drop, clue.feature))


def _gap(odds: Values, is_sample: Bools) -> float:
    return float(odds[is_sample].mean() - odds[~is_sample].mean())


def _auc_of(ours: Values, theirs: Values) -> float:
    ours, theirs = ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]
    if not len(ours) or not len(theirs):
        return np.nan
    return float((np.sign(ours[:, None] - theirs) / 2 + 0.5).mean())
