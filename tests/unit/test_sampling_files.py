"""Files of generate.py: where they may be written, and in which tempo."""

from dataclasses import replace

import numpy as np
import pytest

from ostinato.music.piece import Meter, Tempo, Track
from ostinato.music.signatures import with_pickup
from ostinato.representations.events.events import Events
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.by_hand import free_names, voiced
from ostinato.sampling.kept import as_asked, heard_of, in_tempo_of, sounding_as

BARS = Grid(bars=True, end=True, meters=("1/4", "3/4", "4/4"))


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file is a file; give another out="):
        free_names(tmp_path / "file" / "new", 1, ["mid"])
    assert free_names(tmp_path / "new" / "newer", 1, ["mid"]) == ["000"]
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(ValueError, match=r"cannot be written; give another out="):
        free_names(tmp_path / "new" / "newer", 1, ["mid"])


def test_changes_of_tempo_come_later_where_a_pickup_is_filled_up(chorale):
    meters, tempos = (Meter(0, 1, 4), Meter(480, 4, 4)), (Tempo(0, 60.0), Tempo(480, 90.0))
    piece = with_pickup(replace(chorale(2), meters=meters, tempos=tempos))
    for encoding, second in ((BARS, 1), (Events(), 4)):
        made = in_tempo_of(piece, encoding.quantize(voiced(piece, encoding)).piece)
        quarters = [(tempo.onset / made.ticks_per_quarter, tempo.qpm) for tempo in made.tempos]
        assert quarters == [(0, 60.0), (second, 90.0)]


NOTHING = {"bars": None, "voices": []}
PROGRAMS = (73, 68, 60, 42)


def coloured(piece):
    """With a program for each track and velocities that differ."""
    tracks = tuple(replace(t, program=p) for t, p in zip(piece.tracks, PROGRAMS, strict=True))
    notes = piece.notes.copy()
    notes["velocity"] = 1 + np.arange(len(notes)) % 120
    return replace(piece, tracks=tracks, notes=notes)


def test_what_is_kept_sounds_as_before(chorale):
    """Programs and velocities of the notes that are in both, also after a pickup, without names."""
    plain = coloured(chorale(2))
    nameless = replace(plain, tracks=tuple(replace(t, role="", name="") for t in plain.tracks))
    by_height = sounding_as(nameless, BARS.quantize(voiced(nameless, BARS)).piece)
    assert {track.program for track in by_height.tracks} == set(PROGRAMS)
    for piece in (plain, with_pickup(plain)):
        held = BARS.quantize(voiced(piece, BARS)).piece
        assert {track.program for track in held.tracks} != set(PROGRAMS)
        made = sounding_as(piece, held)
        assert [track.program for track in made.tracks] == list(PROGRAMS)
        assert np.array_equal(made.notes[["onset", "pitch"]], held.notes[["onset", "pitch"]])
        begins = {(n["track"], n["pitch"], n["onset"]): n["velocity"] for n in piece.notes}
        scale = piece.ticks_per_quarter // made.ticks_per_quarter
        first = made.length - piece.length // scale  # what the grid puts before a pickup
        for note in made.notes:
            place = (note["track"], note["pitch"], (note["onset"] - first) * scale)
            assert note["velocity"] == begins[place]
    changed = held.notes.copy()
    changed["pitch"] += 1
    other = sounding_as(nameless, replace(held, notes=changed))
    assert [track.program for track in other.tracks] != list(PROGRAMS)


def test_what_is_new_keeps_the_sound_that_the_model_chose(chorale):
    """Also where a track of the prompt has its role, and none of its notes."""
    plain = coloured(chorale(1))
    others = replace(chorale(1), tracks=tuple(Track(program=p) for p in (0, 0, 0, 32)))
    notes = others.notes.copy()
    notes["pitch"][notes["track"] == 3] += 1
    made = sounding_as(plain, replace(others, notes=notes))
    assert [track.program for track in made.tracks] == [73, 68, 60, 32]
    drums = replace(plain, tracks=(*plain.tracks[:3], Track(role="bass", program=5, is_drum=True)))
    assert sounding_as(plain, drums).tracks[3].program == 5


def test_bars_that_a_continuation_does_not_keep_say_nothing(chorale):
    tempos = (Tempo(0, 60.0), Tempo(3 * 4 * 480, 200.0))
    piece = replace(coloured(chorale(3)), tempos=tempos)
    assert heard_of(piece, 2).quarters == 8
    assert heard_of(piece, 1.5).quarters == 6
    assert heard_of(piece, 99).length == piece.length
    config = {"prompt_bars": 2, "tempo": None, "options": {}, "infill": NOTHING, "vary": None}
    config |= {"task": None}
    made = as_asked(config, {"prompt": piece}, chorale(3))
    assert [tempo.qpm for tempo in made.tempos] == [60.0]
    late = made.notes["onset"] >= 2 * 4 * 480
    assert np.array_equal(made.notes["velocity"][late], chorale(3).notes["velocity"][late])
    assert np.array_equal(made.notes["velocity"][~late], piece.notes["velocity"][~late])
    own = replace(chorale(3), tempos=(Tempo(0, 150.0),))
    asked = as_asked(config | {"options": {"tempo": 150}}, {"prompt": piece}, own)
    assert [tempo.qpm for tempo in asked.tempos] == [150.0]
