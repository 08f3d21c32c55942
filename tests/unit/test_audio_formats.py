"""One piece in several formats, each beside the others."""

import numpy as np
import pytest
import soundfile

from ostinato.audio.formats import FORMATS, check_formats, write_formats
from ostinato.audio.render import RenderError
from ostinato.music.piece import Piece, Track, make_notes
from ostinato.readers.read import read_piece
from ostinato.representations.mel.mel import Mel


@pytest.mark.long
def test_every_format_holds_the_piece_under_one_name(chorale, tmp_path):
    piece = chorale(1, bars=1)
    assert write_formats(piece, tmp_path, "a", check_formats(FORMATS)) == {}
    assert {path.name for path in tmp_path.iterdir()} == {f"a.{kind}" for kind in FORMATS}
    for kind in ("mid", "musicxml"):
        assert sorted(read_piece(tmp_path / f"a.{kind}").notes["pitch"]) == sorted(
            piece.notes["pitch"]
        )
    begins = {"wav": b"RIFF", "png": b"\x89PNG", "mid": b"MThd"}
    assert all((tmp_path / f"a.{kind}").read_bytes().startswith(b) for kind, b in begins.items())


def test_only_what_is_asked_for_is_written(chorale, tmp_path):
    write_formats(chorale(1, bars=1), tmp_path, "a", check_formats(["musicxml", "mid", "mid"]))
    assert {path.name for path in tmp_path.iterdir()} == {"a.mid", "a.musicxml"}


@pytest.mark.parametrize("given", [["midi"], ["mid", "ogg"], []])
def test_unknown_formats_are_refused_with_the_list(given):
    with pytest.raises(ValueError, match="one or more of mid, musicxml, wav, mp3, png"):
        check_formats(given)


def test_a_libsndfile_without_mp3_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr("soundfile.available_formats", dict)
    with pytest.raises(ValueError, match=r"cannot encode MP3.*write wav, or .*requirements\.lock"):
        check_formats(["mp3"])
    assert check_formats(["wav"]) == ("wav",)


def test_what_has_no_sound_is_said_and_the_rest_is_written(chorale, tmp_path, monkeypatch):
    rests = Piece("r", 4, make_notes([]), (Track(),))
    failed = write_formats(rests, tmp_path, "rests", FORMATS)
    assert failed == {"wav": "rests alone", "mp3": "rests alone"}

    def silent(piece):
        raise RenderError("the sound is silent")

    monkeypatch.setattr("ostinato.audio.render.synthesize", silent)
    assert write_formats(chorale(1, bars=1), tmp_path, "a", ("mid", "mp3")) == {
        "mp3": "the sound is silent"
    }
    assert {path.name for path in tmp_path.iterdir()} == {
        *("rests.mid", "rests.musicxml", "rests.png"),
        "a.mid",
    }


def test_a_recording_becomes_sound_and_a_picture_but_no_notes(tmp_path):
    mel = Mel(bands=24, seconds=1.0, iterations=4)
    recording = mel.recording(np.sin(np.arange(8000) * 0.3).astype(np.float32) / 2)
    failed = write_formats(recording, tmp_path, "a", ["mid", "wav", "mp3", "png"])
    assert list(failed) == ["mid"]
    assert "formats=[wav]" in failed["mid"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp3", "a.png", "a.wav"]
    sound, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == 8000
    assert np.abs(sound).max() == pytest.approx(np.abs(recording.sound).max(), abs=1e-3)
    write_formats(recording, tmp_path / "again", "a", ["wav", "mp3", "png"])
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()
