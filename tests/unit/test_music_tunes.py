"""Tunes: versions of one are joined, other melodies are not, and no split divides one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.music.melody import steps
from ostinato.normalization import tunes
from ostinato.normalization.alignment import OPENING, Lines, Prices, best_passages
from ostinato.normalization.copies import Sketches
from ostinato.normalization.splits import Pieces, SplitRule, decide
from ostinato.normalization.tunes import run_length, tune_groups, tune_pairs, weights_of

STEPS = [-5, -4, -3, -2, -2, -1, -1, 1, 1, 2, 2, 2, 3, 5]
PRICES = Prices(edit=20, opening=40)


def tune(seed, length=45):
    return np.random.default_rng(seed).choice(STEPS, length)


def grouped(*lines):
    return tune_groups(Lines.of(lines), [str(line.tolist()) for line in lines]).tolist()


def with_passing_note(line, place):
    """A third or larger step in two."""
    step = line[place]
    return np.concatenate([line[:place], [np.sign(step), step - np.sign(step)], line[place + 1 :]])


def with_changed_note(line, place):
    changed = line.copy()
    changed[place : place + 2] = [line[place] + 12, line[place + 1] - 12]
    return changed


def versions(line, rng):
    """The tune with ornaments, with other notes and with another end."""
    wide = np.flatnonzero(np.abs(line) > 2)
    ornamented = line
    for place in sorted(rng.choice(wide, 4, replace=False))[::-1]:
        ornamented = with_passing_note(ornamented, place)
    changed = line
    for place in rng.choice(len(line) // 4, 3, replace=False) * 4:
        changed = with_changed_note(changed, place)
    return [line, ornamented, changed, np.concatenate([line[:36], rng.choice(STEPS, 12)])]


@pytest.mark.parametrize("seed", range(8))
def test_a_tune_stays_one_with_ornaments_other_notes_and_another_end(seed):
    line, other = tune(seed), tune(seed + 100)
    found = grouped(*versions(line, np.random.default_rng(seed)), other, other[5:40])
    assert found == [0, 0, 0, 0, 4, 4]


def test_a_transposed_melody_is_the_same_and_its_ornaments_do_not_matter(chorale, moved):
    piece = chorale(3, bars=16)
    line = steps(piece)
    assert np.array_equal(steps(moved(piece, 5, "higher")), line)
    ornamented = line
    for place in np.flatnonzero(np.abs(line) > 2)[::-3]:
        ornamented = with_passing_note(ornamented, place)
    assert len(ornamented) > len(line)
    assert grouped(line, ornamented) == [0, 0]


def test_a_common_first_phrase_is_not_a_common_tune():
    first = tune(1, 12)
    lines = [np.concatenate([first, tune(seed, 40)]) for seed in (2, 3, 4)]
    assert grouped(*lines) == [0, 1, 2]


def test_a_long_common_part_is_a_common_tune_only_with_the_share_of_the_shorter_one():
    common = tune(1, 20)
    long = [np.concatenate([common, tune(seed, 80)]) for seed in (2, 3)]
    assert grouped(*long) == [0, 1]
    assert grouped(*long, common) == [0, 0, 0]  # an excerpt is in both


def test_what_repeats_within_a_piece_makes_no_tune():
    riff = np.tile([4, 3, -3, -4], 30)  # a broken chord
    trill = np.tile([2, -2], 60)
    lines = [np.concatenate([part, tune(seed)]) for seed in (1, 2) for part in (riff, trill)]
    assert grouped(*lines) == [0, 0, 2, 2]
    assert weights_of(Lines.of([trill])).sum() == tunes.REPEATED * 11 + 11
    assert grouped(lines[1], trill, trill[:-1]) == [0, 1, 2]


def test_short_melodies_are_joined_only_if_they_are_equal():
    short = tune(1, 9)
    longer = np.concatenate([short, [7]])
    assert grouped(short, longer, short, longer[:0], longer[:0]) == [0, 1, 0, 3, 3]


def slow_score(a, b, weights_a, weights_b):
    """The same dynamic programming, cell by cell and without a band."""
    scores = np.zeros((len(a) + 2, len(b) + 2), int)
    edit = PRICES.edit
    for i, j in np.ndindex(len(a), len(b)):
        gain = min(weights_a[i], weights_b[j])
        at = scores[1:, 1:]  # at[i, j]: after i steps of a and j of b
        score = max(0, PRICES.opening if max(i, j) < OPENING else 0)
        score = max(score, at[i, j] + (gain if a[i] == b[j] else -edit))
        score = max(score, at[i, j + 1] - edit, at[i + 1, j] - edit)
        if j and b[j - 1] + b[j] == a[i]:
            score = max(score, at[i, j - 1] + gain - edit)
        if i and a[i - 1] + a[i] == b[j]:
            score = max(score, at[i - 1, j] + gain - edit)
        if i and j and a[i - 1] + a[i] == b[j - 1] + b[j]:
            score = max(score, at[i - 1, j - 1] + gain - edit)
        at[i + 1, j + 1] = score
    return scores.max()


@given(st.integers(0, 10**6))
@settings(max_examples=min(25, settings.default.max_examples), deadline=None, derandomize=True)
def test_scores_are_those_of_the_slow_definition(seed):
    rng = np.random.default_rng(seed)
    lines = [rng.choice([-4, -2, -1, 1, 2, 3], rng.integers(0, 17)) for _ in range(4)]
    found = Lines.of(lines)
    weights = weights_of(found)
    parts = [weights[o : o + n] for o, n in zip(found.offsets, found.lengths, strict=True)]
    a, b = np.triu_indices(4, 1)
    scores = best_passages(found, weights, (a, b), np.zeros_like(a), PRICES)
    slow = [slow_score(lines[i], lines[j], parts[i], parts[j]) for i, j in zip(a, b, strict=True)]
    assert scores.tolist() == slow
    mirrored = best_passages(found, weights, (b, a), np.zeros_like(a), PRICES)
    assert scores.tolist() == mirrored.tolist()


def test_a_passage_is_found_wherever_it_is():
    common = tune(1, 20)
    lines = [np.concatenate([tune(2, 70), common]), np.concatenate([common, tune(3, 8)])]
    found = tune_pairs(Lines.of(lines), ["a", "b"])
    assert found.shared.tolist() == [True]
    worth = weights_of(Lines.of([common])).sum()
    assert worth <= found.worth[0] <= worth + 40


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_the_order_of_pieces_does_not_change_who_is_together(seed):
    rng = np.random.default_rng(seed)
    lines = [line for n in range(5) for line in versions(tune(n), np.random.default_rng(n))]
    order = rng.permutation(len(lines))
    groups = np.array(grouped(*(lines[i] for i in order)))
    together = groups[:, None] == groups
    assert np.array_equal(together, order[:, None] // 4 == order // 4)


@pytest.mark.parametrize("seed", range(3))
def test_no_tune_is_in_two_splits(seed):
    rng = np.random.default_rng(seed)
    lines = [line for n in range(60) for line in versions(tune(1000 * seed + n), rng)]
    names = [f"{n:04}" for n in range(len(lines))]
    empty = Sketches.of([np.empty(0, np.uint64)] * len(lines))
    none = [""] * len(lines)
    pieces = Pieces(names, names, names, Lines.of(lines), empty, none, none)
    decision = decide(pieces, SplitRule(seed=seed))
    splits = np.array(decision.splits).reshape(60, 4)
    assert (splits == splits[:, :1]).all()
    assert len(set(decision.groups)) == 60
    assert (splits == "train").mean() == pytest.approx(0.8, abs=0.15)


def test_what_is_common_to_too_many_is_no_candidate(monkeypatch):
    lines = [np.concatenate([tune(1, 12), tune(seed, 30)]) for seed in range(2, 8)]
    names = [str(n) for n in range(6)]
    assert len(tune_pairs(Lines.of(lines), names).a) == 15
    monkeypatch.setattr(tunes, "CAP", 3)
    assert len(tune_pairs(Lines.of(lines), names).a) == 0


def test_runs_grow_with_the_corpus_and_a_corpus_of_nothing_is_one():
    assert [run_length(10**n) for n in (0, 4, 5, 6, 9)] == [6, 6, 7, 9, 12]
    assert grouped() == []
    assert grouped(tune(1)[:0]) == [0]
    with pytest.raises(ValueError, match="0 melodies and 1 names"):
        tune_pairs(Lines.of([]), ["a"])
