"""Two roles of a piece: onsets together, features of pairs, and pairs of different pieces."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ostinato.evaluation.measures import roles as measure
from ostinato.metrics.roles import (
    FEATURES,
    chance_of_one_piece,
    features_of,
    on_the_kick,
    onsets_together,
    pair_features,
    pairs_of,
    parts_of,
)
from ostinato.models.spec import PAD
from ostinato.music.piece import Piece, Track, make_notes

TRACKS = (Track(role="bass"), Track(role="melody"), Track(role="drums", is_drum=True))


def piece_of(rows, name="made"):
    return Piece(id=name, ticks_per_quarter=4, notes=make_notes(rows), tracks=TRACKS)


def random_piece(seed, agree=True):
    """A bass and a melody a fifth above it, or a semitone beside it."""
    rng = np.random.default_rng(seed)
    rows = []
    for step in range(0, 64, 4):
        pitch = int(rng.choice([40, 42, 44, 45, 47]))
        rows += [(0, step, 4, pitch, 80), (1, step, 4, pitch + (19 if agree else 13), 80)]
    return piece_of(rows, str(seed))


def test_onsets_together_are_shares_of_the_second_roles_onsets():
    parts = parts_of(piece_of([(0, 0, 4, 40, 80), (0, 8, 4, 43, 80), (2, 0, 1, 36, 80)]))
    assert onsets_together(parts["drums"], parts["bass"]) == (1.0, 2.0)
    assert onsets_together(parts["bass"], parts["drums"]) == (1.0, 1.0)
    assert parts["drums"].chroma.sum() == 0
    assert "melody" not in parts


def test_the_kick_is_the_bass_drum_alone():
    rows = [(0, 0, 4, 40, 80), (0, 8, 4, 43, 80), (0, 12, 4, 43, 80)]
    assert on_the_kick(piece_of(rows), "bass") == (0.0, 0.0)
    hits = [(2, 0, 1, 36, 80), (2, 8, 1, 38, 80), (2, 12, 1, 35, 80)]
    assert on_the_kick(piece_of(rows + hits), "bass") == (2.0, 3.0)


def test_the_mean_over_pairs_is_of_the_pairs_that_a_piece_has():
    rows = [np.array([0.25, np.nan, np.nan]), np.array([0.75, 0.5, np.nan])]
    assert measure._mean(rows)[:2].tolist() == [0.5, 0.5]
    assert np.isnan(measure._mean(rows)[2])


def test_drums_come_first_in_their_pairs():
    pieces = [piece_of([(0, 0, 4, 40, 80)])]
    assert measure._pairs(pieces) == [("drums", "bass"), ("drums", "melody"), ("bass", "melody")]


def test_features_of_a_pair_say_intervals_lags_and_densities():
    parts = parts_of(piece_of([(0, 0, 8, 40, 80), (1, 0, 4, 47, 80), (1, 4, 4, 44, 80)]))
    found = pair_features(parts["bass"], parts["melody"])
    assert found.shape == (FEATURES,)
    assert found[7] == found[4] == 0.5  # a fifth and a third, four steps each
    assert found[:12].sum() == 1
    assert found[12 + 2] == 1  # the melody begins where the bass does


def test_pairs_of_different_pieces_are_in_one_key_and_what_is_missing_is_nan():
    pieces = [parts_of(random_piece(seed)) for seed in range(3)]
    pieces.append(parts_of(piece_of([(0, 0, 4, 40, 80)])))
    real = pairs_of(pieces, ("bass", "melody"), shuffled=False)
    assert [pair is None for pair in real] == [False, False, False, True]
    mixed = pairs_of(pieces, ("bass", "melody"), shuffled=True)
    assert mixed[0][0] is pieces[0]["bass"]
    assert np.array_equal(mixed[0][1].onsets, pieces[1]["melody"].onsets)
    own, other = pieces[0]["melody"].chroma.sum(axis=0), mixed[0][1].chroma.sum(axis=0)
    assert own @ other == max(own @ np.roll(other, k) for k in range(12))
    assert np.isnan(features_of(real)[3]).all()


def test_a_classifier_tells_roles_that_fit_from_roles_that_do_not():
    known = [parts_of(random_piece(seed)) for seed in range(40)]
    real, mixed = (
        features_of(pairs_of(known, ("bass", "melody"), shuffled=shuffled))
        for shuffled in (False, True)
    )
    asked = [parts_of(random_piece(100 + n, agree=n < 5)) for n in range(10)]
    features = features_of(pairs_of(asked, ("bass", "melody"), shuffled=False))
    found = chance_of_one_piece(real, mixed, features)
    assert found[:5].min() > 0.9
    assert found[5:].max() < 0.1
    assert np.isnan(chance_of_one_piece(real[:3], mixed, features)).all()


def test_nats_of_roles_are_those_of_their_notes_alone():
    names = ["end", "with_bass", "bar_4/4", "bass", "bass_position_0", "bass_duration_1"]
    names += ["bass_pitch_40", "bass_drum", "bass_drum_position_0"]
    codec = {
        "vocabulary": names,
        "representation": {"kind": "roles", "roles": ["bass", "bass_drum"]},
    }
    piece = np.array([1, 2, 3, 4, 6, 5, 0])[:, None]

    class Part:
        length, conditions = np.array([7]), np.zeros((1, 0))
        tokens = piece

        def __len__(self):
            return 1

        def tokens_of(self, number):
            return piece

    class Scorer:
        kind = "exact"

        def score(self, batch, given):
            return torch.where(batch == PAD, 0.0, batch.float())

    context = SimpleNamespace(
        tokens=SimpleNamespace(codec=codec, splits={"test": Part()}),
        scorer=Scorer(),
        groups={"test": np.array(["a"])},
        seed=1,
        resamples=10,
    )
    found = measure._costs(context)
    assert list(found) == ["nats_per_note_bass"]
    assert found["nats_per_note_bass"].value == pytest.approx(4 + 6 + 5)
    context.tokens.codec["representation"]["kind"] = "events"
    assert measure._costs(context) == {}
