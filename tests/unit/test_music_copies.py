"""Copies: what is the same music in other clothes is found, and nothing else is joined."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.music.piece import Piece, Tempo, Track, make_notes, sort_notes
from ostinato.normalization import copies
from ostinato.normalization.copies import (
    LEAST,
    NEAR,
    Sketches,
    keep_for,
    leaks,
    similar_groups,
    similar_pairs,
)
from ostinato.normalization.sketch import (
    run_hashes,
    texture_fingerprint,
    texture_sketch,
)

QUICK = settings(
    max_examples=min(50, settings.default.max_examples), deadline=None, derandomize=True
)
SEEDS = st.integers(0, 10**6)


def song(seed, onsets=120, drums=True):
    """Chords and a tune on two tracks, some onsets shared, with drums on a third."""
    rng = np.random.default_rng(seed)
    rows = []
    for onset in range(onsets):
        chord = rng.choice(np.arange(36, 84), rng.integers(1, 4), replace=False)
        rows += [(int(rng.integers(2)), 120 * onset, 120, int(p), 80) for p in chord]
        rows += [(2, 120 * onset + 60, 10, int(rng.integers(35, 50)), 90)] * drums
    tracks = (Track(), Track(program=40), Track(is_drum=True))
    return Piece(id=str(seed), ticks_per_quarter=480, notes=make_notes(rows), tracks=tracks)


def only_drums(seed, onsets=60):
    rng = np.random.default_rng(seed)
    rows = [(0, 120 * n, 10, int(p), 90) for n, p in enumerate(rng.integers(35, 45, onsets))]
    return Piece("drums", 480, make_notes(rows), (Track(is_drum=True),))


def disguised(piece, semitones, stretch, seed):
    """The same music in another key, tempo and resolution, by other players."""
    rng = np.random.default_rng(seed)
    notes, order = piece.notes.copy(), rng.permutation(len(piece.tracks))
    notes["pitch"] += np.where(notes["track"] == 2, 0, semitones)
    notes["onset"] *= stretch
    notes["duration"] = rng.integers(1, 500, len(notes))
    notes["velocity"] = rng.integers(1, 128, len(notes))
    notes["track"] = np.argsort(order)[notes["track"]]
    tracks = tuple(replace(piece.tracks[i], program=int(rng.integers(128))) for i in order)
    return replace(piece, notes=sort_notes(notes), tracks=tracks, tempos=(Tempo(0, 77.0),))


def with_rest_of(piece, other, share):
    """The first `share` of a piece, then the end of another one."""
    border = int(piece.notes["onset"].max() * share)
    ends = other.notes["onset"] > border
    notes = np.concatenate([piece.notes[piece.notes["onset"] <= border], other.notes[ends]])
    return replace(piece, notes=sort_notes(notes))


def excerpt(piece, first, last):
    """The onsets from the first up to the last."""
    inside = (piece.notes["onset"] >= first * 120) & (piece.notes["onset"] < last * 120)
    return replace(piece, notes=piece.notes[inside])


def texture_groups(pieces, keep=1, least=LEAST):
    sketches = Sketches.of([texture_sketch(piece, keep) for piece in pieces])
    prints = [texture_fingerprint(piece) for piece in pieces]
    return similar_groups(sketches, prints, NEAR, least=least).tolist()


@pytest.mark.long
@given(SEEDS, st.integers(-12, 12), st.integers(1, 9))
@QUICK
def test_the_same_music_in_other_clothes_is_one_group(seed, semitones, stretch):
    piece, other = song(seed), song(seed + 1)
    copy = disguised(piece, semitones, stretch, seed)
    assert texture_fingerprint(copy) == texture_fingerprint(piece) != texture_fingerprint(other)
    assert np.array_equal(texture_sketch(copy), texture_sketch(piece))
    assert texture_groups([other, piece, copy]) == [0, 1, 1]


@pytest.mark.long
@given(SEEDS, st.integers(1, 11))
@QUICK
def test_one_other_note_makes_another_fingerprint_and_a_near_copy(seed, semitones):
    piece = song(seed, drums=False)
    notes = piece.notes.copy()
    notes["pitch"][seed % len(notes)] += 50 + semitones  # above all others: no doubling
    changed = replace(piece, notes=sort_notes(notes))
    assert texture_fingerprint(changed) != texture_fingerprint(piece)
    assert texture_groups([piece, changed]) == [0, 0]


def test_repeated_slices_count_in_a_fingerprint_and_doublings_do_not():
    once = Piece("a", 4, make_notes([(0, 0, 4, 60, 80), (0, 4, 4, 64, 80)]), (Track(),) * 2)
    again = replace(once, notes=make_notes([*once.notes.tolist(), (0, 8, 4, 64, 80)]))
    doubled = replace(once, notes=make_notes([*once.notes.tolist(), (1, 4, 2, 64, 80)]))
    assert texture_fingerprint(again) != texture_fingerprint(once) == texture_fingerprint(doubled)


def test_drums_are_looked_at_only_where_there_is_nothing_else():
    piece, quiet = song(1), song(1)
    quiet = replace(quiet, notes=quiet.notes[quiet.notes["track"] != 2])
    assert texture_fingerprint(piece) == texture_fingerprint(quiet)
    drums = [only_drums(seed) for seed in range(4)]
    moved = replace(drums[0], notes=drums[0].notes.copy())
    moved.notes["pitch"] += 1
    assert texture_groups([*drums, moved, drums[2]]) == [0, 1, 2, 3, 4, 2]


@pytest.mark.long
@pytest.mark.parametrize("keep", [1, 4])
def test_much_of_a_piece_in_another_is_a_copy_and_a_part_is_not(keep):
    pieces = [song(seed, 600) for seed in range(20)]
    near = [with_rest_of(piece, song(seed + 100, 600), 0.9) for seed, piece in enumerate(pieces)]
    part = [with_rest_of(piece, song(seed + 200, 600), 0.4) for seed, piece in enumerate(pieces)]
    cut = [excerpt(piece, 250, 500) for piece in pieces]
    groups = texture_groups(pieces + near + part + cut, keep, LEAST // keep)
    alone = list(range(40, 60))
    assert groups == [*range(20), *range(20), *alone, *range(20)]


@pytest.mark.long
@given(SEEDS)
@QUICK
def test_the_order_of_pieces_does_not_change_the_partition(seed):
    pieces = [song(s // 3, 60) for s in range(9)]
    pieces[1] = with_rest_of(pieces[0], song(50, 60), 0.95)
    pieces[5] = disguised(pieces[4], 3, 2, 1)
    order = np.random.default_rng(seed).permutation(9)
    groups = texture_groups([pieces[i] for i in order])
    parts = {frozenset(order[i] for i, g in enumerate(groups) if g == group) for group in groups}
    assert parts == {frozenset({0, 1, 2}), frozenset({3, 4, 5}), frozenset({6, 7, 8})}
    assert all(group <= index for index, group in enumerate(groups))


@given(SEEDS, st.sampled_from([0.3, 0.5, 0.8, 1.0]), st.integers(1, 3), st.integers(1, 40))
@QUICK
def test_pairs_are_what_counting_says_however_small_the_blocks(seed, threshold, least, block):
    rng = np.random.default_rng(seed)
    sets = [rng.choice(12, rng.integers(0, 8), replace=False) for _ in range(12)]
    prints = [str(sorted(one.tolist())) for one in sets]
    expected = []
    for a, b in itertools.combinations(range(12), 2):
        common, smaller = len(np.intersect1d(sets[a], sets[b])), min(len(sets[a]), len(sets[b]))
        first = prints.index(prints[a]) == a and prints.index(prints[b]) == b
        if first and common >= max(least, threshold * smaller - 1e-9):
            expected.append((a, b, common / smaller))
    sketches = Sketches.of([np.sort(one).astype(np.uint64) << np.uint64(60) for one in sets])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "BLOCK", block)
        found = similar_pairs(sketches, prints, threshold, least=least)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == expected


def test_passages_of_too_many_pieces_count_for_nothing(monkeypatch):
    monkeypatch.setattr(copies, "CAP", 3)
    rows = [np.array([1, 2, 10 + n, 30 + n], np.uint64) for n in range(5)]
    rows[4] = np.array([1, 2, 10, 34], np.uint64)
    a, b, share = similar_pairs(Sketches.of(rows), list("abcde"), 0.5)
    assert (a.tolist(), b.tolist(), share.tolist()) == ([0], [4], [0.5])


def test_hashes_are_the_same_on_every_machine():
    steps = np.array([2, 2, -4, 5, -1, -2, 3, 7, -12], np.int64)
    assert sorted(run_hashes(steps, 8).tolist()) == [8410249353356583827, 11042633066860230396]
    assert texture_sketch(song(1, 9, drums=False)).tolist() == [
        8691218652458140931,
        17929646154290970114,
    ]
    assert texture_fingerprint(song(1, 9)) == "83a7e761e8687598"


@pytest.mark.long
@given(SEEDS, st.integers(2, 16))
@QUICK
def test_a_thinned_sketch_is_the_lowest_part_of_the_whole_one(seed, keep):
    piece = song(seed, 400)
    whole, thin = texture_sketch(piece), texture_sketch(piece, keep)
    assert np.array_equal(thin, whole[whole <= (2**64 - 1) // keep])
    assert abs(len(thin) - len(whole) / keep) < 5 * np.sqrt(len(whole) / keep)


def test_leaks_are_counted_by_split():
    groups, splits = [0, 1, 0, 1, 4, 4, 0], ["train", "valid", "test", "valid"] + ["train"] * 3
    torn, counts = leaks(np.array(groups), splits)
    assert torn == [{"test": [2], "train": [0, 6]}]
    assert counts == {"test": {"train": 1}, "train": {"test": 2}}
    assert list(counts) == ["test", "train"]
    assert leaks([0, 1], ["train", "valid"]) == leaks([], []) == ([], {})


def test_a_corpus_of_nothing_has_no_groups():
    nothing = Sketches.of([])
    assert not len(similar_groups(nothing, [], NEAR))
    assert similar_groups(Sketches.of([np.empty(0, np.uint64)] * 2), ["a", "b"], 1).tolist() == [
        0,
        1,
    ]


def test_large_corpora_are_thinned():
    assert [keep_for(n) for n in (0, 409, 1 << 16, 178_561, 10**6)] == [1, 1, 1, 4, 16]


def test_contradictions_are_named():
    with pytest.raises(ValueError, match="keep=0 must be at least 1"):
        texture_sketch(song(1), 0)
    with pytest.raises(ValueError, match="threshold=0 must be above 0"):
        similar_groups(Sketches.of([]), [], 0)
    with pytest.raises(ValueError, match="0 sketches and 1 fingerprints"):
        similar_pairs(Sketches.of([]), ["a"], 1)
    with pytest.raises(ValueError, match="offsets must go from 0 to the number of hashes, 1"):
        Sketches(np.zeros(1, np.uint64), np.array([0, 2]))
