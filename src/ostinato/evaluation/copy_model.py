"""A copy model: what followed the longest match in the piece so far, mixed with another model.

p(x) = w · [x is what followed] + (1 - w) · p_other(x). The match is the longest run of sub-tokens
just before x that also occurs earlier in the piece, in the same columns, the latest of several. The
weight w depends on the length of the run only and is fitted on valid (expectation maximization).
"""

# N sub-tokens of a piece

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
LONGEST_LAG = 1024  # positions
ROUNDS = 30


def matches(piece: Numbers) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Length of the longest match before each sub-token of a piece (T, W), and whether what
    followed the match is the sub-token; both (N,).
    """
    width, flat = piece.shape[1], piece.ravel()
    best, right = np.zeros(len(flat), dtype=np.int64), np.zeros(len(flat), dtype=bool)
    for lag in range(width, min(len(flat), width * (LONGEST_LAG + 1)), width):
        same = flat[lag:] == flat[:-lag]
        places = np.arange(len(same))
        broken = np.maximum.accumulate(np.where(same, -1, places))
        run = np.r_[0, (places - broken)[:-1]]  # equal sub-tokens just before this one
        longer = run > best[lag:]
        best[lag:][longer] = run[longer]
        right[lag:][longer] = same[longer]
    return best, right


def classes(lengths: Numbers) -> Numbers:
    """Class of a match length: 0, 1, 2 to 3, 4 to 7 and so on."""
    return np.where(lengths > 0, np.floor(np.log2(np.maximum(lengths, 1))) + 1, 0).astype(np.int64)


def fitted_weights(parts: Sequence[tuple[Numbers, npt.NDArray[np.bool_], Values]]) -> Values:
    """The weight of every class, from (lengths, right, probabilities by the other model) of pieces;
    0 where there is nothing to learn from.
    """
    weights = np.zeros(64)
    if not parts:
        return weights
    lengths, right, others = (np.concatenate(column) for column in zip(*parts, strict=True))
    kind = classes(lengths)
    count = np.bincount(kind, minlength=64)
    weights[(count > 0) & (np.arange(64) > 0)] = 0.5
    for _ in range(ROUNDS):
        copied = weights[kind] * right
        share = copied / (copied + (1 - weights[kind]) * others)
        weights = np.bincount(kind, share, minlength=64) / np.maximum(count, 1)
    return np.minimum(weights, 1 - 1e-4)


def mixed(
    lengths: Numbers, right: npt.NDArray[np.bool_], others: Values, weights: Values
) -> Values:
    """Probability of every sub-token."""
    weight = weights[classes(lengths)]
    return weight * right + (1 - weight) * others
