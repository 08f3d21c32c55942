"""The n-gram and the copy model against plain loops."""

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from ostinato.evaluation.copy_model import classes, fitted_weights, matches, mixed
from ostinato.evaluation.ngram import USUAL_LEVEL, Ngram


def test_matches_are_what_a_loop_finds():
    generator = np.random.default_rng(0)
    for width in (1, 2):
        piece = generator.integers(0, 2, (20, width))
        flat = piece.ravel().tolist()
        lengths, right = matches(piece)
        for place in range(len(flat)):
            best, followed = 0, None
            for lag in range(width, place + 1, width):
                size = 0
                later, earlier = flat[:place][::-1], flat[: place - lag][::-1]
                while size < len(earlier) and later[size] == earlier[size]:
                    size += 1
                if size > best:
                    best, followed = size, flat[place - lag]
            assert lengths[place] == best
            assert right[place] == (best > 0 and followed == flat[place])


def test_weights_are_the_most_likely():
    generator = np.random.default_rng(1)
    lengths = generator.integers(0, 9, 4000)
    right = generator.random(4000) < 0.1 * classes(lengths)
    others = np.full(4000, 0.05)
    weights = fitted_weights([(lengths, right, others)])
    assert weights[0] == 0
    for kind in (1, 2, 3, 4):
        own = classes(lengths) == kind

        def nats(weight, own=own):
            return -np.log(weight * right[own] + (1 - weight) * others[own]).sum()

        best = min(np.arange(0.0, 1.0, 0.002), key=nats)
        assert weights[kind] == pytest.approx(best, abs=0.003)
    assert mixed(lengths, right, others, weights).min() > 0
    assert fitted_weights([]).sum() == 0


class Part(SimpleNamespace):
    """A split of one piece."""

    def __len__(self):
        return 1


def test_an_ngram_is_witten_and_bells():
    train, query = [0, 1, 0, 2, 0, 1, 1, 0], [0, 1, 2, 0, 0]
    array = np.array(train)[:, None]
    part = Part(
        tokens=array,
        length=np.array([len(train)]),
        shift_low=np.array([0]),
        shift_high=np.array([0]),
        tokens_of=lambda number: array,
    )
    codec = {"vocabulary": ["a", "b", "c"]}
    model = Ngram(SimpleNamespace(codec=codec, splits={"train": part}, shifts={}))
    found = model.probabilities(np.array(query)[:, None])

    def probability(symbol, context):
        """By counting; positions before the piece are -1."""
        padded = [-1] * len(context) + train
        seen = Counter(
            padded[i + len(context)]
            for i in range(len(train))
            if padded[i : i + len(context)] == context
        )
        below = probability(symbol, context[1:]) if context else 1 / 3
        total, kinds = sum(seen.values()), len(seen)
        return (seen[symbol] + kinds * below) / (total + kinds) if total else below

    for level in range(4):
        for place, symbol in enumerate(query):
            context = ([-1] * level + query[:place])[place : place + level]
            assert math.isclose(found[level, place], probability(symbol, context))
    assert model.best_level([]) == USUAL_LEVEL
