"""The measure originality catches a system that copies."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ostinato.evaluation.excerpts import sample_excerpts
from ostinato.evaluation.measures import originality
from ostinato.music.piece import cut
from ostinato.representations.grid.grid import Grid


@pytest.fixture(scope="module")
def context(chorale):
    grid = Grid()
    arrays = [grid.encode(chorale(seed, bars=6)) for seed in range(12)]
    train = [replace(grid.decode(array), id=f"t{n}") for n, array in enumerate(arrays)]
    held = [replace(grid.decode(grid.encode(chorale(100 + n))), id=f"h{n}") for n in range(20)]
    part = SimpleNamespace(piece=np.array([p.id for p in train]), tokens_of=arrays.__getitem__)
    tokens = SimpleNamespace(splits={"train": part}, codec={"representation": grid.codec()})
    given = {
        "held_out": sample_excerpts(held, [True] * 20),
        "tokens": tokens,
        "seed": 1,
        "resamples": 50,
    }
    stored = originality.reference(SimpleNamespace(**given, all_train=lambda: iter(train)))
    return lambda pieces: SimpleNamespace(
        **given, reference=stored, samples=sample_excerpts(pieces, [True] * len(pieces))
    ), train


def test_copies_are_flagged_and_their_source_is_named(context, chorale):
    context_of, train = context
    copies = []
    for number in (3, 8):
        part = cut(train[number], 16, 80)
        notes = part.notes.copy()
        notes["pitch"] += 2  # in another key
        slow = part.ticks_per_quarter // 2  # and at half the tempo
        copies.append(replace(part, id=f"c{number}", notes=notes, ticks_per_quarter=slow))
    own = [replace(chorale(200 + number), id=f"own{number}") for number in range(2)]
    result = originality.measure(context_of([*copies, *own]))
    assert result.values["flagged"].value == 0.5
    assert result.per_piece["samples/flagged"].tolist() == [1, 1, 0, 0]
    assert result.per_piece["samples/copied_share"][:2].tolist() == [1, 1]
    assert [shown.is_flagged for shown in result.gallery] == [True, True, False, False]
    assert "are in t3;" in result.gallery[0].caption
    assert "here from quarter 0, there from 4" in result.gallery[0].caption
    assert (result.gallery[0].beside.notes == train[3].notes).all()
    assert result.values["copied_share"].reference.value < 0.5


def test_without_samples_nothing_is_defined(context):
    result = originality.measure(context[0]([]))
    assert np.isnan(result.values["copied_share"].value)
    assert not result.gallery
