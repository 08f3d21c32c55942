"""Shared passages against a brute-force search that knows no hashes and no index."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.metrics.passages import Passage, PassageIndex, Shared, index_arrays
from ostinato.music.piece import Piece, Track, make_notes

LEAST = 3


def index_of(train, **options):
    return PassageIndex(index_arrays(train, **options))


def piece_of(name, notes, tick=4, drums=False):
    """A piece from (onset, pitch) pairs; the other track is never looked at."""
    rows = [(0, onset, 1, pitch, 80) for onset, pitch in notes]
    return Piece(name, tick, make_notes(rows), (Track(is_drum=drums),))


def sonorities(piece):
    """(time, pitches, number of notes) of each."""
    at = {}
    for note in piece.notes:
        at.setdefault(Fraction(int(note["onset"]), piece.ticks_per_quarter), []).append(
            int(note["pitch"])
        )
    return [(time, sorted(set(at[time])), len(at[time])) for time in sorted(at)]


def same(ours, theirs):
    """Whether one run of sonorities is the other, moved and stretched."""
    step = theirs[0][1][0] - ours[0][1][0]
    moved = all([p + step for p in a[1]] == b[1] for a, b in zip(ours, theirs, strict=True))
    gaps = [[b[0] - a[0] for a, b in pairwise(run)] for run in (ours, theirs)]
    return moved and len({b / a for a, b in zip(*gaps, strict=True)}) <= 1


def brute_force(train, query):
    ours = sonorities(query)
    total = sum(count for _, _, count in ours)
    matches = []
    for number, piece in enumerate(train):
        theirs = sonorities(piece)
        for start in range(len(ours)):
            for position in range(len(theirs)):
                most = min(len(ours) - start, len(theirs) - position)
                sizes = [
                    size
                    for size in range(LEAST, most + 1)
                    if same(ours[start : start + size], theirs[position : position + size])
                ]
                if sizes:
                    matches.append((max(sizes), start, number, position, theirs[position][0]))

    def covered(found):
        cells = {start + k for size, start, *_ in found for k in range(size)}
        return sum(ours[cell][2] for cell in cells)

    def longest(found):
        size, start, number, _, there = min(found, key=lambda m: (-m[0], m[1], m[2], m[3]))
        notes = sum(count for _, _, count in ours[start : start + size])
        quarters = float(ours[start + size - 1][0] - ours[start][0])
        return Passage(size, notes, float(ours[start][0]), quarters, number, float(there))

    if not matches:
        return Shared(0.0 if total else float("nan"), None, None, 0.0)
    notes = {n: covered([m for m in matches if m[2] == n]) for n in {m[2] for m in matches}}
    nearest = min(notes, key=lambda n: (-notes[n], n))
    near = [m for m in matches if m[2] == nearest]
    return Shared(covered(matches) / total, longest(matches), longest(near), notes[nearest] / total)


@st.composite
def corpora(draw):
    # few pitches and steps, so that passages are shared, repeated and overlap
    notes = st.lists(st.tuples(st.integers(0, 10), st.integers(60, 62)), max_size=12)
    train = [piece_of(str(i), draw(notes)) for i in range(draw(st.integers(0, 4)))]
    query = piece_of("query", draw(notes), tick=draw(st.sampled_from([4, 2, 1])))
    moved = query.notes.copy()
    moved["pitch"] += draw(st.integers(-20, 20))
    return train, replace(query, notes=moved)


@pytest.mark.long
@settings(max_examples=3 * settings.default.max_examples)
@given(corpora())
def test_what_is_shared_is_what_brute_force_finds(corpus):
    train, query = corpus
    found, expected = index_of(train, least=LEAST).shared(query), brute_force(train, query)
    if np.isnan(expected.share):
        assert np.isnan(found.share)
        found, expected = replace(found, share=0.0), replace(expected, share=0.0)
    assert found == expected


def random_piece(name, count, generator, tick=4):
    onsets = np.cumsum(generator.integers(0, 3, count))
    pitches = generator.integers(40, 80, count)
    return piece_of(name, list(zip(onsets.tolist(), pitches.tolist(), strict=True)), tick)


@pytest.mark.parametrize(("semitones", "factor"), [(0, 1), (7, 2), (-12, 3)])
def test_a_planted_copy_is_found_in_any_key_and_tempo(semitones, factor):
    generator = np.random.default_rng(50 + semitones)
    train = [random_piece(f"t{number}", 100, generator) for number in range(20)]
    part = train[7].notes[30:70]
    own = random_piece("own", 40, generator)
    end = int(own.notes["onset"][-1]) + 2
    notes = [(int(n["onset"]), int(n["pitch"])) for n in own.notes]
    notes += [
        (end + factor * (int(n["onset"]) - int(part["onset"][0])), int(n["pitch"]) + semitones)
        for n in part
    ]
    found = index_of(train).shared(piece_of("query", notes))
    assert found.neighbour == found.longest
    assert found.longest.source == 7
    assert 0.4 < found.share == found.neighbour_share <= 0.55
    assert found.longest.quarters == pytest.approx(
        factor * (int(part["onset"][-1]) - int(part["onset"][0])) / 4, abs=factor
    )


def test_a_copy_is_whole_and_drums_are_nothing():
    generator = np.random.default_rng(0)
    train = [random_piece(str(number), 60, generator) for number in range(5)]
    whole = index_of(train).shared(train[3])
    assert (whole.share, whole.neighbour.source, whole.neighbour.notes) == (1.0, 3, 60)
    drums = index_of(train).shared(piece_of("d", [(0, 60), (1, 61)], drums=True))
    assert np.isnan(drums.share)
    assert index_of([]).shared(train[0]).share == 0
    with pytest.raises(ValueError, match="at least 3"):
        index_of(train, least=2)
