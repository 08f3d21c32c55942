"""What cannot be played, on pieces worked out by hand."""

import numpy as np
import pytest

from ostinato.metrics.playability import playability
from ostinato.music.instruments import INSTRUMENTS, in_hands, instrument_of
from ostinato.music.piece import Piece, Track, make_notes

PIANO, BASS, DRUMS = Track(role="piano"), Track(role="bass", program=33), Track(is_drum=True)


def counts_of(rows, tracks):
    piece = Piece(id="made", ticks_per_quarter=8, notes=make_notes(rows), tracks=tracks)
    return playability(piece)


def test_a_band_with_one_mistake_of_each_kind():
    chord = [(0, 0, 8, pitch, 80) for pitch in (36, 60, 84)]  # a third hand for the middle one
    bass = [(1, 0, 8, 27, 80), (1, 8, 8, 28, 80)]  # the first lies below the low E
    hits = [(2, 0, 1, p, 80) for p in (36, 38, 42, 49)] + [(2, 8, 1, p, 80) for p in (36, 44, 38)]
    found = counts_of([*chord, *bass, *hits], (PIANO, BASS, DRUMS, Track(role="lead", program=80)))
    assert found["out_of_range"] == (1, 5)
    assert found["too_many"] == (1, 3)
    assert found["three_hands"] == (1, 2)  # snare, hi-hat and cymbal; the second has two pedals
    assert found["mistakes"] == (3, 3)
    assert found["empty_parts"] == (1, 4)


def test_notes_that_have_ended_or_nearly_so_are_no_chord():
    """A saxophone plays one note at a time, and slurs."""
    sax = Track(role="reed", program=65)
    assert counts_of([(0, 0, 9, 60, 80), (0, 8, 8, 62, 80)], (sax,))["too_many"] == (0, 2)
    assert counts_of([(0, 0, 12, 60, 80), (0, 8, 8, 62, 80)], (sax,))["too_many"] == (1, 2)
    assert counts_of([(0, 0, 8, 60, 80), (0, 0, 8, 60, 80)], (sax,))["too_many"] == (0, 1)


@pytest.mark.parametrize(
    ("pitches", "held"),
    [
        ([], True),
        ([36, 40, 43, 48, 52, 60, 64, 67, 72, 76], True),
        ([36, 40, 43, 48, 52, 55, 64, 67, 72, 76, 79], False),  # eleven
        ([36, 38, 40, 41, 43, 45, 47, 48, 50, 55], True),
        ([36, 60, 77], False),  # the right hand spans no more than 16 semitones
        ([36, 60, 76], True),
    ],
)
def test_two_hands_of_five_fingers_span_a_tenth_each(pitches, held):
    assert bool(in_hands(np.array(pitches, dtype=int))) is held


def test_a_bass_sings_only_in_a_choir():
    bass = Track(role="bass", program=32)
    assert instrument_of(bass, choir=True).most == 1
    assert instrument_of(bass, choir=False) == INSTRUMENTS[32]
    assert len(INSTRUMENTS) == 128
    assert INSTRUMENTS[56].low == 52  # a trumpet's low E
    assert INSTRUMENTS[110] == INSTRUMENTS[40]  # fiddle and violin


def test_nothing_to_count_is_undefined():
    found = counts_of([], (PIANO, DRUMS))
    assert {name for name, count in found.items() if count.below} == {"empty_parts"}
