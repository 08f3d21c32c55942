"""A piano roll keeps what sounds, frame by frame, and counts what it cannot say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.io import savemat

from ostinato.music.piece import Piece, Track, make_notes
from ostinato.readers.read import ReadOptions, read
from ostinato.representations.roll.roll import Roll

ROLL = Roll(steps_per_quarter=1)


def piece(rows, drums=False):
    tracks = (Track(role="a"), Track(role="b", is_drum=drums))
    return Piece(id="made", ticks_per_quarter=1, notes=make_notes(rows), tracks=tracks)


@settings(max_examples=min(40, settings.default.max_examples), deadline=None, derandomize=True)
@given(
    cells=arrays.arrays(
        np.int32, st.tuples(st.integers(0, 7), st.just(88)), elements=st.integers(0, 1)
    )
)
def test_any_roll_decodes_and_encodes_to_itself_but_for_silence_at_its_end(cells):
    sounds = np.flatnonzero(cells.any(axis=1))
    last = int(sounds[-1]) + 1 if len(sounds) else 0
    assert np.array_equal(ROLL.encode(ROLL.decode(cells)), cells[:last])


def test_silent_frames_before_and_between_notes_of_a_published_file_are_kept(tmp_path):
    roll = np.zeros((9, 88), dtype=np.uint8)
    roll[2:4, 10] = roll[3, 50] = roll[8, 87] = roll[8, 0] = 1
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = roll
    savemat(tmp_path / "set.mat", {"traindata": cell, "validdata": cell, "testdata": cell})
    found = read(tmp_path / "set.mat", "test/000", ReadOptions(reader="roll_mat")).piece
    assert np.array_equal(ROLL.encode(found), roll)


def test_notes_of_a_key_that_sounds_already_are_joined_and_counted():
    rows = [(0, 0, 4, 60, 80), (1, 2, 4, 60, 80), (0, 6, 2, 60, 80), (0, 0, 1, 61, 80)]
    found = ROLL.quantize(piece(rows))
    assert found.dropped == {"begins while its key sounds": 1}  # the third only follows: one note
    assert found.piece.notes[["onset", "duration", "pitch"]].tolist() == [(0, 8, 60), (0, 1, 61)]
    twice = ROLL.quantize(piece([(0, 0, 4, 60, 80), (1, 0, 2, 60, 80)]))
    assert twice.dropped == {"begins while its key sounds": 1}


def test_drums_are_left_out_and_counted():
    found = ROLL.quantize(piece([(0, 0, 4, 60, 80), (1, 0, 4, 38, 80)], drums=True))
    assert found.dropped == {"drums": 1}
    assert found.piece.notes["pitch"].tolist() == [60]
    silent = replace(piece([(1, 0, 4, 38, 80)], drums=True))
    assert ROLL.encode(silent).shape == (0, 88)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest": 100}, "to 187"),
        ({"keys": 0}, "one key or more"),
        ({"steps_per_quarter": 0}, "at least 1"),
    ],
)
def test_contradictory_options_say_the_remedy(options, message):
    with pytest.raises(ValueError, match=message):
        Roll(**options)
