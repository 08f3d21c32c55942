"""Mel spectrograms: their numbers by an independent transform, what inversion keeps of a sound."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import ShortTimeFFT

from ostinato.audio.render import synthesize
from ostinato.corpus.store import Entry
from ostinato.loading.tokens import open_tokens
from ostinato.models.spec import ArraySpec
from ostinato.music.piece import Tempo, Track
from ostinato.music.recording import OFFSET
from ostinato.representations.mel.mel import FLOOR, LATE, PEAK, Mel
from ostinato.representations.protocol import Extent, Sounding, Unencodable
from ostinato.representations.registry import build
from ostinato.representations.store import describe, write_encoding

MEL = Mel(seconds=4.0)
ORIGIN = {"licence": "none", "citation": "none", "url": "none"}


def sine(hertz, seconds=1.0, level=0.5):
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * 8000)) / 8000)


@pytest.fixture(scope="module")
def frames(chorale):
    return MEL.encode(chorale(1))


def test_the_transform_is_that_of_scipy():
    sound = np.random.default_rng(1).normal(size=5000)
    ours = MEL.spectrum.stft(sound)
    theirs = ShortTimeFFT(MEL.spectrum.taper.astype(float), 256, 8000).stft(sound, p0=0, p1=20)
    turned = ShortTimeFFT(
        MEL.spectrum.taper.astype(float), 256, 8000, phase_shift=None
    ).stft(sound, p0=0, p1=20)  # fmt: skip
    assert np.allclose(np.abs(ours), np.abs(theirs.T), atol=1e-4)
    assert np.allclose(ours, turned.T, atol=1e-4)
    assert np.allclose(MEL.spectrum.istft(ours), sound[: 19 * 256], atol=1e-5)


def test_a_sine_has_its_level_in_its_own_band():
    middle = MEL.frames(sine(440.0))[16]
    hertz = np.arange(513) * 8000 / 1024
    centres = np.asarray(MEL.spectrum.filters @ hertz) / np.asarray(
        MEL.spectrum.filters.sum(axis=1)
    )
    assert abs(centres[middle.argmax()] - 440) < 12
    assert (np.diff(centres) > 0).all()
    assert 20 * (middle.max() - OFFSET) == pytest.approx(20 * np.log10(0.5), abs=3)
    louder = MEL.frames(sine(440.0, level=0.5 * 10**0.5))[16]
    assert louder.max() - middle.max() == pytest.approx(0.5, abs=0.01)
    assert np.all(MEL.frames(np.zeros(4000)) == np.float32(FLOOR / 20 + OFFSET))


def test_a_piece_has_the_same_frames_every_time(frames, chorale):
    assert frames.dtype == np.float32
    assert frames.shape == (126, 128)  # 4 s of 31.25 frames, and the one at the end
    assert np.array_equal(frames, MEL.encode(chorale(1)))
    assert not np.array_equal(frames, MEL.encode(chorale(2)))


def test_a_sound_of_frames_is_near_them_neither_clipped_nor_silent(frames, chorale):
    sound = MEL.sound(frames)
    assert sound.shape == (125 * 256,)
    assert np.array_equal(sound, MEL.sound(frames)), "inversion is not repeatable"
    assert 0.2 < np.abs(sound).max() <= PEAK
    assert 20 * np.abs(MEL.frames(sound) - frames).mean() < 2.5  # dB
    rendered = synthesize(chorale(1), sample_rate=8000).mean(axis=1)[: len(sound)]
    ratio = np.square(sound).mean() / np.square(rendered).mean()
    assert abs(10 * np.log10(ratio)) < 1.5
    loud = MEL.sound(np.full((40, 128), OFFSET, np.float32))
    assert np.abs(loud).max() == pytest.approx(PEAK, abs=1e-4)


def test_what_begins_late_is_counted_and_a_piece_without_music_set_aside(chorale):
    short = Mel(seconds=1.0)
    found = short.quantize(chorale(1))
    early = (chorale(1).notes["onset"] / 480 * 60 / 90 < 1).sum()
    assert len(found.piece.notes) == early
    assert found.dropped == {LATE: len(chorale(1).notes) - early}
    assert len(short.encode(chorale(1))) == 32
    with pytest.raises(Unencodable, match="first 1 seconds") as refused:
        late = chorale(1)
        notes = late.notes.copy()
        notes["onset"] += 100_000
        short.quantize(replace(late, notes=notes))
    assert refused.value.reason == "no notes"


def test_what_the_soundfont_cannot_play_is_set_aside(chorale, tmp_path):
    high = chorale(2).notes.copy()
    high["pitch"] = 127
    drums = (Track(name="drums", is_drum=True),) * 4  # the kit has no drum there
    silent = replace(chorale(2), id="silent", notes=high, tracks=drums)
    entries = [Entry(p, "train", p.id, p.id) for p in (chorale(1), silent)]
    summary = write_encoding(tmp_path / "out", "made", entries, MEL, ORIGIN)
    assert summary["rejected_by_reason"] == {"no sound": 1}
    assert "set aside, no sound: 1" in describe("made", summary)


def test_an_encoding_of_frames_is_stored_and_opened(chorale, frames, tmp_path):
    quick = replace(chorale(3), tempos=(Tempo(0, 240.0),), id="quick")
    entries = [Entry(chorale(1), "train", "a", "a"), Entry(quick, "valid", "b", "b")]
    write_encoding(tmp_path / "out", "made", entries, MEL, ORIGIN)
    tokens = open_tokens(tmp_path / "out")
    spec = ArraySpec.of(tokens.codec)
    assert (spec.kind, spec.width, spec.vocabulary, spec.is_real) == ("mel", 128, 0, True)
    stored = tokens.splits["train"].tokens_of(0)
    assert stored.dtype == np.float16
    assert np.abs(stored - frames).max() < 2e-3
    again = build(tokens.codec["representation"])
    assert again == MEL
    recording = again.decode(stored)
    assert recording.seconds == pytest.approx(126 / 31.25)
    assert np.array_equal(recording.sound, MEL.sound(stored.astype(np.float32)))
    assert isinstance(again, Sounding)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"highest": 5000.0}, ["highest=5000.0", "sample_rate=8000"]),
        ({"hop": 300}, ["hop=300", "window=1024"]),
        ({"bands": 400}, ["bands=400", "fewer bands"]),
        ({"seconds": 0.0}, ["seconds=0.0"]),
    ],
)
def test_contradictory_settings_are_named(changes, words):
    with pytest.raises(ValueError) as refused:
        Mel(**changes)
    assert all(word in str(refused.value) for word in words)


def test_what_needs_notes_is_refused(frames, chorale):
    for ask in (
        lambda: MEL.grammar(Extent(), []),
        lambda: MEL.bar_starts(frames),
        lambda: MEL.prefix(chorale(1), 4.0),
    ):
        with pytest.raises(ValueError, match=r"a spectrogram has no .* take an encoding of notes"):
            ask()


def test_pieces_are_heard_with_their_own_programs(chorale, frames):
    organ = tuple(replace(track, program=19) for track in chorale(1).tracks)
    assert not np.array_equal(MEL.encode(replace(chorale(1), tracks=organ)), frames)
