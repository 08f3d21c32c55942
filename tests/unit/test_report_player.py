"""Players of the report: colours and lanes of voices, recorded notes."""

import json
from dataclasses import replace

from ostinato.music.piece import Piece, Track, make_notes
from ostinato.player.recorded import PITCHES, instruments, recordings
from ostinato.report.data import StoredSample
from ostinato.report.player import DRUMS, color_of, roll_of, voices

BAND = (("bass", 33), ("piano", 0), ("guitar", 25), ("strings", 48))


def test_a_bands_voices_have_colours_and_lanes_of_their_own():
    """The bass of a band must not have the colour of a choir's bass, which a fourth track has."""
    tracks = [Track("", role, program) for role, program in BAND] + [Track(is_drum=True)]
    rows = [(track, 0, 480, 60, 80) for track in range(5)]
    piece = Piece("band", 480, make_notes(rows), tuple(tracks))
    assert [color_of(piece, track) for track in range(5)] == [0, 1, 2, 3, DRUMS]
    colors = [color for color, _ in voices((StoredSample("a", "", 1, 0, 1.0, piece=piece),))]
    assert colors == [0, 1, 2, 3, DRUMS]
    assert roll_of(piece, [0] * 5, [""] * 5)["lanes"]
    singers = tuple(Track("", role, 19) for role in ("bass", "soprano"))
    choir = replace(piece, tracks=singers, notes=make_notes(rows[:2]))
    assert [color_of(choir, track) for track in range(2)] == [3, 0]
    assert not roll_of(choir, [0] * 2, [""] * 2)["lanes"]


def test_recorded_notes_are_small_and_whole():
    drums = Track(is_drum=True)
    piece = Piece("kit", 480, make_notes([(0, 0, 9, 38, 80), (0, 0, 9, 36, 80)]), (drums,))
    found = recordings({"19": set()} | instruments([piece]))
    assert sorted(map(int, found["19"]["notes"])) == list(PITCHES)
    assert list(found["drums"]["notes"]) == ["36", "38"]
    assert (found["19"]["loop"], found["drums"]["loop"]) == (True, False)
    assert len(json.dumps(found)) < 450_000
