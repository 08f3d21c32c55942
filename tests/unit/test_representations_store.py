"""What encode writes: the bytes of NumPy, one piece at a time, and what was set aside by reason."""

import io
import tracemalloc

import numpy as np
import pytest

from ostinato.corpus.store import Entry
from ostinato.files import read_json
from ostinato.loading.tokens import open_tokens
from ostinato.music.piece import Piece, Track, make_notes
from ostinato.representations.events.events import Events
from ostinato.representations.grid.grid import Grid
from ostinato.representations.store import describe, write_encoding

ORIGIN = {"licence": "none", "citation": "none", "url": "none"}
KINDS = {"grid": Grid(), "remi": Events(), "band": Events(voices=("alto", "drums"), needed="any")}


def entries_of(pieces, splits):
    pairs = zip(pieces, splits, strict=True)
    return [Entry(piece, split, piece.id, piece.id) for piece, split in pairs]


@pytest.fixture
def corpus(chorale):
    """Three splits, the last of them empty."""
    pieces = [chorale(seed) for seed in range(5)]
    return entries_of(pieces, ["train", "valid", "train", "train", "valid"])


@pytest.mark.parametrize("name", KINDS)
def test_tokens_have_the_bytes_that_numpy_saves(tmp_path, corpus, name):
    representation = KINDS[name]
    write_encoding(tmp_path / "out", "made", iter(corpus), representation, ORIGIN)
    for split in ("train", "valid", "test"):
        tokens = [representation.encode(e.piece) for e in corpus if e.split == split]
        whole = np.concatenate([np.empty((0, representation.width), np.int32), *tokens])
        expected = io.BytesIO()
        np.save(expected, whole.astype(np.int16))
        assert (tmp_path / "out" / split / "tokens.npy").read_bytes() == expected.getvalue()
    opened = open_tokens(tmp_path / "out")
    assert {split: len(part) for split, part in opened.splits.items()} == {
        "train": 3,
        "valid": 2,
        "test": 0,
    }
    assert np.array_equal(
        opened.splits["valid"].tokens_of(1), representation.encode(corpus[4].piece)
    )


def test_a_piece_can_be_shifted_as_far_as_its_pitches_allow(tmp_path, chorale):
    write_encoding(tmp_path / "out", "made", entries_of([chorale(1)], ["train"]), Grid(), ORIGIN)
    part = open_tokens(tmp_path / "out").splits["train"]
    pitches = chorale(1).notes["pitch"]
    assert part.shift_low[0] == max(-11, 36 - pitches.min())
    assert part.shift_high[0] == min(11, 81 - pitches.max())


def test_what_is_set_aside_is_counted_by_reason(tmp_path, chorale):
    def odd(name, row, role="soprano"):
        return Piece(name, 1, make_notes([row] if row else []), (Track(role=role),))

    pieces = [
        chorale(1),
        odd("low", (0, 0, 1, 20, 80)),
        odd("high", (0, 0, 1, 99, 80)),
        odd("silent", None),
        odd("other", (0, 0, 1, 60, 80), "melody"),
    ]
    representation = Events(voices=("soprano",), needed="any")
    entries = entries_of(pieces, ["train"] * len(pieces))
    summary = write_encoding(tmp_path / "out", "made", entries, representation, ORIGIN)
    assert summary == read_json(tmp_path / "out" / "summary.json", expect_format=2, made_by="")
    assert summary["rejected_by_reason"] == {"pitch out of range": 2, "no notes": 2}
    assert [row["piece"] for row in summary["rejected"]] == ["low", "high", "silent", "other"]
    assert summary["pieces"] == {"train": 1, "valid": 0, "test": 0}
    said = describe("made", summary)
    assert "set aside, pitch out of range: 2 (low: pitch 20 lies outside 36 to 81)" in said
    assert f"notes dropped, in none of the voices: {sum(chorale(1).notes['track'] > 0)}" in said


def set_aside(name, role="melody"):
    return Piece(name, 1, make_notes([(0, 0, 1, 60, 80)]), (Track(role=role),))


def test_an_encoding_of_nothing_is_refused_with_reasons_and_remedy_and_writes_nothing(
    tmp_path, chorale
):
    def write(pieces, splits):
        entries = entries_of(pieces, splits)
        representation = Events(voices=("soprano",), needed="any")
        write_encoding(tmp_path / "made-remi", "made", entries, representation, ORIGIN)

    low = Piece("low", 1, make_notes([(0, 0, 1, 2, 80)]), (Track(role="soprano"),))
    with pytest.raises(ValueError, match="none of the 3 pieces of made can be encoded") as refused:
        write([low, set_aside("a"), set_aside("b")], ["valid", "train", "test"])
    words = str(refused.value)
    assert words.startswith("encoding made-remi: none")
    assert "; no notes: 2 (a: " in words
    assert "; pitch out of range: 1 (low: pitch 2 lies outside 36 to 81); in params.yaml" in words
    with pytest.raises(ValueError, match="none of the 2 pieces of made in train can be encoded"):
        write([chorale(1), set_aside("a"), set_aside("b")], ["valid", "train", "train"])
    with pytest.raises(ValueError, match="corpus made has no pieces; dvc repro normalize@made"):
        write([], [])
    assert not list(tmp_path.iterdir())


def test_a_split_of_which_nothing_is_left_is_said(tmp_path, chorale):
    entries = entries_of([chorale(1), set_aside("a"), set_aside("b")], ["train", "test", "test"])
    summary = write_encoding(tmp_path / "out", "made", entries, KINDS["remi"], ORIGIN)
    assert summary["splits_set_aside"] == {"test": 2}
    assert "nothing is left of test: all its 2 pieces are set aside" in describe("made", summary)
    entries = entries_of([chorale(1), chorale(2), set_aside("b")], ["train", "test", "test"])
    summary = write_encoding(tmp_path / "out", "made", entries, KINDS["remi"], ORIGIN)
    assert "splits_set_aside" not in summary


@pytest.mark.long
def test_memory_does_not_grow_with_the_corpus(tmp_path, chorale):
    piece, representation = chorale(1, bars=200), Grid()
    size = len(representation.encode(piece)) * representation.width * 4

    def peak(count):
        entries = (Entry(piece, "train", "", "") for _ in range(count))
        tracemalloc.start()
        write_encoding(tmp_path / "out", "made", entries, representation, ORIGIN)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    few, many = peak(80), peak(240)  # files of more than a megabyte, the chunk of a checksum
    assert many - few < 5 * size  # of 160 more pieces


def test_a_corpus_that_breaks_leaves_no_encoding(tmp_path, corpus):
    def broken():
        yield corpus[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        write_encoding(tmp_path / "out", "made", broken(), Grid(), ORIGIN)
    assert not list(tmp_path.iterdir())
