"""The longest shared passage against a brute-force search that knows no hashes."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.metrics import originality
from ostinato.metrics.originality import Passage, PassageIndex
from ostinato.music.piece import Piece, Track, make_notes


def piece_of(name, notes, tick=4, drums=False):
    """A piece from (onset, pitch) pairs."""
    rows = [(0, onset, 1, pitch, 80) for onset, pitch in notes]
    return Piece(name, tick, make_notes(rows), (Track(is_drum=drums),))


def random_piece(name, count, generator, tick=4):
    onsets = np.cumsum(generator.integers(0, 3, count))
    return piece_of(
        name,
        list(zip(onsets.tolist(), generator.integers(40, 80, count).tolist(), strict=True)),
        tick,
    )


def brute_force(train, query, exclude=None):
    """Compare every start in the query with every start in training, symbol by symbol."""

    def symbols(piece):
        notes = sorted(
            (Fraction(int(n["onset"]), piece.ticks_per_quarter), int(n["pitch"]))
            for n in piece.notes
        )
        return notes, [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(notes)]

    notes, ours = symbols(query)
    best = Passage(0, 0.0, None)
    for start in range(len(ours)):
        for piece in train:
            theirs = symbols(piece)[1] if piece.id != exclude else []
            for position in range(len(theirs)):
                length = 0
                while (
                    start + length < len(ours)
                    and position + length < len(theirs)
                    and ours[start + length] == theirs[position + length]
                ):
                    length += 1
                if length and length + 1 > best.notes:
                    quarters = float(notes[start + length][0] - notes[start][0])
                    best = Passage(length + 1, quarters, piece.id)
    return best


@st.composite
def corpora(draw):
    # few pitches and steps, so that passages are shared, repeated and overlap
    notes = st.lists(st.tuples(st.integers(0, 12), st.integers(60, 62)), max_size=14)
    train = [piece_of(str(i), draw(notes)) for i in range(draw(st.integers(0, 4)))]
    query = piece_of("query", draw(notes))
    semitones = draw(st.integers(-20, 20))
    moved = query.notes.copy()
    moved["pitch"] += semitones
    return train, replace(query, notes=moved), draw(st.sampled_from([None, "0", "1"]))


@settings(max_examples=300)
@given(corpora())
def test_the_longest_passage_is_what_brute_force_finds(corpus):
    train, query, exclude = corpus
    assert PassageIndex(train).longest(query, exclude) == brute_force(train, query, exclude)


@pytest.mark.parametrize("base", [1, (1 << 63) + 1])
@given(corpus=corpora())
def test_hashes_that_collide_cannot_lie(base, corpus):
    train, query, exclude = corpus
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(originality, "_BASE", base)  # base 1: all orders of the same symbols collide
        found = PassageIndex(train).longest(query, exclude)
    assert found == brute_force(train, query, exclude)


@pytest.mark.parametrize(("semitones", "factor"), [(0, 1), (7, 1), (-12, 1), (5, 120)])
def test_a_planted_copy_is_found_in_any_key_and_time_unit(semitones, factor):
    generator = np.random.default_rng(100 + semitones)
    train = [random_piece(f"train{i}", 100, generator) for i in range(20)]
    copied = [(int(n["onset"]), int(n["pitch"]) + semitones) for n in train[7].notes[30:65]]
    start = copied[0][0]
    own = random_piece("own", 20, generator)
    notes = [(int(n["onset"]), int(n["pitch"])) for n in own.notes]
    after = notes[-1][0] + 5
    notes += [(onset - start + after, pitch) for onset, pitch in copied]
    query = piece_of("query", [(onset * factor, pitch) for onset, pitch in notes], 4 * factor)
    passage = PassageIndex(train).longest(query)
    assert passage.piece_id == "train7"
    # a note at the edge of the copy may stand in another order within its chord
    assert 33 <= passage.notes <= 37
    assert passage.quarters == pytest.approx((copied[-1][0] - start) / 4, abs=1)


def test_a_piece_is_its_own_copy_unless_excluded():
    generator = np.random.default_rng(0)
    train = [random_piece(f"train{i}", 60, generator) for i in range(10)]
    index = PassageIndex(train)
    whole = index.longest(train[3])
    assert (whole.notes, whole.piece_id) == (60, "train3")
    onsets = train[3].notes["onset"]
    assert whole.quarters == (onsets[-1] - onsets[0]) / 4
    other = index.longest(train[3], exclude="train3")
    assert other.notes < 10
    assert other.piece_id != "train3"


def test_a_passage_does_not_run_on_from_one_piece_into_the_next():
    notes = [(i * i, 60 + i) for i in range(8)]
    halves = [piece_of("a", notes[:4]), piece_of("b", notes[4:])]
    assert PassageIndex(halves).longest(piece_of("q", notes)) == Passage(4, 9 / 4, "a")


def test_nothing_in_common_is_no_passage():
    index = PassageIndex(
        [piece_of("a", [(0, 60), (1, 61)]), piece_of("b", []), piece_of("c", [(0, 60)])]
    )
    nothing = Passage(0, 0.0, None)
    assert index.longest(piece_of("q", [(0, 60), (2, 61)])) == nothing
    assert index.longest(piece_of("q", [(0, 60)])) == nothing
    assert index.longest(piece_of("q", [])) == nothing
    assert PassageIndex([]).longest(piece_of("q", [(0, 60), (1, 61)])) == nothing
    assert index.longest(piece_of("q", [(0, 60), (1, 61)], drums=True)) == nothing


def test_steps_finer_than_the_resolution_are_rounded():
    played = piece_of("played", [(0, 60), (119, 62), (242, 64), (360, 65)], tick=480)
    exact = piece_of("exact", [(0, 60), (1, 62), (2, 64), (3, 65)])
    assert PassageIndex([played], steps_per_quarter=4).longest(exact).notes == 4
    with pytest.raises(ValueError, match="at least 1"):
        PassageIndex([], steps_per_quarter=0)
