"""A run that the system kills: what is done stays, the rest is made, and the bytes are the same."""

import signal
import subprocess
import sys

import psutil
import pytest

from ostinato.files import checksums
from ostinato.music.write import write_midi
from ostinato.normalization import build as building
from ostinato.normalization.build import build_corpus
from ostinato.normalization.normalize import NormalizeOptions

pytestmark = pytest.mark.slow

ORIGIN = {"licence": "none", "citation": "none", "url": "none"}
# normalizes argv[1] into argv[2] in shards of four, and never ends its second shard
ENDLESS = f"""
import sys, time
from pathlib import Path
from ostinato.execution.parallel import Executor
from ostinato.normalization import build
from ostinato.normalization.normalize import NormalizeOptions

def write_shard(folder, kept, rejected, write=build.write_shard):
    if "00001" in folder.name:
        (folder / "pieces.parquet").write_bytes(b"PAR1")
        print("in the second shard", flush=True)
        time.sleep(600)
    write(folder, kept, rejected)

build.ITEMS_PER_SHARD, build.write_shard = 4, write_shard
raw, out = map(Path, sys.argv[1:])
build.build_corpus(
    raw, out, NormalizeOptions(), origin={ORIGIN}, executor=Executor(workers=2),
    workspace=out.parent / "work",
)
"""


@pytest.fixture
def raw(tmp_path, chorale):
    """Fourteen chorales, and a file that is none."""
    for seed in range(14):
        write_midi(tmp_path / "raw" / f"{seed:02}.mid", chorale(seed))
    (tmp_path / "raw" / "no-music.mid").write_bytes(b"<html>404</html>")
    return tmp_path / "raw"


def is_alive(process):
    """Whether it runs: where nobody takes leave of orphans, dead ones stay listed."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_killed_run_goes_on_and_ends_as_if_it_had_been_left_in_peace(raw, tmp_path, monkeypatch):
    """SIGKILL within the second shard: no handler runs, half a shard lies about, and the workers
    end by themselves.
    """
    whole, out = tmp_path / "undisturbed" / "tiny", tmp_path / "tiny"
    command = [sys.executable, "-c", ENDLESS, str(raw), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "in the second shard\n"
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert len(workers) >= 3, "two, and the guarded process of one or both"
    (first,) = (tmp_path / "work" / "tiny").glob("*/00000")
    assert not out.exists()
    assert [path.name for path in first.parent.glob("*00001*")] == [".00001.partial"]
    before, written = times(first), []
    write, assemble = building.write_shard, building.assemble_corpus

    def counted(folder, kept, rejected):
        written.append(folder.name)
        write(folder, kept, rejected)

    def assembled(out, shards, *arguments, **options):
        if len(written) == 3:
            assert times(shards[0]) == before
        return assemble(out, shards, *arguments, **options)

    monkeypatch.setattr(building, "ITEMS_PER_SHARD", 4)
    monkeypatch.setattr(building, "write_shard", counted)
    monkeypatch.setattr(building, "assemble_corpus", assembled)
    for folder in (out, whole):
        build_corpus(
            raw, folder, NormalizeOptions(), origin=ORIGIN, workspace=folder.parent / "work"
        )
    missing = [f".0000{number}.partial" for number in (1, 2, 3)]
    assert written == [*missing, ".00000.partial", *missing]
    assert checksums(out) == checksums(whole)
    assert not [worker for worker in psutil.wait_procs(workers, 10)[1] if is_alive(worker)]
