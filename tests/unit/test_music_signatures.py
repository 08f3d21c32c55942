"""Bars of any length in MIDI files: 480 ticks a quarter, pickups, short bars, changes of meter."""

from dataclasses import replace
from itertools import pairwise

import mido
import numpy as np
import pytest

from ostinato.music.piece import Annotation, Meter, Piece, Track, make_notes
from ostinato.music.signatures import with_pickup, with_signatures
from ostinato.music.timing import bar_onsets, numbered_bars
from ostinato.music.write import write_midi
from ostinato.readers.read import ReadOptions, read_piece


def piece_of(bars, end, meters, tpq=4):
    return Piece(
        id="made",
        ticks_per_quarter=tpq,
        notes=make_notes([(0, a, b - a, 60, 80) for a, b in pairwise([*bars, end])]),
        tracks=(Track(name="Soprano"),),
        meters=meters,
        annotations=tuple(Annotation(bar, "bar") for bar in bars),
    )


PIECES = {
    "whole bars": piece_of([0, 16, 32], 48, (Meter(0, 4, 4),)),
    "a pickup": piece_of([0, 4, 20, 36], 48, (Meter(0, 4, 4),)),
    "a pickup in six": piece_of([0, 2, 14, 26], 36, (Meter(0, 6, 8),)),
    "a pickup of three eighths": piece_of([0, 6, 22], 38, (Meter(0, 4, 4),)),
    "a repeat within a bar": piece_of([0, 4, 20, 32, 36, 52], 64, (Meter(0, 4, 4),)),
    "another meter": piece_of([0, 4, 16, 28, 44], 60, (Meter(0, 3, 4), Meter(28, 4, 4))),
}


@pytest.mark.parametrize("name", PIECES)
def test_written_bars_are_read_again(tmp_path, name):
    piece = PIECES[name]
    write_midi(tmp_path / "a.mid", piece)
    midi = mido.MidiFile(tmp_path / "a.mid")
    assert midi.ticks_per_beat == 480
    back = read_piece(tmp_path / "a.mid", ReadOptions(ticks_per_quarter=4))
    assert bar_onsets(back) == bar_onsets(piece)
    assert np.array_equal(back.notes, piece.notes)
    if "repeat" not in name:
        assert back.meters == piece.meters
        assert numbered_bars(back) == numbered_bars(piece)


def test_a_pickup_is_a_first_signature_of_its_length(tmp_path):
    write_midi(tmp_path / "a.mid", PIECES["a pickup of three eighths"])
    found = [m for m in mido.MidiFile(tmp_path / "a.mid").tracks[0] if m.type == "time_signature"]
    assert [(m.numerator, m.denominator) for m in found] == [(3, 8), (4, 4)]
    assert [m.time for m in found] == [0, 720]


def test_only_annotated_bars_and_real_pickups_change_meters():
    plain = replace(PIECES["a pickup"], annotations=())
    assert with_signatures(plain) is plain
    for meters in (
        (Meter(0, 4, 4),),
        (Meter(0, 2, 4), Meter(16, 4, 4)),  # two bars
        (Meter(0, 4, 4), Meter(16, 3, 4)),
        (Meter(0, 1, 4), Meter(6, 4, 4)),  # within a bar
    ):
        piece = replace(plain, meters=meters)
        assert with_pickup(piece) is piece


def test_a_length_that_no_signature_has_keeps_the_meter():
    piece = piece_of([0, 7, 7 + 48], 103, (Meter(0, 4, 4),), tpq=12)
    assert with_signatures(piece).meters == (Meter(0, 4, 4),)


def test_ticks_that_480_cannot_hold_stay(tmp_path):
    write_midi(tmp_path / "a.mid", piece_of([0, 28], 56, (Meter(0, 4, 4),), tpq=7))
    assert mido.MidiFile(tmp_path / "a.mid").ticks_per_beat == 7
