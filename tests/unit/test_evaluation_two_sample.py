"""The measure two_sample on samples that nobody should take for music, and on music itself."""

from dataclasses import replace

import numpy as np
import pytest

from ostinato.evaluation.excerpts import sample_excerpts
from ostinato.evaluation.measures import two_sample
from ostinato.evaluation.measures.protocol import Context, Corpus
from ostinato.evaluation.trivial import random_pitches, shuffled_bars
from ostinato.metrics.step_network import NetworkSettings


def named(pieces, prefix):
    own = [replace(piece, id=f"{prefix}{number}") for number, piece in enumerate(pieces)]
    return sample_excerpts(own, [True] * len(own))


@pytest.fixture(scope="module")
def real(chorale):
    held = named([chorale(number) for number in range(30)], "held")
    train = named([chorale(500 + number) for number in range(30)], "train")
    fields = {"quarters": 16, "groups": {}, "tokens": None, "seed": 1, "resamples": 50}
    sets = {"held_out": held, "train": train, "held_out_whole": held, "train_whole": train}
    stored = two_sample.reference(Corpus(**sets, **fields, all_train=list))
    rest = {"reference": stored, "scorer": None, "card": {}, "history": []}
    return lambda pieces: Context(
        samples=named(pieces, "s"), samples_whole=named(pieces, "s"), **sets, **fields, **rest
    )


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(two_sample, "DRAWS", {"features": 3, "network": 1})
    small = NetworkSettings(width=8, steps=12)
    learn = two_sample.network
    monkeypatch.setattr(two_sample, "network", lambda values: learn(values, small))


@pytest.mark.starts
def test_random_pitches_are_caught_and_real_music_is_not(chorale, real, quick):
    pieces = [chorale(900 + n) for n in range(16)]
    caught = two_sample.measure(real([random_pitches(piece, 1) for piece in pieces]))
    honest = two_sample.measure(real(pieces))
    accuracy = caught.values["features_accuracy"]
    assert accuracy.value > 0.95
    assert accuracy.floor.high < accuracy.value
    assert honest.values["features_accuracy"].low < accuracy.floor.high < 0.8
    clues = [name for name in caught.values if name.startswith("clue_")]
    assert len(clues) == two_sample.SHOWN
    assert caught.per_piece["samples/network_log_odds"].shape == (16,)
    assert caught.per_piece["held_out/features_log_odds"].shape == (30,)


@pytest.mark.starts
def test_means_of_held_out_music_are_over_groups(chorale, real, quick):
    pieces = [random_pitches(chorale(900 + n), 1) for n in range(6)]
    context = real(pieces)
    works = np.array([f"work {n // 6}" for n in range(30)])
    held = replace(context.held_out, groups=works)
    result = two_sample.measure(replace(context, held_out=held))
    clues = [f for name, f in result.values.items() if name.startswith("clue_")]
    assert {clue.reference.groups for clue in clues} == {5}
    assert "of 6 training pieces" in result.note


@pytest.mark.long
def test_without_samples_nothing_is_defined(real, quick):
    figures = two_sample.measure(real([])).values
    assert all(np.isnan(figure.value) for figure in figures.values())


def test_the_floor_draws_each_group_once():
    groups = np.array(["a", "a", "b", "c", "c", "c", "d"])
    for seed in range(5):
        chosen = groups[two_sample.one_of_each_group(groups, 3, seed)]
        assert len(chosen) == len(set(chosen)) == 3
    assert two_sample.one_of_each_group(groups, 9, 1).sum() == 4


def test_shuffled_bars_keep_their_notes_and_their_places(chorale):
    piece = chorale(3, bars=6)
    moved = shuffled_bars(piece, 1)
    bar = 4 * piece.ticks_per_quarter
    assert len(moved.notes) == len(piece.notes)
    assert sorted(moved.notes["pitch"]) == sorted(piece.notes["pitch"])
    contents = [
        sorted(zip(x["onset"] % bar, x["pitch"], strict=True))
        for p in (piece, moved)
        for x in (p.notes[p.notes["onset"] // bar == n] for n in range(6))
    ]
    assert sorted(contents[:6]) == sorted(contents[6:])
    assert contents[:6] != contents[6:]
    assert contents[5] == contents[11]  # the last bar stays
    assert shuffled_bars(chorale(1, bars=3), 1).notes.tolist() == chorale(1, bars=3).notes.tolist()


def test_random_pitches_keep_rhythm_and_range(chorale):
    piece = chorale(3)
    made = random_pitches(piece, 1)
    for track in range(4):
        ours, theirs = (p.notes[p.notes["track"] == track] for p in (made, piece))
        assert ours["onset"].tolist() == theirs["onset"].tolist()
        assert ours["pitch"].min() >= theirs["pitch"].min()
        assert ours["pitch"].max() <= theirs["pitch"].max()
    assert random_pitches(piece, 2).notes.tolist() != made.notes.tolist()
