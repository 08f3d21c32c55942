"""MuseGAN's measures on hand-made pieces, whose values are worked out in the comments."""

import numpy as np
import pytest

from ostinato.metrics.counts import Count
from ostinato.metrics.tracks import tonal_distances, track_measures
from ostinato.music.piece import Piece, Track, make_notes

BASS, PIANO, DRUMS = Track(role="bass"), Track(role="piano"), Track(role="drums", is_drum=True)

ROLES = ("bass", "piano")


def piece_of(*rows, tracks=(BASS, PIANO, DRUMS), tick=24):
    """(track, onset in quarters, quarters, pitch) rows in 4/4."""
    notes = [(t, round(on * tick), round(last * tick), p, 80) for t, on, last, p in rows]
    return Piece("p", tick, make_notes(notes), tracks)


def test_bars_and_notes_of_each_track():
    # 3 bars. bass: C2 over the first barline (bars 0 and 1), nothing in bar 2; piano: C E G in bar
    # 0, C4 and C5 in bar 2 of which C5 lasts 1/12 quarter, below 1/8; drums are left out
    piece = piece_of(
        (0, 3, 2, 36), (1, 0, 1, 60), (1, 0, 1, 64), (1, 0, 1, 67),
        (1, 8, 4, 60), (1, 8, 1 / 12, 72), (2, 0, 1, 36),
    )  # fmt: skip
    found = track_measures(piece)
    assert found["empty_bars_bass"] == Count(1, 3)
    assert found["empty_bars_piano"] == Count(1, 3)
    assert found["pitch_classes_bass"] == Count(2, 2)  # one in each of its two bars
    assert found["pitch_classes_piano"] == Count(3 + 1, 2)
    assert found["qualified_notes_piano"] == Count(4, 5)
    assert not any(name.endswith("drums") for name in found)


def test_released_code_folds_neighbours_not_octaves():
    # from C1 = 24 in sevens: C4 = 60 and E4 = 64 are of block 5 (59 to 65), G4 and C5 of block 6
    piece = piece_of((1, 0, 4, 60), (1, 0, 4, 64), (1, 0, 4, 67), (1, 0, 4, 72))
    found = track_measures(piece)
    assert found["pitch_classes_piano"] == Count(3, 1)
    assert found["pitch_classes_released_piano"] == Count(2, 1)


def test_tonal_distance_of_one_class_is_zero_and_of_a_fifth_is_small():
    # C and C in another octave: 0. C and F sharp are opposite on the circles of fifths and minor
    # thirds ((2 * 1)² + (2 * 1)²) and equal on that of major thirds: the root of 8
    def distance(upper):
        return tonal_distances([piece_of((0, 0, 4, 36), (1, 0, 4, upper))], ROLES)[ROLES][0]

    def value(upper):
        return distance(upper).above / distance(upper).below

    assert distance(60).below == 4  # quarters
    assert value(60) == pytest.approx(0, abs=1e-12)
    assert value(66) == pytest.approx(np.sqrt(8))
    assert value(67) < value(66)


def test_a_quarter_where_one_track_rests_is_left_out():
    piece = piece_of((0, 0, 2, 36), (1, 1, 3, 60))
    assert tonal_distances([piece], ROLES)[ROLES] == [Count(0, 1)]


def test_shuffled_takes_the_second_track_of_the_next_piece():
    in_c = piece_of((0, 0, 4, 36), (1, 0, 4, 60))
    in_f_sharp = piece_of((0, 0, 4, 42), (1, 0, 4, 66))
    alone = piece_of((0, 0, 4, 36), tracks=(BASS,))
    shuffled = tonal_distances([in_c, alone, in_f_sharp], ROLES, shuffled=True)[ROLES]
    # C over F sharp, alone over F sharp, F sharp over C: four quarters of root 8 each
    assert [c.above for c in shuffled] == pytest.approx([4 * np.sqrt(8)] * 3)


def test_a_piece_without_notes_has_empty_tracks():
    found = track_measures(Piece("p", 24, make_notes([]), (BASS,)))
    assert {count.below for count in found.values()} == {0}
    assert tonal_distances([], ROLES) == {ROLES: []}
