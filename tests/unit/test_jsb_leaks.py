"""The audit of an official split: what is also in train is found by kind, and what it is worth."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from ostinato.corpus.store import read_corpus
from ostinato.files import write_json
from ostinato.music.piece import Piece, Track, make_notes
from ostinato.normalization.build import assemble_corpus
from ostinato.normalization.catalogue import Facts
from ostinato.normalization.marks import marks_of
from ostinato.normalization.normalize import Kept, options_from
from ostinato.normalization.shards import write_shard
from ostinato.normalization.tunes import Tunes
from ostinato.reproduction import leaks as audit
from ostinato.reproduction.leaks import CLEAN, Leak, compare, counts, find_leaks
from ostinato.reproduction.leaks_stage import audit_splits

ORIGIN = {"licence": "", "citation": "", "url": ""}


def chorale(name, melody, bass, lift=0):
    rows = [(0, 4 * n, 4, int(pitch) + lift, 80) for n, pitch in enumerate(melody)]
    rows += [(1, 4 * n, 4, int(pitch) + lift, 80) for n, pitch in enumerate(bass)]
    return Piece(name, 4, make_notes(rows), (Track(role="soprano"), Track(role="bass")))


def line(seed, length=46, start=70):
    steps = np.random.default_rng(seed).choice([-4, -2, -1, 1, 2, 3], length)
    return start + np.concatenate([[0], np.cumsum(steps)]) % 24


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Valid: a copy and another harmony of the pieces of train. Test: a phrase, and neither."""
    tune, other = line(1), line(2)
    phrase = np.concatenate([tune[:11], line(3, 100)])
    pieces = [
        ("train", chorale("a", tune, line(4, start=40))),
        ("train", chorale("b", other, line(5, start=40))),
        ("valid", chorale("c", tune, line(4, start=40), lift=3)),
        ("valid", chorale("d", other, line(6, start=40), lift=-2)),
        ("test", chorale("e", phrase, line(7, len(phrase) - 1, start=40))),
        ("test", chorale("f", line(8), line(9, start=40))),
    ]
    home = tmp_path_factory.mktemp("audit")
    kept = [Kept(p, Facts(split=split), {}, 0.0, marks_of(p)) for split, p in pieces]
    (home / "shard").mkdir()
    write_shard(home / "shard", kept, [])
    out = home / "data/corpus/toy"
    options = options_from("toy", {"split": "official"})
    assemble_corpus(out, [home / "shard"], options, files=len(pieces), origin=ORIGIN)
    return out


def test_leaks_are_named_with_their_kind_and_the_piece_they_are_from(corpus):
    found = {leak.piece: (leak.kind, leak.train) for leak in find_leaks(corpus)}
    assert found == {"c": ("copy", "a"), "d": ("tune", "b"), "e": ("phrase", "a"), "f": (CLEAN, "")}
    assert counts(find_leaks(corpus)) == {
        "valid": {"copy": 1, "tune": 1, "phrase": 0, "clean": 0},
        "test": {"copy": 0, "tune": 0, "phrase": 1, "clean": 1},
    }


def test_a_copy_is_scored_against_the_piece_that_it_copies(corpus, monkeypatch):
    """Also where its melody has more in common with another piece of train."""
    ids = [entry.piece.id for entry in read_corpus(corpus)]
    pairs = np.array([[ids.index(name), ids.index("c")] for name in ("a", "b")])
    found = Tunes(pairs[:, 0], pairs[:, 1], np.array([300, 500]), np.array([0.9, 1.0]))
    monkeypatch.setattr(audit, "tune_pairs", lambda lines, names: found)
    (leak,) = (leak for leak in find_leaks(corpus) if leak.piece == "c")
    assert (leak.kind, leak.train, leak.nats, leak.share) == ("copy", "a", 30.0, 0.9)


def test_leaked_pieces_are_compared_with_the_others():
    kinds = ["copy", "tune"] * 10 + ["phrase", "clean"] * 10
    leaks = [Leak(str(n), "test", f"g{n // 2}", kind, "", 0, 0) for n, kind in enumerate(kinds)]
    nats = {str(n): 0.3 + 0.01 * (n % 3) + 0.1 * (n >= 20) for n in range(40)}
    found = compare(leaks, nats, seed=1, resamples=500)
    assert found["leaked"]["value"] == pytest.approx(np.mean([nats[str(n)] for n in range(20)]))
    difference = found["difference"]
    assert difference["value"] == pytest.approx(-0.1, abs=2e-3)
    assert -0.11 < difference["low"] < difference["value"] < difference["high"] < -0.09
    assert (difference["count"], difference["groups"]) == (20, 10)
    few = compare(leaks[:2] + leaks[20:], nats, seed=1, resamples=9)["difference"]
    assert few["value"] is not None
    assert few["low"] is None  # the leaked pieces are one group, which says nothing of others
    alone = compare([replace(leak, kind="clean") for leak in leaks], nats, seed=1, resamples=9)
    assert alone["difference"]["value"] is None


def test_the_stage_writes_a_table_of_rows_and_says_which_have_no_figures(corpus, monkeypatch):
    home = corpus.parents[2]
    monkeypatch.chdir(home)
    params = {
        "encodings": {"toy-grid": {"dataset": "toy"}},
        "protocol": {"seed": 1, "resamples": 9},
    }
    (home / "params.yaml").write_text(json.dumps(params))
    splits = {"valid": {"c": 0.2, "d": 0.3}, "test": {"e": 0.5, "f": 0.6}}
    scored = {split: {"by_piece": nats} for split, nats in splits.items()}
    (home / "scores").mkdir(exist_ok=True)
    described = {"format": 1, "encoding": "toy-grid"}
    write_json(home / "scores/new.json", described | {"system": "new", **scored})
    write_json(home / "scores/old.json", described | {"system": "old", "valid": {}, "test": {}})
    write_json(home / "scores/baselines.json", described | {"baselines": {"hold": scored}})
    audit_splits(["toy"], "cell")
    text = (home / "leaks.md").read_text()
    assert "| toy | valid | 2 | 1 | 1 | 0 | 0 |" in text
    assert "| toy | new | 0.250 | – | – | – | 0.550 | – |" in text
    assert "| toy | baseline hold |" in text
    assert "Scored before nats were kept by piece: old." in text
    with (home / "leaks.csv").open() as file:
        assert [row["kind"] for row in csv.DictReader(file)] == ["copy", "tune", "phrase", "clean"]
