"""`add` recommends the representation that keeps most notes of a folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ostinato.datasets import own, recommend
from ostinato.music.piece import Track, make_notes, sort_notes
from ostinato.music.write import write_midi

CONF = Path(__file__).resolve().parents[2] / "conf" / "representation"


def piece_of(chorale, tracks, notes):
    """A piece of tracks (name, program, is_drum) with so many notes each, one after another."""
    rows = [
        (track, 480 * n, 480, 40 + n % 20, 80)
        for track, count in enumerate(notes)
        for n in range(count)
    ]
    named = tuple(
        Track(name=name, role="", program=program, is_drum=drum) for name, program, drum in tracks
    )
    return replace(chorale(0), notes=sort_notes(make_notes(rows)), tracks=named)


@pytest.fixture
def folder(tmp_path, chorale):
    """A band with drums, and a file that is no music."""
    tracks = [("Keys", 0, False), ("Bass", 33, False), ("Kit", 0, True)]
    write_midi(tmp_path / "band.mid", piece_of(chorale, tracks, (20, 30, 50)))
    (tmp_path / "broken.mid").write_bytes(b"no music")
    return tmp_path


def look(folder):
    return recommend.look(sorted(folder.glob("*.mid")), CONF)


@pytest.mark.long
def test_drums_are_kept_and_what_others_leave_out_is_named(folder):
    fits, looked, unread = look(folder)
    assert (looked, unread) == (2, 1)
    assert next(iter(fits)) == "band"
    assert (fits["band"].notes, dict(fits["band"].left_out)) == (100, {})
    assert (fits["tracks"].notes, dict(fits["tracks"].left_out)) == (50, {"drums": 50})
    assert dict(fits["lead"].left_out) == {"piano": 20, "drums": 50}
    assert dict(fits["grid"].left_out) == {"file set aside, voice missing": 100}
    assert all(fit.total == 100 for fit in fits.values())
    assert not {"pitch", "mel"} & set(fits)
    assert not [name for name in fits if name.startswith("roles_")]


@pytest.mark.long
def test_parts_stay_apart_where_as_many_notes_are_kept(tmp_path, chorale):
    tracks = [("One", 24, False), ("Two", 24, False)]  # two guitars are one voice of a band
    write_midi(tmp_path / "duo.mid", piece_of(chorale, tracks, (30, 30)))
    assert next(iter(look(tmp_path)[0])) == "tracks"


@pytest.mark.long
def test_every_note_is_kept_or_left_out_by_reason(tmp_path, chorale):
    rng = np.random.default_rng(0)
    tracks = [(f"T{n}", int(rng.integers(0, 128)), n == 3) for n in range(18)]
    write_midi(tmp_path / "many.mid", piece_of(chorale, tracks, rng.integers(1, 9, 18).tolist()))
    fits, _, _ = look(tmp_path)
    assert len({fit.total for fit in fits.values()}) == 1
    assert dict(fits["tracks"].left_out) == {"file set aside, too many tracks": fits["band"].total}


@pytest.mark.long
def test_a_large_folder_is_sampled_evenly(tmp_path, chorale, monkeypatch):
    monkeypatch.setattr(recommend, "MOST_FILES", 3)
    for number in range(10):
        write_midi(tmp_path / f"{number}.mid", chorale(number))
    fits, looked, unread = look(tmp_path)
    whole, _, _ = recommend.look([tmp_path / f"{number}.mid" for number in (0, 3, 6)], CONF)
    assert (looked, unread) == (3, 0)
    assert fits == whole


@pytest.mark.long
def test_add_says_it_and_writes_the_line(folder, tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "conf" / "dataset").mkdir(parents=True)
    (project / "conf" / "representation").symlink_to(CONF)
    monkeypatch.chdir(project)
    said = []
    (tmp_path / "music").mkdir()
    (folder / "band.mid").rename(tmp_path / "music" / "band.mid")
    own.add("mine", "../music", said.append)
    text = "\n".join(said)
    assert "looked at 1 of 1 files\n" in text
    assert "    band: 100 of 100\n" in text
    assert "    tracks: 50 of 100; leaves out: drums 50\n" in text
    assert (
        "encodings: {..., mine-band: {dataset: mine, form: events, representation: band}}" in text
    )
    assert "dvc repro encode@mine-band" in text
