"""Part-writing on hand-made pieces, whose values are worked out in the comments."""

import numpy as np
import pytest

from ostinato.metrics.counts import Count, Counts, count_all, floor_interval
from ostinato.metrics.part_writing import PART_WRITING, part_writing, voice_ranges
from ostinato.metrics.sonorities import IS_CHORD, IS_CONSONANT_TRIAD, above_bass, mask_of
from ostinato.metrics.steps import steps_of
from ostinato.music.piece import VOICES, Annotation, Meter, Piece, Track, make_notes


def choir(*voices, lasts=4, bars=(), tick=4, roles=VOICES):
    """A piece of voices, each a list of pitches (None: a rest) of `lasts` ticks."""
    rows = [
        (track, number * lasts, lasts, pitch, 80)
        for track, line in enumerate(voices)
        for number, pitch in enumerate(line)
        if pitch is not None
    ]
    tracks = tuple(Track(role=roles[n] if n < len(roles) else "") for n in range(len(voices)))
    notes = tuple(Annotation(onset, "bar") for onset in bars)
    return Piece("p", tick, make_notes(rows), tracks, annotations=notes)


def value(piece, name):
    above, below = part_writing(piece)[name]
    return PART_WRITING[name].scale * above / below if below else np.nan


def test_steps_hold_pitches_onsets_and_the_bass():
    # 120 ticks a sixteenth. soprano: C5 for a quarter, then a rest, then E5 that begins 50 ticks
    # late (rounded to step 8) for an eighth. bass: C3 for ten sixteenths.
    rows = [(0, 0, 480, 72, 80), (0, 1010, 240, 76, 80), (1, 0, 1200, 48, 80)]
    tracks = (Track(role="soprano"), Track(role="bass"))
    steps = steps_of(Piece("p", 480, make_notes(rows), tracks))
    assert steps.pitch_VT[0].tolist() == [72] * 4 + [-1] * 4 + [76] * 2
    assert np.flatnonzero(steps.onset_VT[0]).tolist() == [0, 8]
    assert steps.bass_T.tolist() == [48] * 10
    assert steps.classes_T.tolist() == [1] * 8 + [1 + (1 << 4)] * 2
    assert np.flatnonzero(steps.on_beat()).tolist() == [0, 4, 8]


def test_drums_are_no_voice_and_nothing_is_counted_where_nothing_sounds():
    drums = Piece("p", 4, make_notes([(0, 0, 4, 36, 80)]), (Track(is_drum=True),))
    for piece in (drums, Piece("p", 4, make_notes([]), (Track(role="bass"),)), choir()):
        assert all(count.below == 0 for count in part_writing(piece).values())
        assert not voice_ranges(piece)


def test_beats_are_counted_from_each_bar():
    # a pickup of an eighth: bars begin at steps 0, 2 and 18
    piece = choir([60] * 11, lasts=2, bars=(0, 2, 18))
    assert np.flatnonzero(steps_of(piece).on_beat()).tolist() == [0, 2, 6, 10, 14, 18]


def test_of_notes_that_sound_at_once_in_a_voice_the_last_counts():
    rows = [(0, 0, 8, 60, 80), (0, 4, 4, 64, 80), (0, 4, 4, 62, 80)]
    piece = Piece("p", 4, make_notes(rows), (Track(role="alto"),))
    assert steps_of(piece).pitch_VT.tolist() == [[60] * 4 + [64] * 4]
    # 4 of the 8 sounding cells hold more than one note
    assert value(piece, "overlap") == 0.5


def test_parallels_are_counted_per_pair_that_moves_in_one_direction():
    # soprano and bass: G4 C3 (19: a fifth) -> A4 D3 (19) parallel fifth, both up
    #                   -> D5 D4 (12): up and up, fifth to octave: similar, not parallel
    #                   -> E5 E4 (12) parallel octave -> E5 C4: one stays, no pair that moves
    #                   -> F5 A3: contrary motion, no pair in one direction
    piece = choir([67, 69, 74, 76, 76, 77], [48, 50, 62, 64, 60, 57], roles=("soprano", "bass"))
    assert part_writing(piece)["parallel_fifths"] == Count(1, 3)
    assert part_writing(piece)["parallel_octaves"] == Count(1, 3)
    assert value(piece, "parallel_fifths") == pytest.approx(1000 / 3)
    # 6 notes of 4 steps have 23 pairs of steps, of which 3 change both voices the same way
    assert value(piece, "similar_motion") == pytest.approx(3 / 23)


def test_a_repeated_fifth_and_a_fifth_across_a_rest_are_no_parallels():
    piece = choir([67, 67, None, 69], [60, 60, None, 62], roles=("soprano", "bass"))
    assert part_writing(piece)["parallel_fifths"] == Count(0, 0)


def test_the_order_of_tracks_does_not_matter():
    lines = [67, 69, 74, 76], [64, 64, 66, 67], [60, 62, 62, 59], [48, 50, 62, 64]
    upright = choir(*lines)
    turned = choir(*lines[::-1], roles=VOICES[::-1])
    assert part_writing(upright) == part_writing(turned)


def test_crossing_and_spacing():
    # beats: E5 C5 (in order, 4 semitones), C5 E5 (crossed), E5 C4 (16 apart), over a bass that is
    # not counted for spacing although it is two octaves lower
    piece = choir([76, 72, 76], [72, 76, 60], [36, 36, 36], roles=("soprano", "alto", "bass"))
    assert value(piece, "crossing") == pytest.approx(1 / 3)
    assert value(piece, "wide_spacing") == pytest.approx(1 / 3)


def test_crossing_of_voices_without_known_roles_goes_by_mean_pitch():
    low, high = [48, 50, 70, 50], [60, 62, 64, 62]
    assert value(choir(low, high, roles=()), "crossing") == 0.25


def test_moves_of_a_line():
    # 60 62 (2: step) 62 (no move) 70 (8: leap) 65 (5: neither); two voices are not joined
    piece = choir([60, 62, 62, 70, 65], [30] * 5)
    assert part_writing(piece)["stepwise"] == Count(1, 3)
    assert part_writing(piece)["leaps"] == Count(1, 3)


def test_dissonant_pairs_are_seconds_tritones_and_sevenths():
    # C-E-G: none of 3 pairs. C-D-G: C-D. C-F#-G: C-F#, F#-G. 3 of 9
    piece = choir([67, 67, 67], [64, 62, 66], [60, 60, 60])
    assert value(piece, "dissonant_pairs") == pytest.approx(3 / 9)


def test_sonorities_on_beats():
    # C major, C-E (a part of a triad), C-F-G (no chord), G7 (a chord, no triad), silence (left out)
    piece = choir(
        [67, None, 67, 65, None], [64, 64, 65, 62, None], [60, 60, 60, 59, None],
        [48, 48, 48, 55, None],
    )  # fmt: skip
    assert value(piece, "triads") == 0.25
    assert value(piece, "no_chord") == 0.25


def test_what_is_between_beats_does_not_count():
    # steps of a sixteenth: C-E-G on the beat, clusters on the three sixteenths after it
    piece = choir([67, 61, 61, 61], [64, 62, 62, 62], [60, 60, 60, 60], lasts=1)
    assert value(piece, "triads") == 1


def test_tables_of_sonorities():
    assert IS_CONSONANT_TRIAD.sum() == 24
    for chord in ((0, 4, 7), (0, 3, 6, 9), (0, 4, 10), (0, 1), (5,)):
        assert IS_CHORD[mask_of(chord, root=3)]
    for cluster in ((0, 5, 7), (0, 1, 2), (0, 2, 4, 7), (0, 3, 7, 11)):
        assert not IS_CHORD[mask_of(cluster, root=8)]
    # E-G-C over E: the bass is 0, the others 3 and 8 above it
    found = above_bass(np.array([mask_of((0, 4, 7))]), np.array([52]))
    assert found.tolist() == [mask_of((0, 3, 8))]


def test_texture():
    # soprano: 4 quarters, bass: one note of 4 quarters. 32 sounding cells, 5 onsets
    rows = [(0, 4 * n, 4, 72 + n, 80) for n in range(4)] + [(1, 0, 16, 48, 80)]
    meters = (Meter(0, 2, 4),)
    tracks = (Track(role="soprano"), Track(role="bass"))
    piece = Piece("p", 4, make_notes(rows), tracks, meters=meters)
    assert value(piece, "held") == pytest.approx(27 / 32)
    assert value(piece, "onsets") == pytest.approx(5 / 16)
    assert value(piece, "notes_per_bar") == 2.5  # two bars of 2/4
    assert voice_ranges(piece) == {"soprano": Count(3, 1), "bass": Count(0, 1)}


def test_the_range_of_a_role_is_that_of_all_its_tracks():
    # 60..62 and 70..71 are one range of 11
    piece = choir([60, 62], [70, 71], [50, 51], roles=("soprano", "soprano", "bass"))
    assert voice_ranges(piece) == {"soprano": Count(11, 1), "bass": Count(1, 1)}


def test_the_floor_draws_only_pieces_that_define_the_value():
    # two defined pieces, of values 0 and 1; a draw of one of the eight others would be undefined,
    # and a draw of two of all ten would often be of a single defined one
    above, below = np.zeros(10), np.zeros(10)
    above[3], below[[3, 7]] = 1, 1
    floor = floor_interval(Counts(above, below), 2, seed=1, resamples=50)
    assert (floor.value, floor.low, floor.high) == (0.5, 0.5, 0.5)
    nothing = floor_interval(Counts(above, np.zeros(10)), 2, seed=1, resamples=50)
    assert np.isnan(nothing.value)


def test_values_do_not_depend_on_the_time_unit():
    lines = [67, 69, 74, 76], [64, 64, 66, 67], [60, 62, 62, 59], [48, 50, 62, 64]
    coarse, fine = choir(*lines, tick=4, lasts=2), choir(*lines, tick=480, lasts=240)
    assert part_writing(coarse) == part_writing(fine)


def test_the_counts_of_many_pieces_are_theirs_in_order():
    pieces = [choir([67, 69], [60, 62]), choir([67]), choir([67, 66], [60, 62])]
    found = count_all(pieces, PART_WRITING, part_writing)
    assert found["parallel_fifths"].per_piece().tolist()[0] == 1000
    assert np.isnan(found["parallel_fifths"].per_piece()[1:]).all()
    assert Counts(np.array([1.0, 3.0]), np.array([2.0, 0.0])).per_piece()[0] == 0.5
