"""Pieces, what is cut from them, and the voices that a model asks for."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ostinato.music.piece import (
    VOICES,
    Annotation,
    Key,
    Meter,
    Piece,
    Tempo,
    Track,
    cut,
    make_notes,
    same_music,
)
from ostinato.music.silence import close_silences
from ostinato.music.voices import with_voices


def piece_of(rows, tracks=1, **options):
    return Piece("p", 4, make_notes(rows), (Track(),) * tracks, **options)


def test_notes_have_one_order_for_one_music():
    rows = [(0, 4, 1, 60, 80), (1, 0, 2, 62, 80), (0, 0, 2, 64, 80), (0, 0, 2, 60, 80)]
    first, second = piece_of(rows, 2), piece_of(rows[::-1], 2)
    assert same_music(first, second)
    assert first.notes["onset"].tolist() == [0, 0, 0, 4]
    assert first.notes["track"].tolist() == [0, 0, 1, 0]


def test_a_note_of_no_track_and_a_time_unit_of_nothing_are_refused():
    with pytest.raises(ValueError, match="a note of p refers to a track that does not exist"):
        piece_of([(1, 0, 1, 60, 80)])
    with pytest.raises(ValueError, match="ticks_per_quarter=0"):
        Piece("p", 0, make_notes([]), ())


@pytest.mark.parametrize(
    "options",
    [
        {"rows": [(0, -1, 1, 60, 80), (0, 0, 1, 60, 80)]},
        {"rows": [], "meters": (Meter(-2, 4, 4),)},
        {"rows": [], "annotations": (Annotation(0, "bar"), Annotation(-2, "chord", "C"))},
    ],
)
def test_time_does_not_run_below_0(options):
    with pytest.raises(ValueError, match=r"p has an onset at tick -\d; time begins at 0"):
        piece_of(**options)


def test_length_and_bars():
    piece = piece_of([(0, 0, 20, 60, 80), (0, 8, 4, 60, 80)])
    assert (piece.length, piece.quarters) == (20, 5.0)
    assert piece_of([]).length == 0
    assert Meter(0, 6, 8).bar_quarters() == Fraction(3)


def test_a_cut_keeps_what_begins_in_it_and_what_is_in_force():
    piece = piece_of(
        [(0, 0, 8, 60, 80), (0, 8, 8, 62, 80), (0, 14, 8, 64, 80), (0, 16, 4, 65, 80)],
        meters=(Meter(0, 4, 4), Meter(6, 3, 4), Meter(16, 2, 4)),
        tempos=(Tempo(0, 60.0), Tempo(12, 90.0)),
        keys=(Key(8, 1),),
        annotations=(Annotation(0, "bar"), Annotation(8, "bar"), Annotation(16, "bar")),
    )
    part = cut(piece, 8, 16)
    assert part.notes["onset"].tolist() == [0, 6]
    assert part.notes["duration"].tolist() == [8, 2]
    assert part.meters == (Meter(0, 3, 4),)
    assert part.tempos == (Tempo(0, 60.0), Tempo(4, 90.0))
    assert part.keys == (Key(0, 1),)
    assert part.annotations == (Annotation(0, "bar"),)
    assert piece.notes["onset"].tolist() == [0, 8, 14, 16], "the piece itself was changed"


def test_named_voices_are_left_as_they_are(chorale):
    piece = chorale(1)
    assert with_voices(piece, VOICES) is piece


def test_tracks_without_names_become_voices_by_height(chorale):
    piece = chorale(1)
    order = [2, 0, 3, 1]
    notes = piece.notes.copy()
    notes["track"] = np.argsort(order)[notes["track"]]
    shuffled = replace(piece, notes=notes, tracks=(Track(),) * 4)
    named = with_voices(shuffled, VOICES)
    assert [track.role for track in named.tracks] == list(VOICES)
    assert np.array_equal(named.notes, piece.notes)


def test_chords_of_one_track_are_dealt_from_the_top_and_drums_are_left_out():
    rows = [(0, 0, 4, pitch, 80) for pitch in (48, 72, 60)] + [(0, 4, 4, 71, 80), (1, 0, 4, 36, 80)]
    piece = Piece("p", 4, make_notes(rows), (Track(), Track(is_drum=True)))
    named = with_voices(piece, VOICES)
    lines = [named.voice(voice)["pitch"].tolist() for voice in VOICES]
    assert lines == [[72, 71], [60], [48], []]


def test_fewer_lines_than_voices_are_not_torn_apart():
    """A held upper line stays the upper line while the lower one moves."""
    rows = [(0, 0, 16, 76, 80)] + [(1, 4 * n, 4, 48 + n, 80) for n in range(4)]
    named = with_voices(piece_of(rows, 2), VOICES)
    lines = [named.voice(voice)["pitch"].tolist() for voice in VOICES]
    assert lines == [[76], [], [], [48, 49, 50, 51]]


def test_lines_that_bear_names_of_some_voices_become_these():
    rows = [(0, 0, 16, 60, 80), (1, 0, 16, 76, 80)]
    piece = replace(piece_of(rows, 2), tracks=(Track("Alto", role="alto"), Track(role="tenor")))
    named = with_voices(piece, VOICES)
    assert [named.voice(voice)["pitch"].tolist() for voice in VOICES] == [[], [60], [76], []]


def test_more_notes_or_tracks_than_voices_are_refused():
    chord = piece_of([(0, 0, 4, 60 + n, 80) for n in range(5)])
    with pytest.raises(ValueError, match="5 notes at once, the model has 4 voices"):
        with_voices(chord, VOICES)
    tracks = piece_of([(n, 4 * n, 4, 60 + n, 80) for n in range(5)], 5)
    with pytest.raises(ValueError, match=r"5 sounding tracks.*soprano, alto, tenor, bass"):
        with_voices(tracks, VOICES)


def test_whole_bars_are_cut_out_of_a_long_rest_and_the_meter_stays_in_step():
    rows = [(0, 0, 4, 60, 80), (0, 30, 4, 62, 80), (0, 36, 4, 64, 80)]
    piece = piece_of(
        rows, meters=(Meter(0, 3, 4),), annotations=(Annotation(24, "bar"), Annotation(36, "bar"))
    )
    closed, quarters = close_silences(piece, 4.0)
    assert quarters == 6.0  # two bars of three of the 6.5 quarters
    assert closed.notes["onset"].tolist() == [0, 6, 12]
    assert closed.notes["duration"].tolist() == [4, 4, 4]
    assert [a.onset for a in closed.annotations] == [4, 12]
    assert close_silences(piece, 7.0) == (piece, 0.0)
