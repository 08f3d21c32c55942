"""What rows are expected to be: with every row of two voices at hand, the gradient is exact."""

import itertools

import numpy as np
import pytest
import torch

from ostinato.models.policy.parts.expected import Decoded
from ostinato.models.policy.parts.rows import RowCounts
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.lines import draw_split
from ostinato.training.policy import chords

PITCHES, TIMES = 4, 200
BEFORE = (0, 3)


def test_the_gradient_reaches_the_voice_that_is_chosen_first():
    """Of one voice that begins alone: by enumeration, and by the values of choices."""
    rows = list(itertools.product(range(PITCHES), repeat=2))
    pitch = torch.tensor([[BEFORE, row] for row in rows]).repeat(TIMES, 1, 1)
    real = torch.tensor([[False, True]]).expand(len(pitch), 2)
    beat = torch.zeros_like(real)
    counted = RowCounts(["alone"], chords(), torch.arange(PITCHES), [0, 1])
    counted.fit(pitch, beat, real)
    logits = torch.zeros(2, PITCHES, requires_grad=True)
    probs = logits.softmax(dim=-1).expand(len(pitch), 2, 2, PITCHES)
    above, below = counted.expected(probs, pitch, beat, real)["alone"] / len(pitch)
    first, second = logits.softmax(dim=-1)
    weights = [(first[a] * second[b], (a != BEFORE[0]) + (b != BEFORE[1])) for a, b in rows]
    for found, wanted in (
        (above, sum(weight for weight, begun in weights if begun == 1)),
        (below, sum(weight for weight, begun in weights if begun)),
    ):
        assert found.item() == pytest.approx(wanted.item(), abs=1e-5)
        ours, theirs = (
            torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (found, wanted)
        )
        assert ours.tolist() == [pytest.approx(row, abs=1e-3) for row in theirs.tolist()]
        assert theirs.abs().max() > 0.02


def test_probabilities_are_those_that_are_drawn():
    decoding = Decoding(top_p=0.9, temperature=0.8, split=0.8, motion=0.7)
    decoded = Decoded(top_p=0.9, split=0.8, motion=0.7)
    logits = torch.tensor([2.0, 1.0, 0.5, -1.0, -4.0])
    before = torch.tensor([1])
    count = 20000
    uniform = torch.from_numpy((np.arange(count) + 0.5) / count)
    drawn = draw_split(logits.repeat(count, 1), uniform, before.repeat(count), None, decoding)
    shares = torch.bincount(drawn, minlength=len(logits)) / count
    log = logits.log_softmax(dim=0).expand(1, 2, 1, -1)
    found = decoded.probabilities(log, before.expand(1, 2, 1))[0, 1, 0]
    assert found.tolist() == pytest.approx(shares.tolist(), abs=1e-3)
    assert float(found[-1]) == 0
