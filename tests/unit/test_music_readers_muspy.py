"""MusPy's own readers, by one word of a dataset's file."""

import json

import numpy as np
import pytest

from ostinato.corpus.store import read_pieces
from ostinato.execution.parallel import Executor
from ostinato.files import DamagedFile
from ostinato.music.piece import NOTE
from ostinato.music.write import write_midi
from ostinato.normalization.build import build_corpus
from ostinato.normalization.normalize import NormalizeOptions, options_from
from ostinato.readers.read import ReadOptions, read

MUSPY = ReadOptions(reader="muspy")
ALL = ReadOptions(muspy_share=1)
# three notes, of which two are never ended
HANGING = bytes.fromhex(
    "4d546864 00000006 0000 0001 0060 4d54726b 0000001400903c40 60803c00 00903e40 6090373f 00ff2f00"
)
NAMES = {"symusic", "muspy", "muspy and symusic"}


def corpus_of(folder, **options):
    return build_corpus(
        folder,
        folder.parent / "corpus",
        NormalizeOptions(**options),
        origin={"licence": "none", "citation": "none", "url": "none"},
        executor=Executor(workers=1),
        workspace=folder.parent / "work",
    )


@pytest.mark.parametrize("seed", range(3))
def test_three_readers_that_agree_say_nothing(tmp_path, chorale, seed):
    write_midi(tmp_path / "a.mid", chorale(seed))
    reading = read(tmp_path / "a.mid", "", ALL)
    assert reading.compared == dict.fromkeys(NAMES, False)
    assert reading.piece.warnings == ()
    assert read(tmp_path / "a.mid").compared == {"symusic": False}


def test_where_muspy_and_symusic_disagree_the_piece_has_both_counts(tmp_path):
    """symusic drops notes that are never ended, MusPy closes them with their track."""
    (tmp_path / "a.mid").write_bytes(HANGING)
    said = "MusPy reads 3 notes, symusic 1: 2 and 0 of them are not the other's"
    ours, theirs = read(tmp_path / "a.mid", "", ALL), read(tmp_path / "a.mid", "", MUSPY)
    assert said in ours.piece.warnings
    assert ours.compared == {"symusic": False, "muspy": False, "muspy and symusic": True}
    assert said in theirs.piece.warnings
    assert theirs.compared == {"muspy and symusic": True}


def test_where_muspy_differs_from_us_or_refuses_it_is_said(tmp_path, monkeypatch):
    import muspy

    (tmp_path / "a.mid").write_bytes(HANGING)
    real = muspy.from_mido

    def forgetful(midi):
        music = real(midi)
        del music.tracks[0].notes[0]
        return music

    monkeypatch.setattr(muspy, "from_mido", forgetful)
    reading = read(tmp_path / "a.mid", "", ALL)
    said = "MusPy reads 2 notes, our reader 3: 0 and 1 of them are not the other's"
    assert said in reading.piece.warnings
    monkeypatch.setattr(muspy, "from_mido", lambda midi: 1 / 0)
    reading = read(tmp_path / "a.mid", "", ALL)
    assert any("MusPy refuses the file: ZeroDivisionError" in w for w in reading.piece.warnings)
    assert reading.compared == {"symusic": False, "muspy": True}


def test_a_damaged_track_is_shown_to_nobody_else(tmp_path):
    (tmp_path / "a.mid").write_bytes(HANGING[:-6])
    assert read(tmp_path / "a.mid", "", ALL).compared == {}


def test_the_summary_counts_what_was_compared_and_the_tables_do_not_change(tmp_path, chorale):
    for seed in range(3):
        write_midi(tmp_path / "raw" / f"{seed}.mid", chorale(seed))
    (tmp_path / "raw" / "hanging.mid").write_bytes(HANGING)
    summary = corpus_of(tmp_path / "raw", muspy_share=1.0)
    assert summary["compared"] == {
        "symusic": {"pieces": 4, "disagree": 0},
        "muspy": {"pieces": 4, "disagree": 0},
        "muspy and symusic": {"pieces": 4, "disagree": 1},
    }
    assert json.loads((tmp_path / "corpus" / "summary.json").read_text()) == summary
    assert "compared" not in read_pieces(tmp_path / "corpus")[0]


def test_a_corpus_without_midi_has_no_such_count(tmp_path, score):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.xml").write_text(score([("Alto", "x", [""])]))
    assert "compared" not in corpus_of(tmp_path / "raw", muspy_share=1.0)


def test_the_share_is_of_the_bytes_and_the_same_in_each_run():
    from ostinato.readers.midi_check import MUSPY_BYTES, is_in_sample

    files = [bytes([n % 256, n // 256]) for n in range(4000)]
    tenth = [is_in_sample(data, 0.1) for data in files]
    assert 300 < sum(tenth) < 500
    assert all(is_in_sample(data, 0.2) for data, first in zip(files, tenth, strict=True) if first)
    assert all(is_in_sample(data, 1) for data in files)
    assert not any(is_in_sample(data, 0) for data in files)
    assert not is_in_sample(bytes(MUSPY_BYTES + 1), 1)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_makes_no_sense_is_refused(share):
    with pytest.raises(ValueError, match="dataset x: muspy_share="):
        options_from("x", {"muspy_share": share})


@pytest.mark.parametrize("seed", range(4))
def test_muspy_reads_the_notes_that_we_read(tmp_path, chorale, seed):
    write_midi(tmp_path / "a.mid", chorale(seed))
    ours, theirs = read(tmp_path / "a.mid"), read(tmp_path / "a.mid", "", MUSPY)
    assert np.array_equal(ours.piece.notes, theirs.piece.notes)
    assert ours.piece.tracks == theirs.piece.tracks
    assert (ours.piece.tempos, ours.piece.meters) == (theirs.piece.tempos, theirs.piece.meters)
    assert theirs.onset_error == 0


def test_other_ticks_move_onsets_by_what_is_said(tmp_path, chorale):
    write_midi(tmp_path / "a.mid", chorale(1))
    coarse = read(tmp_path / "a.mid", "", ReadOptions(reader="muspy", ticks_per_quarter=1))
    fine = read(tmp_path / "a.mid").piece
    assert coarse.piece.ticks_per_quarter == 1
    assert coarse.onset_error > 0
    kept = len(coarse.piece.notes) + sum(coarse.dropped.values())
    assert kept == len(fine.notes)


def test_musicxml_goes_through_muspy_as_well(tmp_path, score):
    path = tmp_path / "a.xml"
    path.write_text(score([("Alto", "x", [""])]))
    assert read(path, "", MUSPY).piece.notes.dtype == NOTE


def test_what_muspy_refuses_is_damaged_in_its_words(tmp_path):
    (tmp_path / "a.mid").write_bytes(b"MThd\0\0\0\6\0\2\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0")
    with pytest.raises(DamagedFile, match="Type 2 MIDI file is not supported"):
        read(tmp_path / "a.mid", "", MUSPY)
