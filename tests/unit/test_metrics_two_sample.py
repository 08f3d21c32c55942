"""The classifier two-sample test: 0.5 for equal sets, 1 for different ones, groups never split."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from ostinato.metrics.lanes import SILENT, lanes, roll
from ostinato.metrics.profile import profile, profiles
from ostinato.metrics.step_network import NetworkSettings, network, step_channels
from ostinato.metrics.two_sample import Plan, clues, grouped_folds, logistic, summary, tell_apart
from ostinato.music.piece import Annotation, Meter, Piece, Track, make_notes

PLAN = Plan(repeats=1, resamples=200)


def two_sets(shift, count=40, seed=0):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(2 * count, 6))
    is_sample = np.arange(2 * count) < count
    values[is_sample, 2] += shift
    return values, is_sample, [str(number) for number in range(2 * count)]


def test_equal_sets_are_not_told_apart_and_different_ones_are():
    aucs = []
    for seed in range(8):
        values, is_sample, groups = two_sets(0.0, seed=seed)
        aucs.append(tell_apart(logistic(values), is_sample, groups, PLAN)[0].auc.value)
    assert 0.42 < np.mean(aucs) < 0.58  # four standard errors of the mean are 0.09
    values, is_sample, groups = two_sets(8.0)
    told = tell_apart(logistic(values), is_sample, groups, PLAN)[0]
    assert (told.auc.value, told.accuracy.value) == (1.0, 1.0)
    assert (told.odds[is_sample].min() > told.odds[~is_sample].max()).all()


def test_folds_never_split_a_group_and_spread_both_sets():
    generator = np.random.default_rng(3)
    groups = [f"g{number}" for number in generator.integers(0, 30, 100)]
    is_sample = np.array([int(group[1:]) % 3 == 0 for group in groups])
    fold = grouped_folds(is_sample, groups, 5, seed=1)
    for group in set(groups):
        assert len({f for f, g in zip(fold.tolist(), groups, strict=True) if g == group}) == 1
    for kind in (True, False):
        counts = np.bincount(fold[is_sample == kind], minlength=5)
        assert counts.min() > 0.5 * counts.mean()
    assert (fold != grouped_folds(is_sample, groups, 5, seed=2)).any()


def test_auc_compares_pieces_of_one_fold_only():
    generator = np.random.default_rng(1)
    odds = np.round(generator.normal(size=(2, 12)), 1)  # some ties
    fold = np.stack([generator.permutation(12) % 3 for _ in range(2)])
    is_sample = np.arange(12) < 5
    right = total = 0.0
    for repeat, ours, theirs in product(range(2), range(5), range(5, 12)):
        if fold[repeat, ours] == fold[repeat, theirs]:
            total += 1
            difference = odds[repeat, ours] - odds[repeat, theirs]
            right += 1.0 if difference > 0 else 0.5 if difference == 0 else 0.0
    groups = [str(number) for number in range(12)]
    assert summary(odds, fold, is_sample, groups, PLAN).auc.value == pytest.approx(right / total)


def test_the_interval_is_of_groups():
    """Every piece twice, both in one group: nothing new is known, so no interval shrinks."""
    values, is_sample, groups = two_sets(0.8, count=20)
    odds, fold = values[None, :, 2], np.zeros((1, 40), dtype=np.int64)
    once = summary(odds, fold, is_sample, groups, PLAN)
    twice = summary(
        np.repeat(odds, 2, axis=1),
        np.repeat(fold, 2, axis=1),
        np.repeat(is_sample, 2),
        np.repeat(groups, 2).tolist(),
        PLAN,
    )
    for kind in ("auc", "accuracy"):
        one, two = getattr(once, kind), getattr(twice, kind)
        assert (one.value, one.low, one.high) == pytest.approx((two.value, two.low, two.high))
        assert one.low < one.value < one.high


def test_too_few_groups_are_undefined():
    told, classifiers, _ = tell_apart(
        logistic(np.zeros((4, 1))), np.arange(4) < 2, ["a", "a", "b", "c"], PLAN
    )
    assert np.isnan(told.auc.value)
    assert not classifiers


def test_what_gave_samples_away_is_named():
    values, is_sample, groups = two_sets(2.0)
    values[3, 1] = np.nan
    before = values.copy()
    names = [f"f{number}" for number in range(6)]
    found = clues(logistic(values), names, values, is_sample, groups, PLAN)[1]
    assert found[0].feature == "f2"
    assert found[0].drop > 3 * found[1].drop
    assert found[0].alone > 0.85
    np.testing.assert_array_equal(values, before)


def four_voices(rows, tick=4):
    """A piece of (track, onset, duration, pitch) rows in steps."""
    factor = tick // 4
    notes = make_notes([(v, factor * on, factor * length, p, 80) for v, on, length, p in rows])
    return Piece("p", tick, notes, tuple(Track() for _ in range(4)), meters=(Meter(0, 4, 4),))


# lanes 0 and 1 move from a fifth to a fifth; lane 3 moves against both; lane 2 holds
MOVING = [(0, 0, 4, 67), (0, 4, 4, 69), (1, 0, 4, 60), (1, 4, 4, 62), (2, 0, 8, 55), (3, 0, 4, 48)]
MOVING += [(3, 4, 4, 43)]


def test_lanes_are_what_sounds_highest_first():
    found = lanes(four_voices(MOVING))
    assert found.pitch[[0, 4]].tolist() == [[67, 60, 55, 48], [69, 62, 55, 43]]
    assert np.flatnonzero(found.begins.any(axis=1)).tolist() == [0, 4]
    assert found.begins[4].tolist() == [True, True, False, True]
    assert np.flatnonzero(found.bars).tolist() == [0]
    one = replace(four_voices([(0, 0, 4, 60), (0, 0, 4, 64), (0, 4, 2, 62)]), tracks=(Track(),))
    assert lanes(one).pitch.tolist() == [[64, 60]] * 4 + [[62, 62]] * 2
    late = replace(one, notes=make_notes([(0, 4, 4, 60, 80)]))
    assert lanes(late).pitch[0].tolist() == [SILENT, SILENT]
    sounds, begins = roll(one)
    assert (sounds.sum(), begins.sum()) == (10, 3)


def test_a_profile_worked_out_by_hand():
    found = profile(four_voices(MOVING))
    # three pairs of lanes move: (0, 1) in parallel fifths, (0, 3) and (1, 3) against each other
    assert found["parallel fifths"] == pytest.approx(1 / 3)
    assert found["contrary motion"] == pytest.approx(2 / 3)
    assert found["parallel octaves"] == 0
    assert found["melodic major second"] == pytest.approx(2 / 3)
    assert found["lanes that begin together"] == pytest.approx(7 / 8)
    assert found["no chord"] == 1.0  # C G: no third; G D A: neither
    assert found["crossed lanes"] == 0


def test_a_profile_counts_quarters_from_the_first_bar_line():
    # bars begin at the second sixteenth: chords on beats, seconds between them
    rows = [(v, 1 + 4 * n, 1, p, 80) for n in range(8) for v, p in enumerate((67, 64, 60))]
    rows += [(v, 3 + 4 * n, 1, p, 80) for n in range(8) for v, p in enumerate((62, 61, 60))]
    tracks = tuple(Track(role) for role in ("soprano", "alto", "bass"))
    bars = tuple(Annotation(onset, "bar") for onset in (1, 17, 33))
    found = profile(Piece("p", 4, make_notes(rows), tracks, annotations=bars))
    assert found["onsets at 0 sixteenths of a quarter"] == 0.5
    assert found["no chord on a beat"] == 0
    assert found["no chord"] == 0.5


def test_a_profile_knows_no_time_unit_velocity_or_name(chorale):
    piece = chorale(1)
    notes = piece.notes.copy()
    for name in ("onset", "duration"):
        notes[name] *= 2
    notes["velocity"] = 3
    other = replace(piece, id="other", ticks_per_quarter=960, notes=notes)
    assert profile(other) == profile(piece)
    assert (step_channels([other]) == step_channels([piece])).all()


@pytest.mark.long
def test_the_network_sees_no_key_and_tells_parallels(chorale):
    """Sets that differ only in how voices move: the alto doubles the soprano or walks alone."""

    def doubled(piece):
        notes = piece.notes
        own = notes[notes["track"] == 0]
        below = own.copy()
        below["track"], below["pitch"] = 1, own["pitch"] - 7
        rest = notes[notes["track"] > 1]
        return replace(piece, notes=make_notes([tuple(x) for x in [*own, *below, *rest]]))

    pieces = [chorale(seed) for seed in range(24)]
    moved = pieces[0].notes.copy()
    moved["pitch"] += 5
    channels = step_channels([pieces[0], replace(pieces[0], notes=moved)])
    assert (channels[0] == channels[1]).all()
    ours = [doubled(chorale(100 + seed)) for seed in range(24)]
    is_sample = np.arange(48) < 24
    groups = [str(number) for number in range(48)]
    learner = network(step_channels(ours + pieces), NetworkSettings(width=8, steps=25))
    state = torch.get_rng_state()
    plan = Plan(folds=2, repeats=1, resamples=20)
    told = tell_apart(learner, is_sample, groups, plan)[0]
    assert told.auc.value > 0.9
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(tell_apart(learner, is_sample, groups, plan)[0].odds, told.odds)


def test_no_pieces_have_no_features():
    assert profiles([])[1].shape == (0, 0)
    assert step_channels([]).shape == (0, 0, 0)
