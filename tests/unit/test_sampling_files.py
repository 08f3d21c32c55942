"""Files of generate.py: where they may be written, and in which tempo."""

from dataclasses import replace

import numpy as np
import pytest

from ostinato.music.piece import Meter, Tempo, Track
from ostinato.music.signatures import with_pickup
from ostinato.representations.events.events import Events
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.by_hand import free_names, voiced
from ostinato.sampling.in_time import in_tempo_of, sounding_as

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


def test_what_is_kept_sounds_as_before(chorale):
    """Programs by role, velocities of the notes that are in both, also after a pickup."""
    plain = chorale(2)
    tracks = tuple(
        replace(t, program=p) for t, p in zip(plain.tracks, (73, 68, 60, 42), strict=True)
    )
    notes = plain.notes.copy()
    notes["velocity"] = 1 + np.arange(len(notes)) % 120
    for piece in (
        replace(plain, tracks=tracks, notes=notes),
        with_pickup(replace(plain, tracks=tracks, notes=notes)),
    ):
        heard = voiced(piece, BARS)
        held = BARS.quantize(heard).piece
        assert {track.program for track in held.tracks} != {73, 68, 60, 42}
        made = sounding_as(heard, held)
        assert [track.program for track in made.tracks] == [73, 68, 60, 42]
        assert np.array_equal(made.notes[["onset", "pitch"]], held.notes[["onset", "pitch"]])
        begins = {(n["track"], n["pitch"], n["onset"]): n["velocity"] for n in heard.notes}
        scale = heard.ticks_per_quarter // made.ticks_per_quarter
        first = made.length - heard.length // scale  # what the grid puts before a pickup
        for note in made.notes:
            place = (note["track"], note["pitch"], (note["onset"] - first) * scale)
            assert note["velocity"] == begins[place]
    changed = held.notes.copy()
    changed["pitch"] += 1
    other = sounding_as(heard, replace(held, notes=changed))
    assert (other.notes["velocity"] == BARS.velocity).sum() > len(changed) / 2


def test_a_role_of_several_tracks_says_no_program(chorale):
    """A new track of no role keeps the instrument that the model chose."""
    plain = chorale(1)
    nameless = tuple(Track(program=program) for program in (0, 0, 0, 0))
    before = replace(plain, tracks=nameless)
    after = replace(plain, tracks=(*nameless[:3], Track(program=32)))
    assert [track.program for track in sounding_as(before, after).tracks] == [0, 0, 0, 32]
    drums = replace(plain, tracks=(*plain.tracks[:3], Track(role="bass", program=5, is_drum=True)))
    assert sounding_as(plain, drums).tracks[3].program == 5
