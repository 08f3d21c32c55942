"""What a stand-in of Live receives over UDP is what the script generate.py writes as MIDI."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fake_ableton import Clip
from live_lab import Studio, alike, band_folder, run, sounding

from ostinato.live.clips import ClipNote, clips_of
from ostinato.live.composer import Composer
from ostinato.music.piece import Meter, Piece, Tempo, Track, make_notes
from ostinato.music.write import write_midi
from ostinato.readers.read import read_piece

ROOT = Path(__file__).parents[2]
TRACKS = "drums:0,bass:1,melody:2"
ROLES = ("drums", "bass", "melody")


@pytest.fixture(scope="module")
def band(tmp_path_factory):
    return band_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Notes by role of the MIDI file that the script writes."""
    monkeypatch.chdir(tmp_path)

    def generate(folder, *settings, skip=0):
        arguments = [f"weights={folder}", "n=1", "out=made", "overwrite=true", *settings]
        monkeypatch.setattr(sys, "argv", ["pipelines/generate.py", *arguments])
        runpy.run_path(str(ROOT / "pipelines" / "generate.py"), run_name="__main__")
        found = clips_of(read_piece(tmp_path / "made" / "000.mid"), skip)
        return {role.lower(): sorted(notes) for role, notes in found.items()}

    return generate


def received(composer, tmp_path, message, prompt=None):
    """Notes by role of the clips in the stand-in, in slot 1; the prompt is in slot 0."""

    async def asked():
        async with Studio(composer, tmp_path) as studio:
            slots = studio.fake.slots
            for track, role in enumerate(ROLES):
                if prompt is not None and prompt.get(role):
                    notes = [(n.pitch, n.start, n.duration, 80.0, False) for n in prompt[role]]
                    slots[track, 0] = Clip(8.0, notes=notes)
            studio.client.send(*message, "tracks", TRACKS, "slot", 1)
            heard = await studio.client.until("done", seconds=60)
            assert heard[-1][0] == "done", heard[-1]
            return {role: slots[track, 1] for track, role in enumerate(ROLES)}

    clips = run(asked()).items()  # a role that does not play has none
    return {role: [] if clip is None else sounding(clip) for role, clip in clips}


@pytest.mark.long
def test_a_band(band, written, tmp_path):
    options = ("style", "rock", "temperature", 0.9)
    message = ("/ostinato/generate", "bars", 3, "seed", 3, *options)
    found = received(Composer(band), tmp_path, message)
    wanted = written(band, "bars=3", "seed=3", "conditions.style=rock", "temperature=0.9")
    assert sum(map(len, wanted.values())) > 5
    for role in ROLES:
        assert alike(found[role], wanted.get(role, [])), role


@pytest.mark.long
def test_a_continuation_of_a_band(band, written, tmp_path):
    steps = range(0, 8 * 480, 240)
    notes = [(0, at, 120, 36 + at // 240 % 2 * 2, 80) for at in steps]
    notes += [(1, at, 480, 40 + at // 480, 80) for at in steps[::2]]
    notes += [(2, at, 240, 67 + at // 240 % 5, 80) for at in steps]
    kinds = ((0, True), (0, False), (0, False))  # a clip names no instrument
    tracks = tuple(Track(r, r, *kind) for r, kind in zip(ROLES, kinds, strict=True))
    prompt = Piece("p", 480, make_notes(notes), tracks, (Tempo(0, 120.0),), (Meter(0, 4, 4),))
    write_midi(tmp_path / "prompt.mid", prompt)
    message = ("/ostinato/continue", "bars", 2, "seed", 6, "from_tracks", TRACKS, "from_slot", 0)
    found = received(Composer(band), tmp_path, message, clips_of(prompt))
    settings = ("bars=4", "min_bars=4", "prompt_bars=2", "seed=6", "prompt=prompt.mid")
    wanted = written(band, *settings, skip=2)
    assert sum(map(len, wanted.values())) > 10
    for role in ROLES:
        assert alike(found[role], wanted.get(role, [])), role


def test_a_continuation_of_voices(model_folder, chorale, written, tmp_path):
    """Every voice of a chorale on a track of its own."""
    tracks = "soprano:0,alto:1,tenor:2,bass:3"
    prompt = chorale(2, bars=2)
    write_midi(tmp_path / "prompt.mid", prompt)
    clips = clips_of(read_piece(tmp_path / "prompt.mid"))

    async def asked():
        async with Studio(Composer(model_folder), tmp_path) as studio:
            for track, notes in enumerate(clips.values()):
                rows = [(n.pitch, n.start, n.duration, float(n.velocity), n.mute) for n in notes]
                studio.fake.slots[track, 0] = Clip(8.0, notes=rows)
            message = ("bars", 2, "seed", 5, "from_tracks", tracks, "from_slot", 0)
            studio.client.send("/ostinato/continue", *message, "tracks", tracks, "slot", 1)
            heard = await studio.client.until("done", seconds=60)
            assert heard[-1][0] == "done", heard[-1]
            return [sounding(studio.fake.slots[track, 1]) for track in range(4)]

    found = run(asked())
    settings = ("bars=4", "prompt_bars=2", "seed=5", "prompt=prompt.mid")
    wanted = list(written(model_folder, *settings, skip=2).values())
    assert all(isinstance(note, ClipNote) for notes in wanted for note in notes)
    for got, notes in zip(found, wanted, strict=True):
        assert alike(got, notes)


def test_a_continuation_has_the_tempos_of_its_prompt(model_folder, chorale, written, tmp_path):
    tempos = (Tempo(0, 60.0), Tempo(4 * 480, 120.0))
    write_midi(tmp_path / "prompt.mid", replace(chorale(2, bars=2), tempos=tempos))
    written(model_folder, "bars=3", "prompt_bars=2", "prompt=prompt.mid")
    made = read_piece(tmp_path / "made" / "000.mid")
    found = [(tempo.onset / made.ticks_per_quarter, tempo.qpm) for tempo in made.tempos]
    assert found == [(0, 60.0), (4, 120.0)]
