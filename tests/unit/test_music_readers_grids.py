"""Voices in JSON, rolls in MATLAB files, solos in tables: every cell comes back."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.io import savemat

from ostinato.files import DamagedFile
from ostinato.music.piece import Annotation, Meter
from ostinato.readers.read import ReadOptions, keys_in, read

VOICES = ReadOptions(ticks_per_quarter=8, reader="voices_json")
ROLL = ReadOptions(ticks_per_quarter=2, reader="roll_mat")
SOLO = ReadOptions(ticks_per_quarter=480, reader="wjazzd")


def write_voices(folder, splits):
    path = folder / "chorales.json"
    path.write_text(json.dumps(splits))
    return path


@settings(max_examples=min(50, settings.default.max_examples), deadline=None)
@given(
    arrays(
        np.int64,
        st.tuples(st.integers(1, 20), st.integers(1, 8)),
        elements=st.sampled_from([-1, 0, 60, 61, 127]),
    )
)
def test_every_cell_of_the_voices_sounds_and_no_other(tmp_path_factory, cells):
    path = write_voices(tmp_path_factory.mktemp("voices"), {"train": [cells.tolist()]})
    piece = read(path, "train/000", VOICES).piece
    heard = np.full(cells.shape, -1)
    for track, onset, duration, pitch, _ in piece.notes.tolist():
        assert (heard[onset // 2 : (onset + duration) // 2, track] == -1).all()
        heard[onset // 2 : (onset + duration) // 2, track] = pitch
    assert np.array_equal(heard, cells)


def test_four_voices_have_roles_and_equal_neighbours_are_held(tmp_path):
    splits = {"valid": [[[72, 67, 64, 48], [72, 69, 64, -1]]], "train": [[[60]], [[62, 60]]]}
    path = write_voices(tmp_path, splits)
    assert keys_in(path, VOICES) == ["train/000", "train/001", "valid/000"]
    piece = read(path, "valid/000", VOICES).piece
    assert [track.role for track in piece.tracks] == ["soprano", "alto", "tenor", "bass"]
    assert [len(piece.voice(track.role)) for track in piece.tracks] == [1, 2, 1, 1]
    assert [t.name for t in read(path, "train/001", VOICES).piece.tracks] == ["voice 1", "voice 2"]
    with pytest.raises(ValueError, match=r"no piece 'test/000'; it holds 3"):
        read(path, "test/000", VOICES)
    with pytest.raises(ValueError, match="ticks_per_quarter=6 must be a multiple of 4"):
        read(path, "train/000", ReadOptions(ticks_per_quarter=6, reader="voices_json"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"train": [[[60], [60, 61]]]}', "rows of different lengths"),
        ('{"train": [[[60.5]]]}', "neither a MIDI pitch"),
        ('{"train": [[[128]]]}', "neither a MIDI pitch"),
        ('{"train": [[[1, 2, 3, 4, 5, 6, 7, 8, 9]]]}', r"shape \(1, 9\)"),
        ('{"train": [[]]}', r"shape \(0,\)"),
        ("[1, 2]", "not an object of splits"),
        ('{"train"', "JSONDecodeError"),
    ],
)
def test_voices_that_are_none_are_refused(tmp_path, content, words):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(DamagedFile, match=rf"bad\.json cannot be read: .*{words}"):
        read(path, "train/000", VOICES)


def test_a_file_that_changes_is_read_again(tmp_path):
    path = write_voices(tmp_path, {"train": [[[60]]]})
    assert len(keys_in(path, VOICES)) == 1
    write_voices(tmp_path, {"train": [[[60]], [[62]]]})
    assert len(keys_in(path, VOICES)) == 2


def write_rolls(path, **rolls):
    def cells(values):
        out = np.empty((1, len(values)), dtype=object)
        out[0, :] = values
        return out

    savemat(path, {f"{split}data": cells(values) for split, values in rolls.items()})
    return path


@settings(max_examples=min(30, settings.default.max_examples), deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(2, 12), st.just(88)), elements=st.integers(0, 1)))
def test_every_frame_of_a_roll_comes_back(tmp_path_factory, roll):
    empty = np.zeros((3, 88))
    path = tmp_path_factory.mktemp("roll") / "set.mat"
    write_rolls(path, train=[roll, empty], valid=[empty, empty], test=[empty, empty])
    assert keys_in(path, ROLL)[:3] == ["test/000", "test/001", "train/000"]
    piece = read(path, "train/000", ROLL).piece
    heard = np.zeros_like(roll)
    for _, onset, duration, pitch, _ in piece.notes.tolist():
        heard[onset // 2 : (onset + duration) // 2, pitch - 21] += 1
    assert np.array_equal(heard, roll)
    assert not len(read(path, "train/001", ROLL).piece.notes)


def test_rolls_that_are_none_are_refused(tmp_path):
    savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    with pytest.raises(DamagedFile, match="has no traindata, validdata, testdata"):
        keys_in(tmp_path / "other.mat", ROLL)
    odd = [np.zeros((2, 87)), np.full((2, 88), 2)]
    path = write_rolls(tmp_path / "odd.mat", train=odd, valid=odd, test=odd)
    for key, words in (("train/000", r"shape \(2, 87\)"), ("train/001", "neither 0 nor 1")):
        with pytest.raises(DamagedFile, match=words):
            read(path, key, ROLL)


BEATS = [
    # seconds, bar, beat, signature, chord, form, bass
    (1.0, 0, 3, "'3/4'", "NC", "I1", 40),
    (1.5, 1, 1, "'3/4'", "C7", "A1", 43),
    (2.1, 1, 2, "'3/4'", "C7", "A1", 43),
    (2.5, 1, 3, "'3/4'", "F-7", "A1", 41),
    (3.0, 2, 1, "'4/4'", "F-7", "A1", 0),
]
NOTES = [
    # seconds, duration, bar, beat, tatum, division, pitch, loudness, phrase
    (1.25, 0.125, 0, 3, 2, 2, 62, 60.0, 1),
    (1.8, 0.5, 1, 1, 2, 2, 64, 66.0, 1),
    (2.5, 0.05, 1, 3, 1, 1, 65, "NA", 2),
    (3.4, 1.0, 2, 1, 4, 5, 67, 63.0, 2),
]


def write_solo(folder, *, without=(), beats=True):
    """The two tables of a solo, without some columns; returns the melody's path."""
    names = ["onset", "bar", "beat", "signature", "chord", "form", "bass"]
    melody = ["onset", "duration", "bar", "beat", "tatum", "division", "pitch", "loud_median"]
    rows = [[*note, 0.5, '"3/4"'] for note in NOTES]
    tables = {"melody": ([*melody, "phrase_id", "beat_duration", "signature"], rows)}
    if beats:
        tables["beat"] = (names, BEATS)
    for kind, (columns, values) in tables.items():
        path = (
            folder / f"mcsv_{kind}" / f"Some One_A Tune_FINAL{'_beattrack' * (kind == 'beat')}.csv"
        )
        path.parent.mkdir(exist_ok=True)
        kept = [n for n, column in enumerate(columns) if column not in without]
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([columns[n] for n in kept])
            writer.writerows([[row[n] for n in kept] for row in values])
    return folder / "mcsv_melody" / "Some One_A Tune_FINAL.csv"


def test_a_solo_lies_between_its_beats_with_bass_chords_phrases_and_tempos(tmp_path):
    result = read(write_solo(tmp_path), "", SOLO)
    piece = result.piece
    assert [track.role for track in piece.tracks] == ["melody", "bass"]
    solo = [tuple(row)[1:] for row in piece.voice("melody").tolist()]
    assert solo == [
        (240, 120, 62, 74), (720, 480, 64, 86), (1440, 48, 65, 80), (2304, 960, 67, 80),
    ]  # fmt: skip
    bass = [tuple(row)[1:4] for row in piece.voice("bass").tolist()]
    assert bass == [(0, 480, 40), (480, 480, 43), (960, 480, 43), (1440, 480, 41)]
    assert result.dropped == {"bass is no MIDI pitch": 1}
    assert piece.meters == (Meter(0, 3, 4), Meter(1920, 4, 4))
    assert [(t.onset, round(t.qpm, 3)) for t in piece.tempos] == [
        (0, 120.0), (480, 100.0), (960, 150.0), (1440, 120.0),
    ]  # fmt: skip
    kinds = {
        kind: [(a.onset, a.value) for a in piece.annotations if a.kind == kind]
        for kind in ("bar", "chord", "marker", "phrase")
    }
    assert kinds == {
        "bar": [(480, ""), (1920, "")],
        "chord": [(0, "NC"), (480, "C7"), (1440, "F-7")],
        "marker": [(0, "I1"), (480, "A1")],
        "phrase": [(240, "1"), (1440, "2")],
    }
    assert isinstance(piece.annotations[0], Annotation)
    assert (piece.title, result.onset_error) == ("A Tune", pytest.approx(0, abs=1e-9))


def test_columns_that_some_solos_lack_are_not_missed(tmp_path):
    path = write_solo(tmp_path, without=("bass", "loud_median", "phrase_id", "chord", "form"))
    piece = read(path, "", SOLO).piece
    assert [track.role for track in piece.tracks] == ["melody"]
    assert set(piece.notes["velocity"]) == {80}
    assert piece.warnings == ("the beat table has no bass",)


def test_a_solo_without_beats_is_read_by_its_metrical_columns_or_refused(tmp_path):
    piece = read(write_solo(tmp_path, beats=False), "", SOLO).piece
    assert piece.notes["onset"].tolist() == [1200, 1680, 2400, 3168]
    assert piece.tempos[0].qpm == 120
    assert "no beat table" in piece.warnings[0]
    for column, words in (("tatum", "no beat table beside it"), ("pitch", "no column pitch")):
        with pytest.raises(DamagedFile, match=words):
            read(write_solo(tmp_path, beats=False, without=(column,)), "", SOLO)
