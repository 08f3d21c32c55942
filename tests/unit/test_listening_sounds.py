"""Stimuli: equal length, loudness and size; what cannot be used is refused or set aside."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from listening_study import RATE, SYSTEMS, plan_of, settings, tones, write_tones

from ostinato.corpus.store import Entry
from ostinato.files import MissingInput
from ostinato.listening import sounds
from ostinato.listening.plan import prepare
from ostinato.listening.sources import Recording, held_out
from ostinato.listening.study import Sound, Source, study_of

SOUND = Sound(seconds=1.0, rate=RATE)


def test_all_stimuli_have_one_size_and_one_loudness(tmp_path):
    plan = plan_of(tmp_path, "mushra")
    contents = [plan.stimuli.content(key) for key in plan.stimuli.files]
    assert len({len(content) for content in contents}) == 1
    assert len({content[:44] for content in contents}) == 1  # the headers: no metadata
    for name in plan.stimuli.files.values():
        sound, rate = soundfile.read(str(plan.stimuli.folder / name), always_2d=True)
        assert sounds.loudness(sound, rate) == pytest.approx(plan.stimuli.lufs, abs=0.1)


def test_versions_of_a_stimulus_differ_in_their_bytes_alone(tmp_path):
    stimuli = plan_of(tmp_path).stimuli
    first, second = (stimuli.content(f"{SYSTEMS[0]}/item-0/{version}") for version in (0, 1))
    assert first != second
    one, other = (np.frombuffer(content[44:], np.int16).astype(int) for content in (first, second))
    assert np.abs(one - other).max() <= 3  # dither of one bit


@pytest.mark.long
def test_mp3_files_have_one_size_too(tmp_path):
    sound = {"seconds": 1.0, "rate": RATE, "format": "mp3"}
    stimuli = plan_of(tmp_path, sound=sound).stimuli
    assert len({len(stimuli.content(key)) for key in stimuli.files}) == 1
    decoded, rate = soundfile.read(str(next(stimuli.folder.glob("*.mp3"))))
    assert len(decoded) == pytest.approx(rate, rel=0.06)


def test_the_level_is_lowered_for_all_where_one_would_clip(tmp_path):
    tones(tmp_path)
    click = np.zeros(RATE * 2)
    click[::2000] = 0.99
    for number in range(4):
        soundfile.write(str(tmp_path / SYSTEMS[0] / f"file-{number}.wav"), click, RATE)
    plan = prepare(study_of(settings()), tmp_path)
    assert plan.stimuli.lufs < -23
    for name in plan.stimuli.files.values():
        sound, _ = soundfile.read(str(plan.stimuli.folder / name))
        assert np.abs(sound).max() <= 0.9


def test_unchanged_stimuli_are_not_made_again(tmp_path):
    first = plan_of(tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in first.stimuli.folder.iterdir()}
    again = prepare(first.study, tmp_path)
    assert again.digest == first.digest
    assert stamps == {path: path.stat().st_mtime_ns for path in first.stimuli.folder.iterdir()}
    changed = prepare(replace(first.study, sound=replace(first.study.sound, lufs=-30.0)), tmp_path)
    assert changed.digest != first.digest


def test_pieces_get_the_same_tempo_program_and_velocity(chorale):
    settings = Sound(seconds=4.0)
    piece = sounds.prepare(chorale(1, bars=4), settings)
    assert [tempo.qpm for tempo in piece.tempos] == [84.0]
    assert {track.program for track in piece.tracks} == {0}
    assert set(piece.notes["velocity"]) == {80}
    assert piece.notes["onset"].min() == 0
    later = sounds.prepare(chorale(1, bars=8), replace(settings, start_bar=3))
    assert later.notes["pitch"].tolist() != piece.notes["pitch"].tolist()
    sound = sounds.sound_of(chorale(1, bars=4), settings)
    assert sound.shape == (4 * settings.rate, 1)


def test_short_music_is_set_aside_with_its_reason(tmp_path):
    tones(tmp_path)
    write_tones(tmp_path / "short", 100, 1, seconds=0.4)
    (tmp_path / "short" / "file-0.wav").rename(tmp_path / SYSTEMS[0] / "brief.wav")
    (tmp_path / SYSTEMS[0] / "notes.txt").write_text("no music")
    (tmp_path / SYSTEMS[0] / "broken.wav").write_text("no sound")
    plan = prepare(study_of(settings(items=3, trials=3)), tmp_path)
    assert "not one of" in plan.stimuli.aside[f"{SYSTEMS[0]}/notes.txt"]
    assert f"{SYSTEMS[0]}/broken.wav" in plan.stimuli.aside
    with pytest.raises(ValueError, match=r"items=5, but there are 4.*0.4 s.*items: 4 or fewer"):
        prepare(study_of(settings(items=5)), tmp_path)
    first = next(iter(plan.stimuli.files.values()))
    (plan.stimuli.folder / first).unlink()  # missing stimuli are made again, the same
    assert prepare(study_of(settings(items=3, trials=3)), tmp_path).digest == plan.digest
    assert (plan.stimuli.folder / first).exists()
    with pytest.raises(ValueError, match=r"there are 0.*; set less sound.seconds"):
        prepare(study_of(settings(sound={"seconds": 9.0, "rate": RATE})), tmp_path)


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(MissingInput, match="human_secret is not a folder"):
        prepare(study_of(settings()), tmp_path)
    tones(tmp_path)
    for path in (tmp_path / SYSTEMS[1]).iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"model_secret is empty; put files there: \.mid"):
        prepare(study_of(settings()), tmp_path)


def test_a_language_without_page_texts_is_refused(tmp_path):
    text = {"fr": "Un test"}
    given = settings(languages=["fr"], title=text, about=text)
    given["questions"][0]["text"] = text
    with pytest.raises(ValueError, match=r"'fr' has no texts; .* add texts/fr\.yaml"):
        prepare(study_of(given), tmp_path)


def test_splits_without_pieces_are_named(chorale):
    piece = chorale(1)
    entries = [Entry(piece, split, piece.id, piece.id) for split in ("train", "valid")]
    assert len(held_out("bach", Source(corpus="bach"), entries)) == 1
    with pytest.raises(ValueError, match="bach has no pieces of the splits test; it has: train"):
        held_out("bach", Source(corpus="bach", splits=("test",)), entries)


def test_systems_with_other_prompts_are_refused(tmp_path):
    tones(tmp_path)
    for path in (tmp_path / SYSTEMS[1]).iterdir():
        path.rename(path.with_name(f"other-{path.name}"))
    with pytest.raises(ValueError, match="share no prompt"):
        prepare(study_of(settings(match="prompt")), tmp_path)


def test_samples_of_another_task_are_named(tmp_path):
    from ostinato.files import write_json

    row = {"task": "continue", "file": "a.mid", "failed": None, "index": 0, "prompt": "p"}
    write_json(tmp_path / "samples/gpt/samples.json", {"format": 1, "samples": [row]})
    systems = {"gpt": {"samples": "gpt"}, "other": {"samples": "gpt"}}
    with pytest.raises(ValueError, match="no samples of task 'unconditional'; it has: continue"):
        prepare(study_of(settings(systems=systems)), tmp_path)
    (tmp_path / "samples/gpt/a.mid").write_bytes(b"junk")
    systems["gpt"]["task"] = "continue"
    with pytest.raises(ValueError, match=r"a.mid cannot be read.*again: dvc repro sample@gpt"):
        prepare(study_of(settings(systems=systems)), tmp_path)


def test_silence_and_short_recordings_are_unusable():
    silence = Recording(np.zeros((RATE, 1), np.float32), RATE)
    with pytest.raises(sounds.Unusable, match="silent"):
        sounds.headroom_lufs(sounds.sound_of(silence, SOUND), RATE)
    with pytest.raises(sounds.Unusable, match="needs more"):
        sounds.sound_of(Recording(np.ones((100, 1), np.float32), RATE), SOUND)


def test_loudness_is_that_of_the_standard():
    """A sine of 997 Hz at -20 dBFS has -23.01 LUFS in one channel (EBU Tech 3341)."""
    time = np.arange(2 * 48000) / 48000
    sine = 0.1 * np.sin(2 * np.pi * 997 * time)[:, None]
    assert sounds.loudness(sine.astype(np.float32), 48000) == pytest.approx(-23.01, abs=0.05)


def test_the_anchor_has_no_treble_and_the_scrambled_excerpt_other_order():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(RATE, 1)).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(sounds.anchor(noise, RATE)[:, 0])) ** 2
    treble = np.fft.rfftfreq(RATE, 1 / RATE) > 4500
    assert spectrum[treble].mean() < 1e-3 * spectrum[~treble].mean()
    ramp = np.linspace(0, 1, RATE, dtype=np.float32)[:, None]
    mixed = sounds.scrambled(ramp, RATE, seed=3)
    assert len(mixed) == len(ramp)
    assert np.diff(mixed[:: RATE // 10, 0]).min() < 0
