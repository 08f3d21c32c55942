"""MusPy's own readers, by one word of a dataset's file."""

import numpy as np
import pytest

from ostinato.execution.files import DamagedFile
from ostinato.music.piece import NOTE
from ostinato.music.read import ReadOptions, read
from ostinato.music.write import write_midi

MUSPY = ReadOptions(reader="muspy")


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
