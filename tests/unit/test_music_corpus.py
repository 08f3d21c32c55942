"""The corpus: nothing vanishes, splits follow melodies alone, and what is written is read back."""

import itertools
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.execution.files import DamagedFile, MissingInput, checksums
from ostinato.music.corpus import describe, read_corpus, read_summary, write_corpus
from ostinato.music.melody import SHARED, SHINGLE, fingerprint, group_by_melody, intervals
from ostinato.music.normalize import (
    REASONS,
    NormalizeOptions,
    SplitRule,
    normalize_folder,
    options_from,
    simultaneous,
    split_of,
)
from ostinato.music.piece import VOICES, Annotation, Track, make_notes, sort_notes
from ostinato.music.read import read_piece
from ostinato.music.write import write_midi

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
    whole = (folder / "sub" / "1.mid").read_bytes()
    (folder / "cut.mid").write_bytes(whole[: len(whole) // 2])
    (folder / "readme.txt").write_text("not music")
    return folder


@pytest.fixture(scope="module")
def normalized(raw):
    return normalize_folder(raw, FOUR)


def test_every_file_is_in_the_pieces_or_rejected_once_with_its_reason(raw, normalized):
    pieces, rejected = normalized
    files = [p.relative_to(raw).as_posix() for p in raw.rglob("*.mid*")]
    seen = Counter([item.piece.source for item in pieces] + [row.file for row in rejected])
    assert seen == Counter(files)
    assert {row.file: row.reason for row in rejected} == {
        "cello.mid": "voices missing",
        "cut.mid": "unreadable",
        "divided.mid": "voices not clear",
        "silent.mid": "no notes",
    }
    details = {row.file: row.detail for row in rejected}
    assert details["cello.mid"] == "no bass among: Soprano, Alto, Tenor, Cello"
    assert str(raw) not in "".join(details.values())
    assert {row.reason for row in rejected} <= set(REASONS)


def test_notes_read_are_notes_kept_and_notes_dropped(raw, normalized, tmp_path):
    pieces, rejected = normalized
    read = sum(len(read_piece(raw / item.piece.source).notes) for item in pieces)
    summary = write_corpus(tmp_path / "corpus", "tiny", pieces, rejected, ORIGIN)
    kept, dropped = summary["notes_kept"], summary["notes_dropped"]
    assert summary["notes_read"] == read == kept + sum(dropped.values())
    assert dropped == {"part is not one of the voices": 6, "second part of a voice": 6}
    assert summary["files"] == 16
    for item in pieces:
        assert [track.role for track in item.piece.tracks] == list(VOICES)
    assert f"{read} read = {kept} kept + 6 dropped" in describe(summary)


def test_a_corpus_is_read_back_as_it_was_written(normalized, tmp_path):
    pieces, rejected = normalized
    marked = [
        replace(
            item,
            piece=replace(
                item.piece,
                id=f"{n:02}",
                annotations=(Annotation(0, "bar"), Annotation(480, "chord", "Am")),
                labels={"composer": "Bäch", "style": "x"},
                title=f"Lied {n}",
                warnings=("one", "two") if n % 2 else (),
            ),
        )
        for n, item in enumerate(pieces)
    ]
    write_corpus(tmp_path / "corpus", "tiny", marked, rejected, ORIGIN)
    entries = read_corpus(tmp_path / "corpus")
    assert len(entries) == len(marked)
    for item, entry in zip(marked, entries, strict=True):
        assert np.array_equal(item.piece.notes, entry.piece.notes)
        before, after = (vars(x) | {"notes": None} for x in (item.piece, entry.piece))
        assert before == after
        assert (item.split, item.fingerprint, item.group) == (
            entry.split, entry.fingerprint, entry.group,
        )  # fmt: skip


def test_a_corpus_has_the_same_bytes_every_time(normalized, tmp_path):
    for name in ("a", "b"):
        write_corpus(tmp_path / name, "tiny", *normalized, ORIGIN)
    assert checksums(tmp_path / "a") == checksums(tmp_path / "b")


def test_a_corpus_of_several_shards_is_whole(normalized, tmp_path, monkeypatch):
    monkeypatch.setattr("ostinato.music.corpus.PIECES_PER_SHARD", 5)
    pieces, rejected = normalized
    marked = [replace(p, piece=replace(p.piece, id=f"{n:02}")) for n, p in enumerate(pieces)]
    write_corpus(tmp_path / "corpus", "tiny", marked, rejected, ORIGIN)
    assert len(list((tmp_path / "corpus").glob("notes-*.parquet"))) == 3
    for item, entry in zip(marked, read_corpus(tmp_path / "corpus"), strict=True):
        assert np.array_equal(item.piece.notes, entry.piece.notes)


def test_a_damaged_or_missing_file_is_named_before_any_piece(normalized, tmp_path, flip_byte):
    folder = tmp_path / "corpus"
    with pytest.raises(MissingInput, match=r"summary\.json is missing; .*dvc repro normalize"):
        read_summary(folder)
    write_corpus(folder, "tiny", *normalized, ORIGIN)
    flip_byte(folder / "notes-00000.parquet")
    with pytest.raises(DamagedFile, match=r"notes-00000\.parquet is damaged"):
        read_corpus(folder)
    (folder / "notes-00000.parquet").unlink()
    with pytest.raises(MissingInput, match=r"notes-00000\.parquet is missing"):
        read_corpus(folder)


def splits_of(folder):
    pieces, _ = normalize_folder(folder, FOUR)
    return {item.fingerprint: item.split for item in pieces}


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
    for seed in range(8):
        write_midi(tmp_path / f"{seed}.mid", chorale(seed))
        copied = moved(chorale(seed), semitones, "copy")
        assert fingerprint(copied) == fingerprint(chorale(seed))
        write_midi(tmp_path / f"z{seed}.mid", copied)
    pieces, _ = normalize_folder(tmp_path, FOUR)
    by_name = {item.piece.source: (item.split, item.group) for item in pieces}
    assert all(by_name[f"{seed}.mid"] == by_name[f"z{seed}.mid"] for seed in range(8))
    assert len({item.group for item in pieces}) == 8


def test_files_of_one_name_stay_two_pieces(tmp_path, chorale):
    names = ["a/1.mid", "b/1.mid", "b/1.midi", "c.mid"]
    for seed, name in enumerate(names):
        write_midi(tmp_path / "raw" / name, chorale(seed))
    pieces, rejected = normalize_folder(tmp_path / "raw", FOUR)
    assert [item.piece.id for item in pieces] == ["a/1", "b/1.mid", "b/1.midi", "c"]
    write_corpus(tmp_path / "corpus", "tiny", pieces, rejected, ORIGIN)
    entries = read_corpus(tmp_path / "corpus")
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


def naive_groups(melodies):
    """The definition: connected where half of the shorter one's passages are shared."""

    def passages(line):
        return {line[i : i + SHINGLE] for i in range(max(1, len(line) - SHINGLE + 1))}

    sets = [passages(line) for line in melodies]
    group = list(range(len(melodies)))
    for _ in melodies:
        for a, b in itertools.combinations(range(len(melodies)), 2):
            common = len(sets[a] & sets[b])
            if common and common >= SHARED * min(len(sets[a]), len(sets[b])):
                group[a] = group[b] = min(group[a], group[b])
    return group


def pieces_of_one_stream(draw_seed, count):
    """Overlapping excerpts of two short melodies, so that some share passages and some do not."""
    rng = np.random.default_rng(draw_seed)
    streams = rng.choice([-2, -1, 1, 2], (2, 40))
    lines = []
    for _ in range(count):
        start, length = rng.integers(0, 25), rng.integers(0, 24)
        lines.append(tuple(streams[rng.integers(2), start : start + length].tolist()))
    return lines


@given(st.integers(0, 10**6), st.integers(1, 9))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_groups_are_what_their_definition_says(seed, count):
    melodies = pieces_of_one_stream(seed, count)
    assert group_by_melody(melodies) == naive_groups(melodies)


def test_shares_must_add_up_and_unknown_options_are_named():
    with pytest.raises(ValueError, match=r"train=0\.8, valid=0\.3, test=0\.1 must add up to 1"):
        SplitRule(valid=0.3)
    with pytest.raises(ValueError, match=r"no option quantise; .*expand_repeats.* of split: train"):
        options_from("bach", {"quantise": 4})
    with pytest.raises(ValueError, match="no option dev"):
        options_from("bach", {"split": {"dev": 0.1}})
    chosen = options_from(
        "bach", {"voices": ["soprano"], "split": {"train": 1, "valid": 0, "test": 0}}
    )
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
