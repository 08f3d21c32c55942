"""Trivial samples: what they are made of, and that intervals outside real music are noticed."""

from dataclasses import replace

import numpy as np
import pytest

from ostinato.evaluation.excerpts import sample_excerpts
from ostinato.evaluation.trivial import (
    COUNT,
    FILE,
    KINDS,
    first_of_groups,
    trivial_samples,
    with_trivial,
    write_trivial,
)
from ostinato.metrics.bootstrap import Interval
from ostinato.metrics.figure import Figure
from ostinato.music.recording import Recording


def test_each_kind_is_made_of_the_same_pieces_of_different_groups(chorale):
    pieces = [replace(chorale(n), id=f"p{n}") for n in range(COUNT + 4)]
    groups = np.array([f"g{n // 2}" for n in range(len(pieces))])
    train = replace(sample_excerpts(pieces, [True] * len(pieces)), groups=groups)
    made = trivial_samples(train, 1)
    assert set(made) == set(KINDS)
    names = made["copied training pieces"].ids
    assert len({groups[int(name[1:])] for name in names}) == len(names) == len(pieces) // 2
    assert all(samples.ids == names for samples in made.values())
    for name, copy, moved in zip(
        names, made["copied training pieces"], made["bars in random order"], strict=True
    ):
        original = pieces[int(name[1:])]
        assert copy is original
        assert sorted(moved.notes["pitch"]) == sorted(original.notes["pitch"])
    again = trivial_samples(train, 1)["random pitches"]
    assert again[0].notes.tolist() == made["random pitches"][0].notes.tolist()
    assert trivial_samples(train, 2)["random pitches"].ids != names


def test_at_most_so_many_are_made(chorale):
    pieces = [replace(chorale(0), id=f"p{n}") for n in range(COUNT + 3)]
    made = trivial_samples(sample_excerpts(pieces, [True] * len(pieces)), 1)
    assert {len(samples) for samples in made.values()} == {COUNT}
    assert len(first_of_groups(np.array(["a", "b", "a"]), 1)) == 2


def test_of_sound_nothing_is_made(tmp_path):
    frames = np.zeros((8, 4), np.float32)
    recording = Recording(id="r", frames=frames, rate=8.0, sample_rate=16000, invert=np.ravel)
    write_trivial(tmp_path / FILE, {}, sample_excerpts([recording], [True]), 1)
    assert with_trivial(tmp_path / FILE, {}, "dvc repro") == {}


@pytest.mark.parametrize(
    ("direction", "low", "high", "apart"),
    [
        ("lower", 3.1, 4.0, True),
        ("lower", 2.9, 4.0, False),
        ("lower", 0.1, 0.5, False),  # better than real music
        ("higher", 0.1, 0.5, True),
        ("corpus", 0.1, 0.5, True),
        ("corpus", 3.1, 4.0, True),
        ("corpus", 1.5, 2.5, False),
    ],
)
def test_apart_is_outside_real_music_on_the_worse_side(direction, low, high, apart):
    found = Interval((low + high) / 2, low, high)
    real = Interval(2.0, 1.0, 3.0)
    assert Figure(0.0, direction=direction, floor=real).is_apart(found) is apart
    assert Figure(0.0, direction=direction, reference=real).is_apart(found) is apart
    assert not Figure(0.0, direction=direction).is_apart(found)
