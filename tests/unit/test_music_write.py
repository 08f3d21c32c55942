"""A piece written as MIDI is read back the same, in every key, with the same bytes each time."""

from dataclasses import replace

import numpy as np
import pytest

from ostinato.music.piece import Key, Meter, Tempo, Track, same_music
from ostinato.music.write import write_midi
from ostinato.readers.read import ReadOptions, read_piece

KEYS = [(fifths, mode) for mode in ("major", "minor") for fifths in range(-7, 8)]


@pytest.mark.parametrize(("fifths", "mode"), KEYS)
def test_every_key_survives(tmp_path, chorale, fifths, mode):
    piece = replace(chorale(3, bars=1), keys=(Key(0, fifths, mode),))
    write_midi(tmp_path / "a.mid", piece)
    assert read_piece(tmp_path / "a.mid").keys == piece.keys


@pytest.mark.parametrize("tpq", [4, 24, 480])
@pytest.mark.parametrize("seed", range(4))
def test_notes_tracks_meters_tempos_and_keys_survive(tmp_path, chorale, seed, tpq):
    piece = replace(
        chorale(seed, tpq=tpq),
        meters=(Meter(0, 4, 4), Meter(4 * tpq, 3, 4), Meter(10 * tpq, 6, 8)),
        keys=(Key(0, 0, "major"), Key(8 * tpq, -4, "minor"), Key(12 * tpq, 6, "major")),
        tempos=(Tempo(0, 120.0), Tempo(5 * tpq, 60.0)),
        title="Ach Gott",
    )
    piece = replace(piece, tracks=tuple(replace(t, program=19) for t in piece.tracks))
    write_midi(tmp_path / "a.mid", piece)
    back = read_piece(tmp_path / "a.mid", ReadOptions(ticks_per_quarter=tpq))
    assert same_music(piece, back)
    assert (back.keys, back.meters, back.tempos) == (piece.keys, piece.meters, piece.tempos)
    assert (back.tracks, back.title) == (piece.tracks, piece.title)


def test_another_time_unit_keeps_the_music(tmp_path, chorale):
    piece = replace(chorale(5, tpq=24), keys=(Key(24, 2, "major"),), meters=(Meter(48, 2, 4),))
    write_midi(tmp_path / "a.mid", piece)
    back = read_piece(tmp_path / "a.mid", ReadOptions(ticks_per_quarter=480))
    assert np.array_equal(back.notes["onset"], piece.notes["onset"] * 20)
    assert np.array_equal(back.notes["duration"], piece.notes["duration"] * 20)
    assert (back.keys, back.meters) == ((Key(480, 2, "major"),), (Meter(960, 2, 4),))


def test_drums_stay_drums_and_a_key_that_midi_cannot_say_is_left_out(tmp_path, chorale):
    piece = chorale(6, bars=1)
    tracks = (*piece.tracks[:3], Track(name="drums", is_drum=True))
    piece = replace(piece, tracks=tracks, keys=(Key(0, 9, "major"), Key(480, 1, "dorian")))
    write_midi(tmp_path / "a.mid", piece)
    back = read_piece(tmp_path / "a.mid")
    assert [track.is_drum for track in back.tracks] == [False, False, False, True]
    assert back.keys == (Key(480, 1, "major"),)


def test_the_same_piece_gives_the_same_bytes_and_an_error_leaves_the_old_file(tmp_path, chorale):
    path = tmp_path / "deep" / "a.mid"
    write_midi(path, chorale(7))
    before = path.read_bytes()
    write_midi(path, chorale(7))
    assert path.read_bytes() == before
    notes = chorale(8).notes.copy()
    notes["pitch"][0] = 300
    with pytest.raises(ValueError, match="data byte"):
        write_midi(path, replace(chorale(8), notes=notes))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["a.mid"]
