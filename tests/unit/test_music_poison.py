"""One poisonous file costs itself alone, whatever it does to the process that reads it."""

import pytest

from ostinato.execution.guard import Limits
from ostinato.execution.parallel import Executor
from ostinato.music.build import build_corpus
from ostinato.music.corpus import read_pieces, read_rejected
from ostinato.music.normalize import NormalizeOptions
from ostinato.music.write import write_midi

pytestmark = pytest.mark.slow

# a reader that three files make hang, crash and eat memory; all others it reads
POISONED = """
import os, signal, time
from ostinato.music.normalize import normalize_item as clean

def normalize_item(options, keep, item):
    if "hang" in item.name:
        time.sleep(600)
    if "crash" in item.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "greedy" in item.name:
        bytearray(10 << 30)
    return clean(options, keep, item)
"""
ORIGIN = {"licence": "none", "citation": "none", "url": "none"}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hang_a_crash_and_ten_gigabytes_cost_three_files(tmp_path, chorale, monkeypatch, workers):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "poisoned.py").write_text(POISONED)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    import poisoned

    monkeypatch.setattr("ostinato.music.build.normalize_item", poisoned.normalize_item)
    names = ["a", "crash", "b", "hang", "greedy", "c", *(f"z{n}" for n in range(30))]
    for seed, name in enumerate(names):
        write_midi(tmp_path / "raw" / f"{name}.mid", chorale(seed))
    summary = build_corpus(
        tmp_path / "raw",
        tmp_path / "corpus",
        NormalizeOptions(limits=Limits(seconds=10, megabytes=1000)),
        origin=ORIGIN,
        executor=Executor(workers=workers),
        workspace=tmp_path / "work",
    )
    assert summary["files"] == len(names)
    rejected = {
        row["file"]: (row["reason"], row["detail"]) for row in read_rejected(tmp_path / "corpus")
    }
    assert {file: reason for file, (reason, _) in rejected.items()} == {
        "crash.mid": "crash",
        "greedy.mid": "memory limit",
        "hang.mid": "time limit",
    }
    assert "SIGSEGV" in rejected["crash.mid"][1]
    assert "10 s" in rejected["hang.mid"][1]
    pieces = {row["source"] for row in read_pieces(tmp_path / "corpus")}
    assert pieces == {f"{name}.mid" for name in names} - set(rejected)
