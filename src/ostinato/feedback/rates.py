"""The corpus as referee: how near the statistics of many clips together are to the corpus's.

Bach writes 2 parallels in 1,000 pairs of voices that move together, and a clip of four bars has a
few dozen of these: whether it has a parallel says little of its model. What is compared is
therefore a model's rate, R_k = Σ above_k / Σ below_k over its clips, with the corpus's, C_k:

    J = -1/2 Σ_k w_k ((R_k - C_k) / s_k)², s_k the standard deviation of the statistic among clips.

A clip's part in J is, to first order, -Σ_k w_k (R_k - C_k) / s_k² (above_k - R_k below_k) / b_k,
with b_k the mean of below_k. It vanishes where the corpus is reached. To move less is no remedy: a
pair that moves together counts 1 where it is parallel, less R_k in any case, 0 in the mean.
"""

# N clips, S statistics

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.feedback.statistics import Values, counts_of, statistics_of
from ostinato.music.piece import Piece


@dataclass(frozen=True)
class Rates:
    """Nearness to the corpus. corpus, base: C_k and the base's R_k; scale: s_k; below: b_k; spread:
    the standard deviation of the parts in J of the base's clips.
    """

    weights: Mapping[str, float]
    corpus: Sequence[float]
    base: Sequence[float]
    scale: Sequence[float]
    below: Sequence[float]
    spread: float = 1.0

    @classmethod
    def fitted(
        cls, weights: Mapping[str, float], clips: Sequence[Piece], corpus: Sequence[Piece]
    ) -> "Rates":
        """Of the base's clips and of the corpus's pieces."""
        weights = dict(sorted(weights.items()))  # the order that JSON keeps
        names = list(weights)
        counts = counts_of(clips, names)
        scale = np.nanstd(statistics_of(clips, names), axis=0)
        found = cls(
            weights,
            tuple(rates_of(counts_of(corpus, names)).tolist()),
            tuple(rates_of(counts).tolist()),
            tuple(np.where(scale > 0, scale, 1.0).tolist()),
            tuple(counts[..., 1].mean(axis=0).clip(min=1e-9).tolist()),
        )
        spread = float(found.of(clips).std())
        return cls(**{**vars(found), "spread": spread if spread > 0 else 1.0})

    def of(self, pieces: Sequence[Piece]) -> Values:
        """Each clip's part in J at the base's rates, (N,), in standard deviations among its clips:
        the mean of the base's own is 0.
        """
        return self._parts(counts_of(pieces, list(self.weights)), np.array(self.base)).sum(axis=1)

    def nearness(self, rates: Values) -> float:
        """J at these rates, in the units of `of`; 0 where the corpus is reached."""
        apart = (rates - np.array(self.corpus)) / np.array(self.scale)
        return -0.5 * float(np.array(list(self.weights.values())) @ apart**2) / self.spread

    def slope(self, name: str, rate: float) -> float:
        """By how much J falls as a statistic rises from this rate, in the units of `of`."""
        place = list(self.weights).index(name)
        apart = (rate - self.corpus[place]) / self.scale[place] ** 2
        return self.weights[name] * apart / self.spread

    def _parts(self, counts: Values, rates: Values) -> Values:
        weights, scale = np.array(list(self.weights.values())), np.array(self.scale)
        pull = -weights * (rates - np.array(self.corpus)) / scale**2
        return pull * (counts[..., 0] - rates * counts[..., 1]) / np.array(self.below) / self.spread


def rates_of(counts: Values) -> Values:
    """R_k of counts (N, S, 2), (S,); 0 where there is nothing to count."""
    above, below = np.moveaxis(counts.sum(axis=0), -1, 0)
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
