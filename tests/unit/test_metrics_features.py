"""Objective features: values known by hand, MusPy's where it is right, invariances."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.metrics.features import (
    FEATURES,
    empty_beat_rate,
    groove,
    mean_duration,
    measure,
    note_density,
    overlap,
    pitch_class_entropy,
    pitch_range,
    polyphony,
    scale_consistency,
)
from ostinato.music.piece import Meter, Piece, Track, make_notes

SIXTEENTH_KICKS = [0, 4, 8, 12]


def piece_of(notes, tick=4, meter=None, drums=()):
    """A piece from (onset, duration, pitch) or (onset, duration, pitch, track)."""
    rows = [
        (track, onset, length, pitch, 80)
        for onset, length, pitch, *t in notes
        for track in (t or [0])
    ]
    tracks = tuple(Track(is_drum=number in drums) for number in range(4))
    return Piece("p", tick, make_notes(rows), tracks, meters=(meter,) if meter else ())


@st.composite
def pieces(draw):
    note = st.tuples(st.integers(0, 60), st.integers(0, 9), st.integers(30, 90), st.integers(0, 3))
    notes = draw(st.lists(note, min_size=1, max_size=30))
    meter = draw(st.sampled_from([None, Meter(0, 3, 4), Meter(0, 6, 8), Meter(0, 7, 8)]))
    return piece_of(notes, draw(st.integers(1, 7)), meter, drums=draw(st.sets(st.just(3))))


def to_muspy(piece):
    import muspy

    tracks = [
        muspy.Track(
            is_drum=track.is_drum,
            notes=[
                muspy.Note(int(note["onset"]), int(note["pitch"]), int(note["duration"]))
                for note in piece.notes[piece.notes["track"] == number]
            ],
        )
        for number, track in enumerate(piece.tracks)
    ]
    return muspy.Music(resolution=piece.ticks_per_quarter, tracks=tracks)


@pytest.mark.parametrize(
    ("pitches", "bits"),
    [
        ([60], 0),
        ([60, 72, 48], 0),
        ([60, 67], 1),
        ([60, 60, 67, 62], 1.5),
        (range(60, 72), math.log2(12)),
    ],
)
def test_pitch_class_entropy_is_that_of_the_histogram(pitches, bits):
    assert pitch_class_entropy(piece_of([(0, 1, p) for p in pitches])) == pytest.approx(bits)


def test_scale_consistency_finds_any_major_scale_and_its_relative_minor():
    for root in range(12):
        major = [(0, 1, 60 + root + step) for step in (0, 2, 4, 5, 7, 9, 11)]
        minor = [(0, 1, 60 + root + step) for step in (0, 2, 3, 5, 7, 8, 10)]
        assert scale_consistency(piece_of(major)) == scale_consistency(piece_of(minor)) == 1.0
    assert scale_consistency(piece_of([(0, 1, p) for p in range(60, 72)])) == 7 / 12
    harmonic = [(0, 1, 57 + step) for step in (0, 2, 3, 5, 7, 8, 11)]
    assert scale_consistency(piece_of(harmonic)) == 6 / 7


def test_polyphony_counts_different_pitches_while_something_sounds():
    assert polyphony(piece_of([(0, 4, 60), (8, 4, 62)])) == 1.0
    assert polyphony(piece_of([(0, 4, 60), (0, 4, 64), (0, 2, 67)])) == 2.5
    unison = [(0, 4, 60, 0), (2, 4, 60, 1)]
    assert polyphony(piece_of(unison)) == 1.0
    assert polyphony(piece_of([(0, 4, 60, 0), (0, 4, 36, 3)], drums=(3,))) == 1.0


def test_overlap_is_a_second_pitch_in_one_track():
    chord, voices = [(0, 4, 60, 0), (2, 4, 64, 0)], [(0, 4, 60, 0), (0, 4, 64, 1)]
    assert overlap(piece_of(chord)) == pytest.approx(2 / 6)
    assert overlap(piece_of(voices)) == 0
    assert overlap(piece_of([*chord, (0, 6, 50, 1)])) == pytest.approx(2 / 12)


def test_density_range_and_duration_by_hand():
    piece = piece_of([(0, 4, 60), (4, 2, 72), (6, 2, 48), (0, 8, 36, 3)], drums=(3,))
    assert note_density(piece) == 2.0
    assert pitch_range(piece) == 24.0
    assert mean_duration(piece) == pytest.approx(8 / 3 / 4)


@pytest.mark.parametrize(
    ("notes", "rate"),
    [
        ([(0, 4, 60)], 0.0),  # one beat, ending exactly on the next: MusPy sees a second one
        ([(0, 4, 60), (8, 4, 60)], 1 / 3),  # MusPy: 0, the first note's end fills the pause
        ([(0, 5, 60), (8, 4, 60)], 0.0),
        ([(4, 4, 60)], 0.0),  # what fills the bar before an upbeat is not silence
        ([(6, 2, 60), (12, 4, 60)], 1 / 3),
        ([(0, 1, 60), (13, 1, 60)], 1 / 2),  # the last beat is there though it is not full
        ([(0, 4, 60), (4, 0, 60), (8, 4, 60)], 1 / 3),  # a note of no length does not sound
    ],
)
def test_a_beat_is_empty_when_nothing_sounds_in_it(notes, rate):
    assert empty_beat_rate(piece_of(notes)) == pytest.approx(rate)


def test_muspy_errs_at_exact_ends_where_we_do_not():
    import muspy

    piece = piece_of([(0, 4, 60), (8, 4, 60)])
    assert muspy.empty_beat_rate(to_muspy(piece)) == 0  # the pause and a phantom beat are filled
    assert empty_beat_rate(piece) == pytest.approx(1 / 3)


@pytest.mark.parametrize("tick", [4, 24, 480])
def test_two_identical_bars_have_groove_one(tick):
    unit = tick // 4
    kicks = [(unit * (bar + step), unit, 36) for bar in (0, 16) for step in SIXTEENTH_KICKS]
    assert groove(piece_of(kicks, tick)) == 1.0
    held = [(unit * (bar + step), 4 * unit, 36) for bar in (0, 16) for step in SIXTEENTH_KICKS]
    assert groove(piece_of(held, tick)) == 1.0


def test_groove_by_hand():
    kicks = [(16 + step, 4, 36) for step in SIXTEENTH_KICKS]
    assert groove(piece_of(kicks)) == 0  # a bar of silence shares no onset with the next one
    first, second, third = [0, 4], [16, 20, 24], [32, 46]
    bars = piece_of([(onset, 1, 60) for onset in first + second + third] + [(44, 4, 60)])
    # 0,4 | 0,4,8 | 0,12,14: two of three, then one of five
    assert groove(bars) == pytest.approx((2 / 3 + 1 / 5) / 2)
    waltz = piece_of([(0, 12, 60), (12, 12, 60), (24, 12, 60)], meter=Meter(0, 3, 4))
    assert groove(waltz) == 1.0
    late = piece_of([(0, 48, 60), (49, 47, 60), (95, 49, 60)], tick=12)  # a 48th off the grid
    assert groove(late) == 1.0


def test_groove_needs_two_full_bars_of_whole_sixteenths():
    bar = [(step, 4, 36) for step in SIXTEENTH_KICKS]
    assert math.isnan(groove(piece_of(bar)))
    assert math.isnan(groove(piece_of([*bar, (16, 4, 36)])))  # a last bar of one beat
    assert math.isnan(groove(piece_of([(0, 40, 36)], meter=Meter(0, 5, 32))))
    short = piece_of([(0, 3, 36), (3, 3, 36)], meter=Meter(0, 3, 16))  # bars under a quarter
    assert groove(short) == 1.0


@given(pieces())
def test_entropy_scale_and_polyphony_agree_with_muspy(piece):
    import muspy

    music = to_muspy(piece)
    expected = [
        muspy.pitch_class_entropy(music),
        muspy.scale_consistency(music),
        muspy.polyphony(music) if piece.length else math.nan,
    ]
    found = [pitch_class_entropy(piece), scale_consistency(piece), polyphony(piece)]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@given(pieces(), st.integers(-20, 20))
def test_transposition_changes_no_feature(piece, semitones):
    notes = piece.notes.copy()
    notes["pitch"] += semitones
    before, after = measure([piece]), measure([replace(piece, notes=notes)])
    for name in FEATURES:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-12, err_msg=name)


@given(pieces(), st.integers(2, 120))
def test_the_time_unit_changes_no_feature(piece, factor):
    notes = piece.notes.copy()
    notes["onset"] *= factor
    notes["duration"] *= factor
    finer = replace(piece, notes=notes, ticks_per_quarter=piece.ticks_per_quarter * factor)
    before, after = measure([piece]), measure([finer])
    for name in FEATURES:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-12, err_msg=name)


@given(pieces())
def test_every_feature_stays_in_its_range(piece):
    values = {name: array[0] for name, array in measure([piece]).items()}
    ranges = {
        "pitch_class_entropy": (0, math.log2(12) + 1e-12),
        "scale_consistency": (7 / 12, 1),
        "polyphony": (1, 128),
        "empty_beat_rate": (0, 1),
        "groove": (0, 1),
        "overlap": (0, 127),
    }
    for name, value in values.items():
        low, high = ranges.get(name, (0, math.inf))
        assert math.isnan(value) or low <= value <= high, name


@given(pieces())
def test_empty_beats_and_polyphony_agree_with_counting_ticks(piece):
    sounds = np.zeros((piece.length, 128), dtype=bool)
    pitched = np.zeros_like(sounds)
    for note in piece.notes:
        span = slice(note["onset"], note["onset"] + note["duration"])
        sounds[span, note["pitch"]] = True
        pitched[span, note["pitch"]] |= not piece.tracks[note["track"]].is_drum
    if sounds.any():
        first = int(np.flatnonzero(sounds.any(axis=1))[0]) // piece.ticks_per_quarter
        start = first * piece.ticks_per_quarter
        beats = range(start, piece.length, piece.ticks_per_quarter)
        silent = [not sounds[beat : beat + piece.ticks_per_quarter].any() for beat in beats]
        assert empty_beat_rate(piece) == pytest.approx(np.mean(silent))
    if pitched.any():
        assert polyphony(piece) == pytest.approx(pitched.sum() / pitched.any(axis=1).sum())


def test_a_piece_without_notes_has_no_feature():
    values = measure([piece_of([])])
    assert list(values) == list(FEATURES)
    assert all(np.isnan(array).all() for array in values.values())


def test_drums_alone_have_rhythm_and_no_pitch():
    drums = piece_of(
        [(bar + step, 1, 36, 3) for bar in (0, 16) for step in SIXTEENTH_KICKS], drums=(3,)
    )
    values = {name: array[0] for name, array in measure([drums]).items()}
    defined = {name for name, value in values.items() if not math.isnan(value)}
    assert defined == {"note_density", "empty_beat_rate", "groove"}
