"""tests/fuzz/balance.py: kept and dropped notes equal a count that uses no reader of ours."""

import sys
from pathlib import Path

import pytest

from ostinato.readers import midi
from ostinato.readers.base import ReadOptions

FUZZ = Path(__file__).parents[1] / "fuzz"
END, NOTE = b"\0\xff\x2f\0", b"\0\x90\x3c\x40\x60\x80\x3c\0"
LOCAL = ("balance", "balance_midi", "mutate", "published")


@pytest.fixture
def fuzz(monkeypatch):
    """The scripts of tests/fuzz, which are in no package."""
    monkeypatch.syspath_prepend(str(FUZZ))
    yield lambda name: __import__(name)
    for name in LOCAL:
        sys.modules.pop(name, None)


def file_of(*tracks):
    head = b"MThd\0\0\0\6\0\1" + len(tracks).to_bytes(2, "big") + b"\0\x60"
    return head + b"".join(b"MTrk" + len(t).to_bytes(4, "big") + t for t in tracks)


@pytest.mark.parametrize(("content", "notes"), [
    (file_of(NOTE + END), 1),
    (file_of(NOTE + END, END + NOTE + NOTE), 3),  # after the end of its track
    (file_of(NOTE + b"\0\xf0\3\x90\x3c\x40" + b"\0\xff\1\2\x90\x40" + b"\0\xc0\5" + NOTE + END), 2),
    (file_of(b"\0\x90\x3c\x40\x60\x3c\0\0\x3e\x40\x60\x3e\0" + END), 2),  # running status
    (b"RIFF\0\0\0\0RMIDdata\0\0\0\0" + file_of(NOTE + END), 1),
])  # fmt: skip
def test_note_ons_are_counted_to_the_end_of_the_chunk(fuzz, tmp_path, content, notes):
    (tmp_path / "a.mid").write_bytes(content)
    assert fuzz("balance_midi").count_notes(tmp_path / "a.mid") == notes
    reading = midi.read_midi(tmp_path / "a.mid", ReadOptions())
    assert len(reading.piece.notes) + sum(reading.dropped.values()) == notes


@pytest.mark.parametrize("content", [
    b"", b"MThd\0\0\0\7" + file_of(NOTE)[8:], file_of(NOTE)[:-1], file_of(NOTE[:-1]),
    file_of(b"\0\x3c\x40" + NOTE), file_of(b"\0\x90\xbc\x40"), file_of(NOTE) + b"\0" * 9,
])  # fmt: skip
def test_what_could_be_counted_in_two_ways_is_called_damaged(fuzz, tmp_path, content):
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(fuzz("balance_midi").Damaged):
        fuzz("balance_midi").count_notes(tmp_path / "a.mid")


def run(fuzz, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["balance.py", *map(str, arguments)])
    return fuzz("balance").main()


def test_a_folder_balances_and_a_reader_that_loses_a_note_is_found(
    fuzz, tmp_path, monkeypatch, capsys
):
    (tmp_path / "good.mid").write_bytes(file_of(NOTE + NOTE + END, END + NOTE))
    (tmp_path / "cut.mid").write_bytes(file_of(NOTE + END)[:-2])
    (tmp_path / "silent.txt").write_bytes(b"")
    assert run(fuzz, monkeypatch, tmp_path) == 0
    said = capsys.readouterr().out
    assert f"| {tmp_path.name} | midi | 2 | 1 | 0 | 1 | 0 | 3 | 1 after the end of" in said
    assert f"damaged, {tmp_path.name} midi: {tmp_path.name}/cut.mid: a chunk goes beyond" in said
    whole = midi.pair_notes
    monkeypatch.setattr(midi, "pair_notes", lambda e: whole(e).where(whole(e).onset > 0))
    assert run(fuzz, monkeypatch, tmp_path / "good.mid") == 1
    assert "good.mid: file has 3, read are 2" in capsys.readouterr().out
