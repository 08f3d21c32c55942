"""Five hundred damaged files: each is read with all its notes, or refused, in time."""

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

from ostinato.corpus.store import read_pieces, read_rejected
from ostinato.execution.guard import Limits
from ostinato.normalization.build import build_corpus
from ostinato.normalization.normalize import NormalizeOptions
from ostinato.readers.base import ReadOptions


@pytest.fixture(scope="module")
def mutate():
    """tests/fuzz/mutate.py, which is in no package."""
    path = Path(__file__).parents[1] / "fuzz" / "mutate.py"
    spec = importlib.util.spec_from_file_location("fuzz_mutate", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_mutate"] = module  # where dataclasses look for their module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["fuzz_mutate"]


@pytest.mark.long
def test_no_damage_breaks_a_rule(mutate):
    seeds = mutate.small_files()
    outcomes = Counter()
    for number in range(500):
        options = mutate.OPTIONS[number % len(mutate.OPTIONS)]
        outcome = mutate.check(mutate.mutant(seeds, 11, number), options)
        assert not outcome.violation, f"seed 11, file {number}: {outcome.violation}"
        outcomes[outcome.kind.split(":")[0]] += 1
    assert outcomes["read with warnings"] > 250
    assert outcomes["refused"] > 50


def test_the_seeds_are_sound(mutate):
    kinds = [mutate.check(data, ReadOptions()).kind for data in mutate.small_files()]
    assert kinds == ["read", *["read with warnings"] * 3]


def test_a_mutant_is_a_function_of_its_number(mutate):
    seeds = mutate.small_files()
    assert mutate.mutant(seeds, 1, 5) == mutate.mutant(seeds, 1, 5)
    assert mutate.mutant(seeds, 1, 5) != mutate.mutant(seeds, 1, 6)


def test_a_hang_and_a_lost_note_would_be_seen(mutate, monkeypatch):
    seed = mutate.small_files()[0]
    real = mutate.read_midi_bytes

    def forgetful(data, name, options):
        reading = real(data, name, options)
        return type(reading)(reading.piece, {"zero length": 999}, 0.0)

    monkeypatch.setattr(mutate, "read_midi_bytes", forgetful)
    assert "became" in mutate.check(seed, ReadOptions()).violation
    monkeypatch.setattr(mutate, "read_midi_bytes", lambda *_: [None for _ in iter(int, 1)])
    assert "Overtime" in mutate.check(seed, ReadOptions(), limit=0.05).violation


@pytest.mark.long
def test_every_damaged_file_is_in_the_corpus_or_rejected(mutate, tmp_path):
    seeds, names = mutate.small_files(), set()
    for number in range(500):
        names.add(f"{number:03}.mid")
        path = tmp_path / "raw" / f"{number:03}.mid"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mutate.mutant(seeds, 5, number))
    out = tmp_path / "corpus"
    origin = {"licence": "none", "citation": "none", "url": "none"}
    options = NormalizeOptions(limits=Limits(seconds=20, megabytes=1000))
    summary = build_corpus(
        tmp_path / "raw", out, options, origin=origin, workspace=tmp_path / "work"
    )
    seen = [row["source"] for row in read_pieces(out)]
    seen += [row["file"] for row in read_rejected(out)]
    assert sorted(seen) == sorted(names)
    assert summary["pieces"] > 200
    assert set(summary["rejected"]) == {"unreadable", "no notes"}
    for row in read_pieces(out):
        assert row["notes"] > 0
