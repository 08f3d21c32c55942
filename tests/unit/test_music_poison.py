"""One poisonous file costs itself alone, whatever it does to the process that reads it."""

import importlib
import resource
import sys

import pytest

from ostinato.corpus.store import read_pieces, read_rejected
from ostinato.execution.guard import Limits
from ostinato.execution.parallel import Executor
from ostinato.music.write import write_midi
from ostinato.normalization.build import build_corpus
from ostinato.normalization.normalize import NormalizeOptions

pytestmark = pytest.mark.slow

# readers that some files make hang, crash and eat memory; all others they read
POISONED = """
import os, signal, time
from ostinato.normalization.normalize import normalize_item as clean
from ostinato.readers.read import keys_or_failure as keys

def poison(name):
    if "hang" in name:
        time.sleep(600)
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "greedy" in name:
        bytearray(10 << 30)

def normalize_item(options, keep, item):
    poison(item.name)
    return clean(options, keep, item)

def keys_or_failure(options, path):
    poison(path.name)
    return keys(options, path)
"""
TUNE = "X:{}\nT:A tune\nM:4/4\nL:1/8\nK:G\nGABc dedB|dedB dedB|c2ec B2dB|A2A2 A2BA|\n"
ORIGIN = {"licence": "none", "citation": "none", "url": "none"}


@pytest.fixture
def poisoned(tmp_path, monkeypatch):
    """The module of poisoned readers."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "poisoned.py").write_text(POISONED)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    monkeypatch.delitem(sys.modules, "poisoned", raising=False)
    return importlib.import_module("poisoned")


def rejected_of(folder):
    """Reason and detail of every rejected file."""
    return {row["file"]: (row["reason"], row["detail"]) for row in read_rejected(folder)}


def test_a_hang_a_crash_and_ten_gigabytes_cost_three_files(
    tmp_path, chorale, monkeypatch, poisoned
):
    """With two workers; that one has the same results: test_execution_guard.py."""
    monkeypatch.setattr("ostinato.normalization.build.normalize_item", poisoned.normalize_item)
    names = ["a", "crash", "b", "hang", "greedy", "c", *(f"z{n}" for n in range(30))]
    for seed, name in enumerate(names):
        write_midi(tmp_path / "raw" / f"{name}.mid", chorale(seed))
    summary = build_corpus(
        tmp_path / "raw",
        tmp_path / "corpus",
        NormalizeOptions(limits=Limits(seconds=10, megabytes=1000, wall_seconds=10)),
        origin=ORIGIN,
        executor=Executor(workers=2),
        workspace=tmp_path / "work",
    )
    assert summary["files"] == len(names)
    rejected = rejected_of(tmp_path / "corpus")
    assert {file: reason for file, (reason, _) in rejected.items()} == {
        "crash.mid": "crash",
        "greedy.mid": "memory limit",
        "hang.mid": "time limit",
    }
    assert "SIGSEGV" in rejected["crash.mid"][1]
    assert "10 s" in rejected["hang.mid"][1]
    pieces = {row["source"] for row in read_pieces(tmp_path / "corpus")}
    assert pieces == {f"{name}.mid" for name in names} - set(rejected)


def test_a_container_that_cannot_be_listed_costs_itself_alone(tmp_path, monkeypatch, poisoned):
    """Its keys are looked for behind the guard, too: 20 MB of tunes are too much for 64 MB."""
    monkeypatch.setattr("ostinato.normalization.build.keys_or_failure", poisoned.keys_or_failure)
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("a", "crash", "greedy", "hang", "z"):
        (raw / f"{name}.abc").write_text(TUNE.format(1) + TUNE.format(2))
    tunes = (TUNE + TUNE[5:] * 10).format
    (raw / "huge.abc").write_text("".join(tunes(number) for number in range(25_000)))
    (raw / "nothing.abc").write_text("words alone\n")
    options = NormalizeOptions(limits=Limits(seconds=2, megabytes=64, wall_seconds=2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    summary = build_corpus(
        raw, tmp_path / "corpus", options, origin=ORIGIN, workspace=tmp_path / "work"
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10, "of kB"
    rejected = rejected_of(tmp_path / "corpus")
    assert list(rejected) == ["crash.abc", "greedy.abc", "hang.abc", "huge.abc", "nothing.abc"]
    assert rejected == {
        "crash.abc": ("crash", "SIGSEGV"),
        "greedy.abc": ("memory limit", "more than 64 MB: MemoryError"),
        "hang.abc": ("time limit", "more than 2 s by the clock"),
        "huge.abc": ("memory limit", "more than 64 MB: MemoryError"),
        "nothing.abc": ("unreadable", "nothing.abc cannot be read: it holds no piece"),
    }
    assert summary["files"] == 7
    ids = [row["id"] for row in read_pieces(tmp_path / "corpus")]
    assert ids == ["a/0001", "a/0002", "z/0001", "z/0002"]
