"""Played music gets the beats, bars and chords of a table of beats."""

from pathlib import Path

import pytest

from ostinato.files import MissingInput
from ostinato.music.piece import Piece, Tempo, Track, make_notes
from ostinato.music.timing import duration_seconds, numbered_bars, seconds_at
from ostinato.music.write import write_midi
from ostinato.normalization.build import _state_of, build_corpus, list_items
from ostinato.normalization.catalogue import Facts
from ostinato.normalization.normalize import (
    Item,
    Kept,
    Rejected,
    normalize_item,
    options_from,
)

TPQ = 480
BEAT = 0.75  # seconds between the player's beats, which the file's tempo does not have


def played(path: Path, beats: list[float]) -> None:
    """A file at 120 quarters a minute with a note of half a beat on each beat of the player."""
    ticks = [round((0.2 + BEAT * beat) * 2 * TPQ) for beat in beats]
    rows = [(0, tick, round(BEAT * TPQ), 60, 80) for tick in ticks]
    piece = Piece("played", TPQ, make_notes(rows), (Track("MELODY"),), (Tempo(0, 120),))
    write_midi(path, piece)


def table(path: Path, beats: int, downs: set[int]) -> None:
    """Beats in the order of the player, with 1 in the third column where a bar begins."""
    rows = [f"{0.2 + BEAT * n} {int(n % 2 == 0)} {int(n in downs)}.0" for n in range(beats)]
    path.write_text("\n".join(rows) + "\n")


def normalized(folder: Path, **beats: object) -> Kept | Rejected:
    settings = {"beats": {"table": "beat_{stem}.txt", "bar": 3, **beats}}
    path = folder / "song.mid"
    return normalize_item(options_from("own", settings), 1, Item(path, "", path.name, "a", Facts()))


def test_notes_lie_on_the_players_beats_and_last_as_long(tmp_path: Path) -> None:
    played(tmp_path / "song.mid", [1, 2, 3.5, 4.25, 7])
    table(tmp_path / "beat_song.txt", 9, {1, 5})

    kept = normalized(tmp_path)

    assert isinstance(kept, Kept)
    piece = kept.piece
    assert (piece.notes["onset"] / TPQ).tolist() == pytest.approx([1, 2, 3.5, 4.25, 7], abs=0.005)
    assert (piece.notes["duration"] / TPQ).tolist() == pytest.approx([0.5] * 5, abs=0.005)
    gaps = seconds_at(piece, piece.notes["onset"][1:]) - seconds_at(piece, piece.notes["onset"][0])
    assert gaps.tolist() == pytest.approx([0.75, 1.875, 2.4375, 4.5], abs=0.005)
    assert duration_seconds(piece) == pytest.approx(7.5 * BEAT, abs=0.005)


def test_bars_begin_at_downbeats_after_a_pickup(tmp_path: Path) -> None:
    played(tmp_path / "song.mid", [0, 1, 5, 9, 12])
    table(tmp_path / "beat_song.txt", 13, {1, 5, 9})

    kept = normalized(tmp_path)

    assert isinstance(kept, Kept)
    bars = [(onset / TPQ, number) for onset, number in numbered_bars(kept.piece)]
    assert bars == [(0, 0), (1, 1), (5, 2), (9, 3)]
    assert [(m.numerator, m.denominator) for m in kept.piece.meters] == [(4, 4)]


def test_a_missing_bar_line_is_added_and_other_lengths_are_kept(tmp_path: Path) -> None:
    played(tmp_path / "song.mid", [0, 23])
    table(tmp_path / "beat_song.txt", 25, {0, 4, 10, 14, 17, 21})  # bars of 4, 6, 4, 3 and 4 beats

    kept = normalized(tmp_path)

    assert isinstance(kept, Kept)
    meters = [(m.onset / TPQ, m.numerator) for m in kept.piece.meters]
    assert meters == [(0, 4), (8, 2), (10, 4), (14, 3), (17, 4)]


def test_notes_before_the_first_beat_get_whole_bars(tmp_path: Path) -> None:
    played(tmp_path / "song.mid", [0, 6, 10])
    rows = [
        f"{0.2 + BEAT * n},{int(n % 4 == 2)}" for n in range(1, 12)
    ]  # beats 2, 6, 10 begin bars
    (tmp_path / "beat_song.txt").write_text("\n".join(rows))

    kept = normalized(tmp_path, bar=2)

    assert isinstance(kept, Kept)
    assert (kept.piece.notes["onset"] / TPQ).tolist() == pytest.approx([2, 8, 12], abs=0.005)
    assert [onset / TPQ for onset, _ in numbered_bars(kept.piece)] == [0, 4, 8, 12]


def test_chords_of_the_annotation_become_symbols(tmp_path: Path) -> None:
    played(tmp_path / "song.mid", [0, 7])
    table(tmp_path / "beat_song.txt", 8, {0, 4})
    words = ["N", "Bb:min/b3", "Bb:min/b3", "F#:sus4(b7)", "C:hdim7", "G:strange", "Eb:maj/3"]
    rows = [f"{0.2 + BEAT * n}\t{0.2 + BEAT * (n + 1)}\t{word}" for n, word in enumerate(words)]
    (tmp_path / "chords.txt").write_text("\n".join(rows))

    kept = normalized(tmp_path, chords="chords.txt")

    assert isinstance(kept, Kept)
    signs = [(s.onset / TPQ, s.value) for s in kept.piece.annotations if s.kind == "chord"]
    names = [(0, "N.C."), (1, "Bbm/Db"), (3, "F#7sus4"), (4, "Cm7b5"), (6, "Eb/G")]
    assert signs == names
    assert "chords of an unknown kind left out: 1" in kept.piece.warnings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "the table of its beats or chords is missing: beat_song.txt"),
        ("0.2 1 1", "its times must be two or more, and ascend"),
        ("0.2 1 1\n0.1 0 0", "its times must be two or more, and ascend"),
        ("0.2 1 1\nnan 0 0", "its times must be two or more, and ascend"),
        ("0.2 1 0\n0.9 0 0", "no row has 1 in column 3, so no bar begins"),
        ("0.2 1\n0.9 0", "a row has no number in column 1 or 3"),
        ("a b c\n0.9 0 1", "a row has no number in column 1 or 3"),
    ],
)
def test_a_table_that_says_no_beats_rejects_its_file(
    tmp_path: Path, text: str | None, words: str
) -> None:
    played(tmp_path / "song.mid", [0, 1])
    if text is not None:
        (tmp_path / "beat_song.txt").write_text(text)

    rejected = normalized(tmp_path)

    assert isinstance(rejected, Rejected)
    assert rejected.reason == "unreadable"
    assert words in rejected.detail


def test_tables_that_no_file_has_are_refused_and_an_edited_one_is_noticed(tmp_path: Path) -> None:
    raw = tmp_path / "mine"
    for name in ("one", "two"):
        played(raw / f"{name}.mid", [0, 7])
    options = options_from("mine", {"beats": {"table": "beat_{stem}.txt", "bar": 3}})
    with pytest.raises(MissingInput, match=r"mine/beat_one\.txt is missing, .*update=mine$"):
        build_corpus(raw, tmp_path / "out", options, origin={}, workspace=tmp_path / "work")
    table(raw / "beat_two.txt", 8, {0, 4})
    summary = build_corpus(raw, tmp_path / "out", options, origin={}, workspace=tmp_path / "work")
    assert (summary["pieces"], summary["rejected"]) == (1, {"unreadable": 1})
    items, _ = list_items(raw, options)
    before = _state_of(items, options)
    (raw / "beat_two.txt").write_text("0 1 1\n1 0 0\n2 0 0\n3 0 0\n")
    assert _state_of(items, options) != before, "a killed run does not go on with old shards"


def test_wrong_settings_are_refused_with_their_names() -> None:
    with pytest.raises(ValueError, match=r"normalize\.beats"):
        options_from("own", {"beats": {"tabel": "beat.txt"}})
    with pytest.raises(ValueError, match="bar=1: column 1 holds the seconds"):
        options_from("own", {"beats": {"table": "beat.txt", "bar": 1}})
    with pytest.raises(ValueError, match=r"only \{stem\} can stand in braces"):
        options_from("own", {"beats": {"table": "{name}.txt"}})
