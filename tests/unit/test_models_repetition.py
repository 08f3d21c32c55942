"""Repetitions: against a search by hand, step by step, and what they are for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.models.autoregressive.parts.config import StepConfig
from ostinato.models.autoregressive.parts.repetition import (
    LONGEST,
    empty_memory,
    find_repetitions,
    next_repetition,
)
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec

BLANK = 99


def by_hand(rows, t, reach):
    """(level, distance) of the best match that ends before row t, by comparing row after row."""
    best = (0, 0)
    for distance in range(1, min(reach, t) + 1):
        length = 0
        while length < LONGEST and t - distance - length >= 0:
            if rows[t - length] != rows[t - distance - length]:
                break
            length += 1
        if length.bit_length() > best[0]:
            best = (length.bit_length(), distance)
    return best


sequences = st.integers(1, 2).flatmap(
    lambda width: st.lists(st.lists(st.integers(0, 1), min_size=width, max_size=width), min_size=1)
)


@settings(deadline=None, max_examples=min(60, settings.default.max_examples))
@given(rows=sequences, copies=st.integers(1, 3), reach=st.integers(1, 40))
def test_a_match_is_what_followed_the_longest_match_and_steps_find_the_same(rows, copies, reach):
    rows = (rows * copies)[:120]
    rows_BTW = torch.tensor([rows])
    match = find_repetitions(rows_BTW, reach, BLANK)
    memory = empty_memory(1, reach, rows_BTW.shape[2], rows_BTW.device)
    for t in range(len(rows)):
        level, distance = by_hand(rows, t, reach)
        expected = rows[t - distance + 1] if level else [BLANK] * len(rows[0])
        assert int(match.level[0, t]) == level
        assert match.rows[0, t].tolist() == expected
        stepped = next_repetition(rows_BTW[:, t], memory, BLANK)
        assert (int(stepped.level), stepped.rows[0].tolist()) == (level, expected)
        if level:
            assert int(match.distance[0, t]) == distance == int(stepped.distance)


@pytest.mark.parametrize("family", ["lstm", "gpt", "music_transformer", "gpt2"])
def test_it_lets_a_model_copy_what_it_cannot_remember(family):
    """Random rows, then the same again: after a few steps only the repeat can be told."""
    sizes = {} if family == "lstm" else {"heads": 2, "context": 8}
    if family == "music_transformer":
        sizes["max_distance"] = 8
    config = {
        "width": 32,
        "voice_hidden": 16,
        "layers": 1,
        "dropout": 0.0,
        "repetition_memory": 32,
    } | sizes
    torch.manual_seed(0)
    model = build(family, config, ArraySpec(width=2, vocabulary=9))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(40):
        once = torch.randint(0, 9, (8, 12, 2))
        nats = model.score(once.repeat(1, 2, 1))
        optimizer.zero_grad()
        nats.mean().backward()
        optimizer.step()
    new, again = nats[:, 2:12].mean(), nats[:, 14:].mean()
    assert new > 2.0  # ln 9 is 2.2
    assert again < 0.5


def test_a_negative_reach_is_refused():
    with pytest.raises(ValueError, match="repetition_memory=-1 cannot be negative"):
        StepConfig(width=8, repetition_memory=-1)
