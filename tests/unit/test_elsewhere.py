"""Music that was made elsewhere is measured as our own samples are, and nothing of it is lost."""

import csv
import json

import numpy as np
import pytest

from ostinato.evaluation.elsewhere import (
    as_line,
    check_out,
    measure_music,
    read_music,
    table,
    write_music,
)
from ostinato.evaluation.excerpts import EvaluationSettings
from ostinato.files import MissingInput
from ostinato.music.write import write_midi
from ostinato.representations.grid.grid import Grid


def repeats(piece):
    """Notes that begin where one of their track and pitch ends."""
    ends = {(n["track"], n["pitch"], n["onset"] + n["duration"]) for n in piece.notes}
    return sum((n["track"], n["pitch"], n["onset"]) in ends for n in piece.notes)


SETTINGS = EvaluationSettings(resamples=20, seed=1)


@pytest.fixture
def folder(tmp_path, chorale):
    """Four pieces, one of them in a subfolder, one too short; a broken file and a text."""
    music = tmp_path / "music"
    (music / "more").mkdir(parents=True)
    for number in range(3):
        write_midi(music / f"{number}.mid", chorale(number))
    write_midi(music / "more" / "short.mid", chorale(4, bars=1))
    (music / "broken.mid").write_bytes(b"MThd and no more")
    (music / "notes.txt").write_text("no music")
    return music


def test_pieces_are_compared_as_the_encoding_holds_them(
    folder, chorale, tokens, reference_folder, tmp_path
):
    music = read_music(folder, Grid())
    assert [piece.id for piece in music.pieces] == ["0.mid", "1.mid", "2.mid", "more/short.mid"]
    assert list(music.aside) == ["broken.mid"]
    # repeated pitches are one on this grid
    assert music.lost == sum(repeats(chorale(number)) for number in (0, 1, 2))
    results, context = measure_music(music, tokens, reference_folder, SETTINGS)
    assert len(context.samples_whole) == 4
    assert len(context.samples) == 3
    found = write_music(tmp_path / "out", music, results, context)
    assert found == json.loads((tmp_path / "out" / "measures.json").read_text())
    assert found["pieces"]["too_short"] == 1
    assert "3 pieces are compared" in as_line(found)
    assert "1 files are set aside" in as_line(found)
    measures = found["measures"]
    assert {"part_writing", "form", "two_sample", "originality", "features"} <= set(measures)
    assert not {"likelihood", "learning", "requests"} & set(measures)
    lines = table(results)
    assert "held-out music" in lines[0]
    assert any(line.startswith("Parallel fifths") for line in lines)
    rows = list(csv.DictReader((tmp_path / "out" / "pieces.csv").read_text().splitlines()))
    assert "2.mid" in {row["piece"] for row in rows if row["set"] == "samples"}


def test_held_out_music_gets_its_own_figures(tokens, reference_folder, tmp_path):
    """Written as MIDI, read, encoded and decoded, it is still what samples are compared with."""
    for split in ("valid", "test"):
        part = tokens.splits[split]
        for number in range(len(part)):
            piece = Grid().decode(part.tokens_of(number).astype(np.int32))
            write_midi(tmp_path / "held" / f"{split}{number}.mid", piece)
    music = read_music(tmp_path / "held", Grid())
    assert music.lost == 0
    results, _ = measure_music(music, tokens, reference_folder, SETTINGS)
    for name in ("held", "triads", "stepwise", "parallel_fifths"):
        figure = results["part_writing"].values[name]
        assert figure.value == pytest.approx(figure.reference.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: folder / "nowhere", "is no folder: give one of"),
        (lambda folder: folder / "more", "1 files of music, of which 1 can be used"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_reason(folder, change, words):
    with pytest.raises(ValueError, match=words):
        read_music(change(folder), Grid())


def test_too_short_pieces_and_a_missing_reference_are_named(
    folder, tokens, reference_folder, tmp_path
):
    music = read_music(folder, Grid())
    with pytest.raises(MissingInput, match="dvc repro reference@"):
        measure_music(music, tokens, tmp_path / "none", SETTINGS)
    for path in folder.glob("[12].mid"):
        path.unlink()
    with pytest.raises(ValueError, match=r"1 of 2 pieces have the \d+ quarters"):
        measure_music(read_music(folder, Grid()), tokens, reference_folder, SETTINGS)


def test_what_lies_in_the_folder_of_results_is_not_lost(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    check_out(other, folder)
    (other / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds other files, which would be lost"):
        check_out(other, folder)
    (other / "measures.json").write_text("{}")
    check_out(other, folder)
    for out in (folder, folder.parent):
        with pytest.raises(ValueError, match="holds the music itself"):
            check_out(out, folder)
