"""Splits pairs by listener and by prompt: what is held out shares neither with what is fitted."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.feedback.preferences import Pairs
from ostinato.seeds import seed_of


@dataclass(frozen=True)
class SplitPairs:
    """first, second: for the reward that is maximised and for the one that guards it, of different
    listeners. test: of other listeners about other prompts. aside: pairs of held-out listeners
    about other prompts, or the reverse, which nobody uses.
    """

    first: Pairs
    second: Pairs
    test: Pairs
    aside: int


def split_pairs(pairs: Pairs, held_out: float, seed: int) -> SplitPairs:
    """A split by listener and by prompt.

    held_out: share of both that is kept for the test, at least one of each.
    """
    group = _groups(pairs.listener, held_out, seed_of(seed, "listeners"))
    is_test = _groups(pairs.prompt, held_out, seed_of(seed, "prompts")) == 0
    masks = [(group == 1) & ~is_test, (group == 2) & ~is_test, (group == 0) & is_test]
    first, second, test = (pairs.only(mask) for mask in masks)
    for name, part in (("fitted", first), ("fitted", second), ("held out", test)):
        if not len(part):
            raise ValueError(
                f"no pair is left to be {name} when {len(pairs)} pairs are split by listener and "
                "by prompt; collect more answers, or change reward.held_out"
            )
    return SplitPairs(first, second, test, len(pairs) - len(first) - len(second) - len(test))


def _groups(names: npt.NDArray[np.int64], held_out: float, seed: int) -> npt.NDArray[np.int64]:
    """0 for a held-out name, else 1 or 2 in turn."""
    known, number = np.unique(names, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(known))
    kept = max(1, round(held_out * len(known)))
    group = np.zeros(len(known), dtype=np.int64)
    group[order[kept:]] = 1 + np.arange(len(known) - kept) % 2
    found: npt.NDArray[np.int64] = group[number]
    return found
