"""The same results from two real workers of Dask and of Ray as from this process."""

import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ostinato.corpus.store import read_pieces, read_rejected
from ostinato.execution import engines
from ostinato.execution.guard import Failure, Limits
from ostinato.execution.parallel import OPEN_CHUNKS, Executor, WorkersLost, map_guarded
from ostinato.files import checksums
from ostinato.music.write import write_midi
from ostinato.normalization.build import build_corpus
from ostinato.normalization.normalize import NormalizeOptions

sys.path.append(str(Path(__file__).parents[1]))
import poison  # children import it by this name

LIMITS = Limits(seconds=1, megabytes=300, wall_seconds=300)  # also on a busy machine
PATIENT = Limits(seconds=60, megabytes=300)  # where nothing hangs, on a busy machine
ITEMS = [*range(40), "segfault", *range(40), "ten_gigabytes", "hang_in_regex", "folder", *range(20)]
EXPECTED = [
    *(n * n for n in range(40)),
    Failure("crash", "SIGSEGV"),
    *(n * n for n in range(40)),
    Failure("memory limit", "more than 300 MB: MemoryError"),
    Failure("time limit", "more than 1 s of processor time"),
    "where-i-am",
    *(n * n for n in range(20)),
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of memory need Linux"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder that workers do not know of before they are told."""
    folder = tmp_path / "where-i-am"
    folder.mkdir()
    monkeypatch.chdir(folder)


@contextmanager
def dask_cluster():
    """Address of two workers of Dask on this machine."""
    from distributed import LocalCluster

    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
    with LocalCluster(n_workers=2, **options) as cluster:
        yield cluster.scheduler_address


@contextmanager
def ray_cluster():
    """Address of two workers of Ray on this machine, started as a user would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # a folder of the test would be too long a name for the sockets in it
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block"]
        command += ["--num-cpus=2", f"--port={port}", f"--temp-dir={folder}"]
        command += ["--include-dashboard=false", "--disable-usage-stats"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                started = any("Ray runtime started" in line for line in process.stdout)
                assert started, "Ray does not start"
                yield f"127.0.0.1:{port}"
            finally:
                process.terminate()  # it ends all that it has started
                process.communicate()


CLUSTERS = {"dask": dask_cluster, "ray": ray_cluster}


@pytest.fixture(scope="module", params=CLUSTERS)
def executor(request):
    """An Executor for a running cluster of two workers."""
    pytest.importorskip({"dask": "distributed"}.get(request.param, request.param))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # no token in the home of who runs the test
        with CLUSTERS[request.param]() as address:
            yield Executor(request.param, address=address)


@pytest.mark.usefixtures("here")
def test_a_cluster_gives_the_same_results_and_survives_the_same_items(executor):
    found = map_guarded(poison.act, ITEMS, executor=executor, limits=LIMITS, chunk=8)
    assert list(found) == EXPECTED


def test_a_corpus_has_the_same_bytes_whoever_builds_it(executor, chorale, tmp_path):
    """Of files of several kinds, bad ones among them."""
    raw = tmp_path / "raw"
    for seed in range(16):
        write_midi(raw / f"{seed}.mid", chorale(seed))
    tune = "X:{}\nT:A tune\nM:4/4\nL:1/8\nK:G\nGABc dedB|dedB dedB|c2ec B2dB|A2A2 A2BA|\n"
    (raw / "two.abc").write_text(tune.format(1) + tune.format(2))
    (raw / "none.abc").write_text("words")
    (raw / "broken.mid").write_bytes(b"<html>404</html>")
    made = {}
    for name, where in {"here": Executor(workers=2), "there": executor}.items():
        folder = tmp_path / name
        build_corpus(
            raw,
            folder / "tiny",
            NormalizeOptions(muspy_share=0),
            origin={"licence": "none", "citation": "none", "url": "none"},
            executor=where,
            workspace=folder / "work",
        )
        made[name] = checksums(folder / "tiny")
    assert len(read_pieces(tmp_path / "there" / "tiny")) == 18
    assert [row["file"] for row in read_rejected(tmp_path / "there" / "tiny")] == [
        "broken.mid",
        "none.abc",
    ]
    assert made["there"] == made["here"]


def test_a_slow_consumer_is_not_buried_under_results_of_a_cluster(executor):
    taken = 0

    def items():
        nonlocal taken
        for number in range(300):
            taken = number + 1
            yield number

    ahead = (OPEN_CHUNKS * 2 + 1) * 4
    found = map_guarded(poison.notes, items(), executor=executor, limits=PATIENT, chunk=4)
    for done, notes in enumerate(found):
        assert notes[0, 0] == done
        assert taken <= done + ahead
    assert taken == 300


def test_a_worker_that_dies_again_and_again_ends_the_run_and_the_next_one_works(executor):
    items = [*range(10), "kill_worker", *range(10)]
    with pytest.raises(WorkersLost, match=rf"{executor.backend} is lost; run again"):
        list(map_guarded(poison.act, items, executor=executor, limits=PATIENT, chunk=2))
    assert list(map_guarded(poison.act, [3], executor=executor, limits=PATIENT)) == [9]


def test_a_worker_that_is_killed_from_outside_costs_no_result(executor):
    """Its work, and what it had finished and not handed over, goes to another one."""
    psutil = pytest.importorskip("psutil")
    items = ["pid", *["nap"] * 60, *range(20)]
    found = map_guarded(poison.act, items, executor=executor, limits=PATIENT, chunk=2)
    psutil.Process(next(found)).parent().kill()
    assert list(found) == [*[None] * 60, *(n * n for n in range(20))]


def test_who_stops_in_the_middle_need_not_wait_for_the_rest(executor):
    found = map_guarded(poison.act, ["nap"] * 4000, executor=executor, limits=PATIENT, chunk=100)
    assert next(found) is None
    start = time.monotonic()
    found.close()
    assert time.monotonic() - start < 40  # a chunk of a hundred naps takes 5 s, all of them 100
    assert list(map_guarded(poison.act, [3], executor=executor, limits=PATIENT)) == [9]


def test_a_cluster_that_has_no_workers_any_more_ends_the_run(monkeypatch):
    """Dask itself would wait for new ones for ever."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(engines, "JOIN_SECONDS", 4)
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
    with distributed.LocalCluster(n_workers=1, **options) as cluster:
        executor = Executor("dask", address=cluster.scheduler_address)
        found = map_guarded(poison.act, ["nap"] * 400, executor=executor, limits=PATIENT, chunk=2)
        assert next(found) is None
        cluster.scale(0)
        with pytest.raises(WorkersLost, match=r"dask is lost; run again .*no workers for 4 s"):
            list(found)


@pytest.mark.parametrize("backend", CLUSTERS)
@pytest.mark.usefixtures("here")
def test_without_an_address_a_cluster_of_this_machine_is_started_and_ended(backend, monkeypatch):
    pytest.importorskip({"dask": "distributed"}.get(backend, backend))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    executor = Executor(backend, workers=2)
    found = map_guarded(poison.act, ITEMS, executor=executor, limits=LIMITS, chunk=8)
    assert list(found) == EXPECTED


def test_an_address_where_nobody_listens_is_named():
    pytest.importorskip("distributed")
    import dask

    executor = Executor("dask", address="tcp://127.0.0.1:9")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(WorkersLost, match=r"no workers of dask at tcp://127.0.0.1:9"),
    ):
        list(map_guarded(poison.act, [1], executor=executor, limits=PATIENT))
