"""Splits: what belongs together stays together; official ones are kept, and their leaks counted."""

import hashlib
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from ostinato.corpus.store import read_corpus
from ostinato.datasets.source import download, source_from
from ostinato.normalization.alignment import Lines
from ostinato.normalization.build import build_corpus
from ostinato.normalization.copies import Sketches
from ostinato.normalization.normalize import options_from
from ostinato.normalization.splits import (
    Pieces,
    SplitRule,
    assign,
    copies_to_drop,
    decide,
    rule_from,
    split_of,
)

ROOT = Path(__file__).resolve().parents[2]
MIRROR = Path(os.environ.get("OSTINATO_MIRROR", "/nowhere"))


def pieces_of(count, *, works=None, official=None):
    """Pieces that have nothing in common."""
    rng = np.random.default_rng(1)
    sketches = [np.unique(rng.integers(0, 2**63, 40, np.uint64)) for _ in range(count)]
    names = [f"{n:016x}" for n in range(count)]
    return Pieces(
        ids=[f"piece-{n}" for n in range(count)],
        names=names,
        textures=[name[::-1] + "t" for name in names],
        melody=Lines.of([rng.choice([-4, -2, -1, 1, 2, 3], 40) for _ in range(count)]),
        texture=Sketches.of(sketches),
        works=works or [""] * count,
        official=official or [""] * count,
    )


def alike(pieces, a, b):
    """The same with piece b a copy of piece a."""
    return replace(
        pieces,
        names=[pieces.names[a] if n == b else name for n, name in enumerate(pieces.names)],
        textures=[pieces.textures[a] if n == b else t for n, t in enumerate(pieces.textures)],
    )


def test_pieces_of_one_work_share_a_group_and_a_split():
    works = ["sonata", "", "sonata", "étude", "étude"]
    rule = SplitRule(train=0.4, valid=0.3, test=0.3)
    decision = decide(pieces_of(5, works=works), rule)
    assert decision.groups[0] == decision.groups[2] == f"{0:016x}"
    assert decision.groups[3] == decision.groups[4]
    assert len(set(decision.groups)) == 3
    chosen = assign(decision.groups, rule)
    assert decision.splits == [chosen[group] for group in decision.groups]
    assert decision.copies == [""] * 5
    assert decision.leaks == {}


def test_a_group_too_large_for_the_small_splits_is_for_the_largest():
    groups = ["big"] * 60 + ["other"] * 40 + [str(n) for n in range(900)]
    for seed in range(20):
        chosen = assign(groups, SplitRule(seed=seed))
        assert chosen["big"] == "train"
        assert chosen["other"] == split_of("other", SplitRule(seed=seed))
        counts = Counter(chosen[group] for group in groups)
        assert counts["train"] == pytest.approx(800, abs=80)
    assert assign([], SplitRule()) == {}


def test_an_official_split_is_kept_and_what_crosses_it_is_counted_and_named():
    official = ["train", "train", "valid", "test", ""]
    pieces = alike(pieces_of(5, official=official), 0, 2)
    decision = decide(pieces, rule_from("official"))
    assert decision.splits == official
    assert decision.leaks["copy"] == {
        "pieces": {"train": {"valid": 1}, "valid": {"train": 1}},
        "groups": [{"train": ["piece-0"], "valid": ["piece-2"]}],
        "groups_in_all": 1,
    }
    assert decision.copies == ["piece-0", "", "piece-0", "", ""]
    assert copies_to_drop(decision, pieces) == {"piece-0": "piece-2"}


def test_of_copies_in_one_split_the_longest_stays_and_then_the_first():
    pieces = alike(alike(pieces_of(4), 3, 1), 3, 2)
    decision = decide(pieces, SplitRule(train=1, valid=0, test=0))
    assert copies_to_drop(decision, pieces) == {"piece-2": "piece-1", "piece-3": "piece-1"}
    sizes = np.diff(pieces.texture.offsets)
    shorter = [pieces.texture.hashes[o : o + n - (i < 3)] for i, (o, n) in
               enumerate(zip(pieces.texture.offsets, sizes, strict=False))]  # fmt: skip
    pieces = replace(pieces, texture=Sketches.of(shorter))
    assert copies_to_drop(decision, pieces) == {"piece-1": "piece-3", "piece-2": "piece-3"}


def test_a_split_that_is_given_is_kept_while_its_file_is_what_was_promised(tmp_path):
    path = tmp_path / "own.split.csv"
    path.write_text("piece,split\npiece-7,test\npiece-0,test\npiece-1,train\npiece-5,valid\n")
    rule = SplitRule(given=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    decision = decide(pieces_of(3), rule)
    assert decision.splits == ["test", "train", ""]
    assert decision.unmatched == ["piece-5", "piece-7"]
    path.write_text("piece,split\npiece-0,dev\n")
    with pytest.raises(
        ValueError, match=r"own\.split\.csv has changed: its sha256 is [0-9a-f]{64}"
    ):
        decide(pieces_of(3), rule)
    changed = replace(rule, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(
        ValueError, match="line 2: piece 'piece-0' has split 'dev'; valid are train"
    ):
        decide(pieces_of(3), changed)


@pytest.mark.parametrize("text", ["", "file,split\npiece-0,test\n"])
def test_a_given_table_without_its_columns_is_refused(tmp_path, text):
    path = tmp_path / "own.split.csv"
    path.write_text(text)
    rule = SplitRule(given=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=r"own\.split\.csv needs .*the columns piece and split"):
        decide(pieces_of(1), rule)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a,train\nb,test\na,test\n", "'a' has two splits, 'train' in line 2 and 'test' in line 4"),
        ("a,train\nb,\n", "line 3: piece 'b' has no split; write train, valid, test, or delete"),
        ("a,train\nb\n", "line 3: piece 'b' has no split"),
        ("a,train\n\n,\n", "line 4: no piece is named"),
    ],
)
def test_a_given_table_that_contradicts_itself_or_lacks_a_value_is_refused(tmp_path, rows, words):
    path = tmp_path / "own.split.csv"
    path.write_text(f"piece,split\n{rows}")
    rule = SplitRule(given=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=re.escape(words)) as refused:
        decide(pieces_of(1), rule)
    assert str(path) in str(refused.value)


def test_a_given_table_may_name_a_piece_twice_with_one_split(tmp_path):
    path = tmp_path / "own.split.csv"
    path.write_text("piece,split\npiece-0,test\npiece-0,test\n")
    rule = SplitRule(given=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert decide(pieces_of(1), rule).splits == ["test"]


@pytest.mark.parametrize("settings", ["officious", 3, {"dev": 0.1}])
def test_a_rule_that_is_none_is_refused_with_what_is_known(settings):
    with pytest.raises(ValueError, match=r"official"):
        rule_from(settings)


def test_a_corpus_without_pieces_is_decided_too():
    decision = decide(pieces_of(0), SplitRule())
    assert decision.splits == decision.groups == []


@pytest.mark.slow
@pytest.mark.skipif(
    not (MIRROR / "jsb-chorales-16th" / "Jsb16thSeparated.json").is_file(),
    reason="OSTINATO_MIRROR names no folder with the JSB chorales",
)
def test_the_known_leak_of_the_jsb_split_is_found(tmp_path):
    """Valid chorale 74 is train chorale 224, a tone higher and without its first five bars."""
    settings = yaml.safe_load((ROOT / "conf/dataset/jsb.yaml").read_text(encoding="utf-8"))
    download("jsb", source_from("jsb", settings["source"]), tmp_path / "raw")
    summary = build_corpus(
        tmp_path / "raw",
        tmp_path / "jsb",
        options_from("jsb", settings["normalize"]),
        origin={"licence": "none", "citation": "none", "url": "none"},
        workspace=tmp_path / "work",
    )
    name = "Jsb16thSeparated/{}".format
    assert summary["leaks"]["copy"] == {
        "pieces": {"train": {"valid": 1}, "valid": {"train": 1}},
        "groups": [{"train": [name("train/224")], "valid": [name("valid/074")]}],
        "groups_in_all": 1,
    }
    pieces = {entry.piece.id: entry.piece for entry in read_corpus(tmp_path / "jsb")}
    train, valid = (pieces[name(key)].notes.copy() for key in ("train/224", "valid/074"))
    train["onset"] -= 5 * 4 * 480
    valid["pitch"] -= 2
    # not the first beat: on a grid, what sounds across the bar line is one held note
    assert np.array_equal(train[train["onset"] > 0], valid[valid["onset"] > 0])
