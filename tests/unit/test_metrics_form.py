"""Form on hand-made pieces, whose values are worked out in the comments."""

import numpy as np
import pytest

from ostinato.metrics.form import ENDINGS, FORM, endings, form
from ostinato.metrics.keys import key_of, keys_by_windows
from ostinato.metrics.steps import steps_of
from ostinato.music.piece import VOICES, Piece, Track, make_notes

G7, C, F = (65, 62, 59, 55), (67, 64, 60, 48), (69, 65, 60, 53)
AM, C6 = (69, 64, 60, 57), (72, 67, 60, 52)


def chords(*parts, start=0, tick=4):
    """A choir of chords, each (pitches, quarters); None is a rest."""
    rows, at = [], start
    for pitches, quarters in parts:
        lasts = int(quarters * tick)
        rows += [(voice, at, lasts, pitch, 80) for voice, pitch in enumerate(pitches or ())]
        at += lasts
    return Piece("p", tick, make_notes(rows), tuple(Track(role=role) for role in VOICES))


def value(piece, name):
    above, below = (form(piece) | endings(piece))[name]
    return {**FORM, **ENDINGS}[name].scale * above / below if below else np.nan


def test_an_authentic_cadence_falls_from_a_dominant_to_a_root_position_triad():
    # 8 quarters: F G7 C(2) | Am G7 Am(2). One cadence, G7-C: the second G7 goes to A minor, whose
    # bass does not lie a fifth lower. 1 in 8 quarters is 8 in 16 bars of 4
    piece = chords((F, 1), (G7, 1), (C, 2), (AM, 1), (G7, 1), (AM, 2))
    assert value(piece, "cadences") == 8
    # held a dotted quarter or more: C and Am; one of them is a cadence
    assert value(piece, "cadences_at_held") == 0.5


@pytest.mark.parametrize(
    "parts",
    [
        [(G7, 1), (C6, 2)],  # the bass is the third: no root position
        [(G7, 1), (C, 0.5), (F, 1.5)],  # the arrival lasts an eighth
        [(G7, 1.5), (C, 1)],  # the arrival is off the beat
        [((65, 62, 58, 55), 1), (C, 2)],  # G minor has no leading tone
        [(C, 1), (C, 2)],
        [(None, 1), (C, 2)],
    ],
)
def test_what_is_no_cadence(parts):
    assert value(chords(*parts), "cadences") == 0
    assert value(chords(*parts), "last_cadence") == 0


def test_a_cadence_may_lack_its_fifth_and_the_seventh():
    open_fifth = (64, 60, 60, 48)
    assert value(chords((F, 1), ((67, 62, 59, 55), 1), (open_fifth, 2)), "last_cadence") == 1


def test_endings():
    cadence = chords((C, 1), (F, 1), (G7, 1), (C, 1))
    assert [value(cadence, name) for name in ENDINGS] == [1, 1, 1]
    # on A minor, a triad in root position: no cadence, and the key is C major
    deceptive = chords((C, 4), (F, 1), (G7, 2), (AM, 1))
    assert [value(deceptive, name) for name in ENDINGS] == [1, 0, 0]
    # cut off in an eighth
    assert value(chords((C, 1), (G7, 1), (C, 0.5)), "last_sonority") == 0
    assert endings(Piece("p", 4, make_notes([]), ())) == {}


def test_phrases_are_held_chords_whole_bars_apart():
    # held chords begin at quarters 2, 6 (4 later: yes), 13 (7: no), 15 (2: too close to count)
    piece = chords((F, 1), (G7, 1), (C, 2), (F, 1), (G7, 1), (AM, 2),
                   *[(F, 1)] * 5, (C, 2), (F, 2))  # fmt: skip
    assert form(piece)["phrases"] == (1, 2)


def test_keys():
    c_major = [(C, 1), (F, 1), (G7, 1), (C, 1)] * 4
    up = [tuple(pitch + 6 for pitch in chord) for chord in (C, F, G7)]
    f_sharp = [(up[0], 1), (up[1], 1), (up[2], 1), (up[0], 1)] * 4
    assert key_of(steps_of(chords(*c_major))) == 0
    minor = chords((AM, 2), ((64, 62, 59, 50), 1), ((68, 64, 59, 52), 1), (AM, 2))
    assert key_of(steps_of(minor)) == 12 + 9
    # windows at quarters 0, 8 and 16: C, half and half, F sharp
    found = keys_by_windows(steps_of(chords(*c_major, *f_sharp)))
    assert (found[0], found[-1], len(found)) == (0, 6, 3)
    assert value(chords(*c_major), "keys") == 1
    assert value(chords(*c_major), "home_key") == 1
    assert value(chords(*c_major, *f_sharp), "keys") >= 2


def test_similarity_of_bars():
    # bars A A B (a bar: four quarters). A and A share all 16 notes; A and B: F is where C was, G7
    # where F was, ..., so that no step has the same note in the same voice but the tenor's C
    a = [(C, 1), (C, 1), (C, 1), (C, 1)]
    b = [(F, 1), (F, 1), (F, 1), (F, 1)]
    # A-A: 16 of 16; A-B: tenor 60 in both, 4 of 28. The mean of both pairs
    assert value(chords(*a, *a, *b), "similarity_1") == pytest.approx((1 + 4 / 28) / 2)
    # lag 4: bars 0-4 (A, A) and 1-5 (B, A)
    piece = chords(*a, *b, *b, *b, *a, *a)
    assert value(piece, "similarity_4") == pytest.approx((1 + 4 / 28) / 2)
    assert np.isnan(value(piece, "similarity_8"))
    # A B B B A A: bars 2, 3, 4 and 5 occurred before
    assert value(piece, "repeated_bars") == pytest.approx(4 / 6)


def test_silence_does_not_count_what_is_before_the_first_note():
    # a rest of 2 quarters, C for 2, a rest of 1, C for 1: 1 of 4 quarters is silent
    piece = chords((None, 2), (C, 2), (None, 1), (C, 1))
    assert value(piece, "silence") == 0.25


@pytest.mark.parametrize(
    ("piece", "faults"),
    [
        (chords(*[(C, 1), (G7, 1)] * 16), []),
        # every voice repeats its note for 12 quarters: a drone even in repeated notes
        (chords(*[(C, 1)] * 12), ["drones"]),
        (chords(*[(C, 1), (F, 1)] * 5, (C, 1)), []),
        (chords((C, 1), (F, 1), (None, 4), (C, 1), (F, 1)), ["holes"]),
        (chords((C, 1), (F, 1), (None, 3.75), (C, 1), (F, 1)), []),
        # 4 notes of 4 voices in 5 quarters: below one note in four quarters for each voice
        (chords((C, 5)), ["too_few_notes"]),
        (chords((C, 4)), []),
        (chords(), ["too_few_notes"]),
    ],
)
def test_degenerate_pieces(piece, faults):
    names = ("drones", "holes", "too_few_notes")
    assert [name for name in names if value(piece, name) == 1] == faults
    assert value(piece, "degenerate") == bool(faults)


def test_values_do_not_depend_on_the_time_unit():
    parts = (F, 1), (G7, 1), (C, 2), (F, 1), (G7, 0.5), (AM, 2.5)
    assert form(chords(*parts, tick=4)) == form(chords(*parts, tick=96))


def test_a_piece_without_notes_has_nothing_but_too_few_of_them():
    defined = [name for name, count in form(chords()).items() if count.below]
    assert defined == ["drones", "holes", "too_few_notes", "degenerate"]
