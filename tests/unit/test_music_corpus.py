"""The corpus: nothing vanishes, splits follow melodies alone, and what is written is read back."""

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ostinato.corpus.store import (
    read_corpus,
    read_notes,
    read_pieces,
    read_rejected,
    read_summary,
)
from ostinato.files import DamagedFile, MissingInput, checksums, sha256_file
from ostinato.music.melody import fingerprint, intervals
from ostinato.music.piece import VOICES, Track, make_notes, sort_notes
from ostinato.music.write import write_midi
from ostinato.normalization.build import build_corpus
from ostinato.normalization.normalize import REASONS, NormalizeOptions, options_from, simultaneous
from ostinato.normalization.splits import SplitRule, split_of
from ostinato.normalization.summary import describe, kind_of
from ostinato.readers.read import read_piece

FOUR = NormalizeOptions(voices=VOICES, split=SplitRule(train=0.5, valid=0.25, test=0.25))
ORIGIN = {"licence": "none", "citation": "none", "url": "none"}


def with_track(piece, notes, name):
    """The piece with one more track."""
    number = len(piece.tracks)
    more = make_notes([(number, *note) for note in notes])
    merged = sort_notes(np.concatenate([piece.notes, more]))
    return replace(piece, notes=merged, tracks=(*piece.tracks, Track(name=name)))


@pytest.fixture(scope="module")
def raw(tmp_path_factory, chorale):
    """Ten good files, one with a violin, one with a second soprano, four that are of no use."""
    folder = tmp_path_factory.mktemp("raw")
    for seed in range(10):
        write_midi(folder / "sub" / f"{seed}.mid", chorale(seed))
    tune = [(480 * n, 480, 70 + n % 5, 80) for n in range(6)]
    write_midi(folder / "violin.midi", with_track(chorale(20), tune, "Violin"))
    write_midi(folder / "second.mid", with_track(chorale(21), tune, "Soprano II"))
    write_midi(folder / "silent.mid", replace(chorale(22), notes=make_notes([])))
    three = chorale(23)
    names = (*three.tracks[:3], Track(name="Cello"))
    write_midi(folder / "cello.mid", replace(three, tracks=names))
    chords = chorale(24)
    doubled = chords.notes[chords.notes["track"] == 1].copy()
    doubled["pitch"] += 4
    notes = sort_notes(np.concatenate([chords.notes, doubled]))
    write_midi(folder / "divided.mid", replace(chords, notes=notes))
    (folder / "no-music.mid").write_bytes(b"<html>404</html>")
    (folder / "readme.txt").write_text("not music")
    return folder


def build(raw, out, options=FOUR, **more):
    return build_corpus(raw, out, options, origin=ORIGIN, workspace=out.parent / "work", **more)


@pytest.fixture(scope="module")
def corpus(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "tiny"
    build(raw, folder)
    return folder


@pytest.mark.long
def test_every_file_is_in_the_pieces_or_rejected_once_with_its_reason(raw, corpus):
    pieces, rejected = read_pieces(corpus), read_rejected(corpus)
    files = [p.relative_to(raw).as_posix() for p in raw.rglob("*.mid*")]
    seen = Counter([row["source"] for row in pieces] + [row["file"] for row in rejected])
    assert seen == Counter(files)
    assert {row["file"]: row["reason"] for row in rejected} == {
        "cello.mid": "voices missing",
        "divided.mid": "voices not clear",
        "no-music.mid": "unreadable",
        "silent.mid": "no notes",
    }
    details = {row["file"]: row["detail"] for row in rejected}
    assert details["cello.mid"] == "no bass among: Soprano, Alto, Tenor, Cello"
    assert str(raw) not in "".join(details.values())
    assert {row["reason"] for row in rejected} <= set(REASONS)


def test_every_file_of_music_is_listed_whatever_its_kind(tmp_path, chorale):
    write_midi(tmp_path / "raw" / "a.mid", chorale(0))
    plain = (tmp_path / "raw" / "a.mid").read_bytes()
    riff = b"RMIDdata" + len(plain).to_bytes(4, "little") + plain
    (tmp_path / "raw" / "b.rmi").write_bytes(b"RIFF" + len(riff).to_bytes(4, "little") + riff)
    (tmp_path / "raw" / "c.SMF").write_bytes(plain)
    for name in ("d.mscz", "e.GP5", "table.csv"):
        (tmp_path / "raw" / name).write_bytes(b"")
    corpus = tmp_path / "tiny"
    summary = build(tmp_path / "raw", corpus, NormalizeOptions())
    assert [row["source"] for row in read_pieces(corpus)] == ["a.mid", "b.rmi", "c.SMF"]
    assert {row["file"]: row["detail"] for row in read_rejected(corpus)} == {
        "d.mscz": "files of kind .mscz are not read; export this one as MusicXML or MIDI",
        "e.GP5": "files of kind .GP5 are not read; export this one as MusicXML or MIDI",
    }
    assert (summary["files"], summary["rejected"]) == (5, {"kind not read": 2})
    build(tmp_path / "raw", corpus, NormalizeOptions(files=("*.mid",)))
    assert not read_rejected(corpus)


def test_a_file_without_notes_is_rejected_with_what_explains_it(tmp_path):
    end, note = b"\0\xff\x2f\0", b"\0\x90\x3c\x40\x60\x80\x3c\0"
    contents = {
        "after.mid": end + 2 * note,
        "cut.mid": b"\0\xf4" + note,
        "zero.mid": b"\0\x90\x3c\x40" + end,
    }
    (tmp_path / "raw").mkdir()
    for name, content in contents.items():
        chunk = b"MTrk" + len(content).to_bytes(4, "big") + content
        (tmp_path / "raw" / name).write_bytes(b"MThd\0\0\0\6\0\1\0\1\0\x60" + chunk)
    build(tmp_path / "raw", tmp_path / "tiny", NormalizeOptions())
    details = {row["file"]: row["detail"] for row in read_rejected(tmp_path / "tiny")}
    assert details["after.mid"] == "2 notes dropped: after the end of its track"
    assert details["cut.mid"].startswith("tracks that are cut or damaged, read as far as they go; ")
    assert details["zero.mid"] == (
        "1 notes dropped: zero length; notes never ended, closed with their track: 1"
    )


def test_notes_read_are_notes_kept_and_notes_dropped(raw, corpus):
    read = sum(len(read_piece(raw / row["source"]).notes) for row in read_pieces(corpus))
    summary = read_summary(corpus)
    kept, dropped = summary["notes_kept"], summary["notes_dropped"]
    assert summary["notes_read"] == read == kept + sum(dropped.values())
    assert dropped == {"part is not one of the voices": 6, "second part of a voice": 6}
    assert summary["files"] == 16
    assert kept == sum(len(notes) for _, notes in read_notes(corpus))
    for entry in read_corpus(corpus):
        assert [track.role for track in entry.piece.tracks] == list(VOICES)
    table = describe(summary, seconds=1.5)
    for words in (f"notes read {read:,}", "voices missing 1", "seconds taken 1.5", "pieces 12"):
        assert words in " ".join(table.split())


def test_a_piece_is_read_back_as_its_file_says(raw, corpus):
    entries = {entry.piece.source: entry.piece for entry in read_corpus(corpus)}
    for name, piece in entries.items():
        if name.startswith("sub/"):
            expected = replace(read_piece(raw / name), id=name.removesuffix(".mid"), source=name)
            assert np.array_equal(piece.notes, expected.notes)
            assert vars(piece) | {"notes": None} == vars(expected) | {"notes": None}


def test_a_corpus_has_the_same_bytes_every_time_and_leaves_no_workspace(raw, corpus, tmp_path):
    build(raw, tmp_path / "tiny")
    assert checksums(tmp_path / "tiny") == checksums(corpus)
    assert not list((tmp_path / "work").rglob("*.*"))


def test_a_corpus_of_several_shards_holds_the_same_pieces(raw, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("ostinato.normalization.build.ITEMS_PER_SHARD", 5)
    build(raw, tmp_path / "tiny")
    assert len(list((tmp_path / "tiny").glob("notes-*.parquet"))) == 4
    for one, other in zip(read_corpus(corpus), read_corpus(tmp_path / "tiny"), strict=True):
        assert one.piece.id == other.piece.id
        assert one.split == other.split
        assert np.array_equal(one.piece.notes, other.piece.notes)
    assert read_rejected(corpus) == read_rejected(tmp_path / "tiny")


def test_a_killed_run_goes_on_from_the_shards_that_are_done(raw, corpus, tmp_path, monkeypatch):
    from ostinato.normalization import build as building

    monkeypatch.setattr("ostinato.normalization.build.ITEMS_PER_SHARD", 4)
    write, written = building.write_shard, []

    def killed(folder, kept, rejected):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(folder.name)
        write(folder, kept, rejected)

    monkeypatch.setattr("ostinato.normalization.build.write_shard", killed)
    with pytest.raises(KeyboardInterrupt):
        build(raw, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()
    again = []
    monkeypatch.setattr(
        "ostinato.normalization.build.write_shard",
        lambda folder, *parts: (again.append(folder.name), write(folder, *parts)),
    )
    build(raw, tmp_path / "tiny")
    assert len(written) == 2
    assert len(again) == 2
    for one, other in zip(read_corpus(corpus), read_corpus(tmp_path / "tiny"), strict=True):
        assert np.array_equal(one.piece.notes, other.piece.notes)


def test_a_given_split_says_what_it_leaves_out_and_what_it_names_for_nothing(
    raw, corpus, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ids = [row["id"] for row in read_pieces(corpus)]
    names = ["sub/0.mid", "gone", *ids[1:], "silent", "zz"]
    table = "\ufeffpiece,split\n" + "".join(f"{name},train\n" for name in names)
    (tmp_path / "own.csv").write_text(table, encoding="utf-8")
    rule = SplitRule(given="own.csv", sha256=sha256_file(tmp_path / "own.csv"))
    summary = build(raw, tmp_path / "tiny", replace(FOUR, split=rule))
    assert summary["rows_without_piece"] == {
        "rows": 4,
        "first": ["gone", "silent", "sub/0.mid", "zz"],
    }
    words = " ".join(describe(summary).split())
    assert (
        "rows without piece 4 in the given split; no such piece, or rejected: gone, silent" in words
    )
    assert words.endswith("sub/0.mid, …")
    (row,) = [r for r in read_rejected(tmp_path / "tiny") if r["reason"] == "no official split"]
    assert ids[0] not in {row["id"] for row in read_pieces(tmp_path / "tiny")}
    assert row["file"] == f"{ids[0]}.mid"
    assert row["detail"] == (
        f"own.csv has no row for piece {ids[0]!r}; add one, and write the file's new sha256 under "
        "normalize.split.sha256"
    )
    assert "rows_without_piece" not in read_summary(corpus)
    monkeypatch.setattr("ostinato.normalization.build.list_items", None)  # nothing is read any more
    with pytest.raises(ValueError, match=r"own\.csv has changed"):
        build(raw, tmp_path / "tiny", replace(FOUR, split=replace(rule, sha256="0")))


def test_a_split_without_pieces_is_shown_and_has_a_remedy_if_it_was_asked_for(
    raw, tmp_path, monkeypatch
):
    def words_of(**rule):
        summary = build(raw, tmp_path / "tiny", replace(FOUR, split=SplitRule(**rule)))
        return summary, " ".join(describe(summary).split())

    summary, words = words_of(train=0.98, valid=0.01, test=0.01, seed=1)
    assert summary["splits"] == {"train": 12}
    assert "pieces 12 test 0, train 12, valid 0" in words
    assert summary["empty_splits"] == {"shares": {"valid": 0.01, "test": 0.01}}
    assert "empty split 0 of test, whose share is 0.01: a seed draws" in words
    assert "normalize.split.seed" in words
    summary, words = words_of(train=1, valid=0, test=0)
    assert "test 0, train 12, valid 0" in words
    assert "empty" not in words + str(summary)
    monkeypatch.chdir(tmp_path)
    names = [f"sub/{seed}" for seed in range(10)]
    table = "".join(f"{name},train\n" for name in names) + "gone,test\n"
    (tmp_path / "own.csv").write_text(f"piece,split\n{table}", encoding="utf-8")
    summary, words = words_of(given="own.csv", sha256=sha256_file(tmp_path / "own.csv"))
    assert summary["empty_splits"] == {"given": {"test": 1}}
    assert "empty split 0 of test, which 1 rows of the given split name" in words


def test_a_damaged_or_missing_file_is_named_before_any_piece(corpus, tmp_path, flip_byte):
    folder = tmp_path / "tiny"
    with pytest.raises(MissingInput, match=r"summary\.json is missing; .*dvc repro normalize@tiny"):
        read_summary(folder)
    shutil.copytree(corpus, folder)
    flip_byte(folder / "notes-00000.parquet")
    with pytest.raises(DamagedFile, match=r"notes-00000\.parquet is damaged"):
        read_corpus(folder)
    (folder / "notes-00000.parquet").unlink()
    with pytest.raises(MissingInput, match=r"notes-00000\.parquet is missing"):
        read_corpus(folder)


def test_a_folder_without_music_is_refused(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "readme.txt").write_text("x")
    with pytest.raises(ValueError, match=r"raw contains no music file; known suffixes are \.mid"):
        build(tmp_path / "raw", tmp_path / "tiny")


def rows_of(folder, options=FOUR):
    out = folder.parent / f"{folder.name}-corpus" / "tiny"
    build(folder, out, options)
    return read_pieces(out)


def splits_of(folder):
    return {row["fingerprint"]: row["split"] for row in rows_of(folder)}


def test_neither_names_nor_a_new_file_move_a_piece_to_another_split(raw, tmp_path, chorale):
    before = splits_of(raw)
    assert set(before.values()) == {"train", "valid", "test"}
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, path in enumerate(sorted(raw.rglob("*.mid*"), reverse=True)):
        shutil.copy(path, renamed / f"{number:03}.mid")
    assert splits_of(renamed) == before
    write_midi(renamed / "a-new-one.mid", chorale(99))
    after = splits_of(renamed)
    assert len(after) == len(before) + 1
    assert {mark: after[mark] for mark in before} == before


@pytest.mark.parametrize("semitones", [-5, 1, 7, 12])
def test_a_transposed_copy_has_the_same_melody_and_split(tmp_path, chorale, moved, semitones):
    folder = tmp_path / "raw"
    for seed in range(8):
        write_midi(folder / f"{seed}.mid", chorale(seed))
        copied = moved(chorale(seed), semitones, "copy")
        assert fingerprint(copied) == fingerprint(chorale(seed))
        write_midi(folder / f"z{seed}.mid", copied)
    rows = rows_of(folder)
    by_name = {row["source"]: (row["split"], row["group"]) for row in rows}
    assert all(by_name[f"{seed}.mid"] == by_name[f"z{seed}.mid"] for seed in range(8))
    assert len({row["group"] for row in rows}) == 8
    assert {row["copies"] for row in rows} == {str(seed) for seed in range(8)}
    kept = rows_of(folder, replace(FOUR, drop_copies=True))
    assert [row["source"] for row in kept] == [f"{seed}.mid" for seed in range(8)]
    rejected = read_rejected(tmp_path / "raw-corpus" / "tiny")
    assert {(row["file"], row["reason"], row["detail"]) for row in rejected} == {
        (f"z{seed}.mid", "copy", f"the same music as {seed}") for seed in range(8)
    }


def test_files_of_one_name_stay_two_pieces(tmp_path, chorale):
    names = ["a/1.mid", "b/1.mid", "b/1.midi", "c.mid"]
    for seed, name in enumerate(names):
        write_midi(tmp_path / "raw" / name, chorale(seed))
    build(tmp_path / "raw", tmp_path / "tiny")
    entries = read_corpus(tmp_path / "tiny")
    assert [entry.piece.id for entry in entries] == ["a/1", "b/1.mid", "b/1.midi", "c"]
    assert [entry.piece.source for entry in entries] == names
    for seed, entry in enumerate(entries):
        assert np.array_equal(entry.piece.notes, chorale(seed).notes)


def test_the_melody_is_the_soprano_or_else_the_highest_notes_without_drums(chorale):
    piece = chorale(1)
    nameless = replace(piece, tracks=(Track(),) * 4)
    assert intervals(nameless) != ()
    rows = [(0, 0, 4, 60, 80), (0, 0, 4, 67, 80), (0, 4, 4, 69, 80), (0, 8, 4, 69, 80)]
    drums = [(1, 0, 4, 90, 80), (1, 4, 4, 30, 80)]
    chords = replace(piece, notes=make_notes(rows + drums), tracks=(Track(), Track(is_drum=True)))
    assert intervals(chords) == (2,)


def test_shares_must_add_up_and_unknown_options_are_named():
    with pytest.raises(ValueError, match=r"train=0\.8, valid=0\.3, test=0\.1 must add up to 1"):
        SplitRule(valid=0.3)
    with pytest.raises(ValueError, match=r"no setting quantise; .*expand_repeats"):
        options_from("bach", {"quantise": 4})
    with pytest.raises(ValueError, match="bach: split has no dev; it has train"):
        options_from("bach", {"split": {"dev": 0.1}})
    whole = {"train": 1, "valid": 0, "test": 0}
    chosen = options_from("bach", {"voices": ["soprano"], "split": whole})
    assert chosen.voices == ("soprano",)


def test_a_negative_share_is_refused():
    with pytest.raises(ValueError, match=r"valid=-0\.2"):
        SplitRule(train=1.0, valid=-0.2, test=0.2)


def test_splits_have_their_shares():
    rule = SplitRule(train=0.6, valid=0.3, test=0.1)
    counts = Counter(split_of(f"{n:016x}", rule) for n in range(4000))
    assert counts["train"] / 4000 == pytest.approx(0.6, abs=0.03)
    assert counts["valid"] / 4000 == pytest.approx(0.3, abs=0.03)
    assert split_of("a", SplitRule(train=0, valid=0, test=1)) == "test"


def test_simultaneous_notes_are_counted():
    onsets, durations = np.array([0, 4, 2, 8]), np.array([4, 4, 1, 4])
    assert simultaneous(onsets, durations) == 1
    assert simultaneous(onsets[[0, 1, 3]], durations[[0, 1, 3]]) == 0
    assert simultaneous(np.array([0, 0]), np.array([4, 4])) == 1


@pytest.mark.parametrize(("warning", "kind"), [
    ("notes never ended: 1,234", "notes never ended: #"),
    ("onsets at -1/2", "onsets at -#/#"),
    ("in a guessed character set: cp1251", "in a guessed character set: cp1251"),
    ("in a guessed character set: latin-1", "in a guessed character set: latin-1"),
])  # fmt: skip
def test_warnings_are_counted_without_their_numbers_but_with_names(warning, kind):
    assert kind_of(warning) == kind
