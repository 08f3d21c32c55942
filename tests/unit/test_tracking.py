"""Runs in real MLflow stores: SQLite files in temporary folders."""

import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from ostinato import tracking
from ostinato.tracking.handle import RunHandle, flattened
from ostinato.tracking.store import PARENT_RUN, SWITCH, open_store, tracking_uri

pytestmark = [
    pytest.mark.starts,  # a database of MLflow takes seconds
    pytest.mark.filterwarnings(
        "ignore:unclosed database:ResourceWarning",  # mlflow keeps its engines for the process
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]
TAGS = {"fingerprint": "f1", "family": "lstm"}


@pytest.fixture
def stored(root, empty_store):
    shutil.copyfile(empty_store, root / "mlflow.db")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", SWITCH, PARENT_RUN, "DVC_STAGE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setattr("ostinato.tracking.store._warned", set())
    return tmp_path


def runs():
    store = open_store()
    return store.client.search_runs([store.experiment], order_by=["attributes.start_time ASC"])


def artifacts(run_id, under=None):
    return [file.path for file in open_store().client.list_artifacts(run_id, under)]


def history(run_id, name):
    return [(row.step, row.value) for row in open_store().client.get_metric_history(run_id, name)]


@pytest.fixture
def start(forked, tmp_path_factory):
    """Run a program in a process of its own."""
    folder = tmp_path_factory.mktemp("programs")

    def start(source):
        (folder / "program.py").write_text(textwrap.dedent(source))
        return forked(folder / "program.py")

    return start


def test_the_store_lies_in_the_project_and_a_second_opening_changes_nothing(root):
    first, second = open_store(), open_store()
    assert first == second
    assert first.uri == f"sqlite:///{root}/mlflow.db"
    experiment = first.client.get_experiment(first.experiment)
    assert (experiment.name, experiment.artifact_location) == (
        "ostinato",
        (root / "mlartifacts").as_uri(),
    )


def test_the_root_without_dvc_is_the_git_top_level_then_dvc_yaml(root, monkeypatch):
    monkeypatch.delenv("DVC_ROOT")
    inner = root / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert tracking_uri() == f"sqlite:///{inner}/mlflow.db"
    (root / "a" / "dvc.yaml").touch()
    assert tracking_uri() == f"sqlite:///{root}/a/mlflow.db"
    (root / ".git").mkdir()
    assert tracking_uri() == f"sqlite:///{root}/mlflow.db"


def test_two_processes_that_open_a_new_store_at_once_both_succeed(root, start):
    source = """
        from ostinato.tracking import training_run
        with training_run("race", {"a": 1}, {}) as run:
            run.log({"train/loss": 1.0}, 0)
            print(run.tracked, run.id)
    """
    processes = [start(source) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert all(out.startswith("True ") for out, _ in outputs), outputs
    assert len({out for out, _ in outputs}) == 2
    assert [run.info.status for run in runs()] == ["FINISHED"] * 2
    with sqlite3.connect(root / "mlflow.db") as database:
        (count,) = database.execute(
            "select count(*) from experiments where name='ostinato'"
        ).fetchone()
    database.close()
    assert count == 1


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "ftp://host/x", "mlruns:5000"])
def test_a_wrong_uri_is_an_error_at_the_start(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ValueError, match="sqlite:////"), tracking.training_run("x", {}, {}):
        pytest.fail("the training has begun")


def test_switched_off_everything_does_nothing(root, monkeypatch):
    monkeypatch.setenv(SWITCH, "off")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./nonsense")
    assert open_store() is None
    with tracking.training_run("x", {"a": 1}, {}, ("d", "e")) as run:
        run.log({"a": 1.0}, 1)
        run.finish_weights("w")
        run.artifacts(root)
    tracking.run_for_weights("w", lambda: pytest.fail("restored")).set_metrics({"a": 1.0})
    with tracking.sweep_run("s", []) as parent:
        assert parent.id == ""
    assert not run.tracked
    assert not list(root.iterdir())


@pytest.mark.usefixtures("stored")
def test_a_training_leaves_its_params_tags_curve_dataset_and_parent(monkeypatch):
    with tracking.sweep_run("sweep", ["lr=1,2"]) as parent:
        monkeypatch.setenv(PARENT_RUN, parent.id)
        monkeypatch.setenv("DVC_STAGE", "train@lstm")
        config = {"a": 1, "overrides": ["model=lstm/small", "optimizer.lr=2"]}
        params = {"model": {"hidden": 3, "layers": [1, 2]}, "long": "x" * 7000}
        params |= {f"p{i}": i for i in range(120)}
        with tracking.training_run("lstm", params, TAGS, ("bach-grid", "d" * 64), config) as run:
            for step in range(3):
                run.log({"train/loss": 3.0 - step}, step)
            run.finish_weights("abc")
    _, child = runs()
    assert child.info.run_name == "lstm optimizer.lr=2"
    assert child.data.params["model.hidden"] == "3"
    assert child.data.params["model.layers"] == "[1, 2]"
    assert len(child.data.params["long"]) == 6000, "all that mlflow takes"
    assert len(child.data.params) == 123
    assert artifacts(child.info.run_id) == ["config.yaml"]
    tags = child.data.tags
    assert tags["mlflow.parentRunId"] == parent.id
    assert (tags["dvc.stage"], tags["family"], tags["weights"]) == ("train@lstm", "lstm", "abc")
    assert history(child.info.run_id, "train/loss") == [(0, 3.0), (1, 2.0), (2, 1.0)]
    (used,) = child.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("bach-grid", "d" * 36)


@pytest.mark.parametrize(
    ("error", "status"),
    [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")],
)
@pytest.mark.usefixtures("stored")
def test_what_ends_the_body_ends_the_run(error, status):
    with pytest.raises(error), tracking.training_run("x", {}, {}) as run:
        run.log({"a": 1.0}, 7)
        raise error
    (run,) = runs()
    assert run.info.status == status
    assert history(run.info.run_id, "a") == [(7, 1.0)]


@pytest.mark.usefixtures("stored")
def test_a_killed_training_is_continued_in_its_run(start, root):
    source = """
        import time
        from pathlib import Path
        from ostinato.tracking import training_run
        with training_run("lstm", {"lr": 0.1}, {"fingerprint": "f1"}) as run:
            for step in range(4):
                run.log({"train/loss": float(step)}, step)
            run.flush()
            Path("begun").write_text(run.id)
            Path("begun").rename("ready")
            time.sleep(600)
    """
    process = start(source)
    try:
        while not (root / "ready").exists():
            assert process.is_alive(), process.communicate()
            time.sleep(0.02)
        first = (root / "ready").read_text()
        with tracking.training_run("lstm", {"lr": 0.1}, TAGS) as beside:
            assert beside.id != first, "a run that a living process writes was taken over"
            beside.tag("fingerprint", "other")
    finally:
        process.kill()
        process.join()
    with tracking.training_run("lstm", {"lr": 0.1, "devices": 2}, TAGS) as run:
        assert run.id == first
        for step in range(2, 6):  # the resume state is older than the curve
            run.log({"train/loss": float(step)}, step)
    assert history(first, "train/loss") == [(step, float(step)) for step in range(6)]
    continued = open_store().client.get_run(first)
    assert continued.info.status == "FINISHED"
    assert continued.data.params == {"lr": "0.1", "devices": "2"}
    with tracking.training_run("lstm", {"lr": 0.1}, TAGS) as again:
        assert again.id != first, "a finished training was continued"


@pytest.mark.usefixtures("stored")
def test_weights_find_their_run_and_restore_it_once():
    with tracking.training_run("lstm", {}, {}) as run:
        run.finish_weights("w1")
    assert tracking.run_for_weights("w1", lambda: pytest.fail("restored")).id == run.id
    known = tracking.RestoredRun(
        "gpt",
        {"model": {"layers": 2}},
        {"family": "gpt"},
        [(s, {"valid/loss": s / 2}) for s in (1, 2)],
    )
    ids = {tracking.run_for_weights("w2", lambda: known).id for _ in range(2)}
    assert len(ids) == 1
    restored = open_store().client.get_run(ids.pop())
    assert restored.data.tags["restored"] == "true"
    assert restored.data.params == {"model.layers": "2"}
    assert history(restored.info.run_id, "valid/loss") == [(1, 0.5), (2, 1.0)]


@pytest.mark.usefixtures("stored")
def test_processes_that_restore_the_same_weights_at_once_get_one_run():
    found = []

    def ask():
        found.append(tracking.run_for_weights("w", lambda: tracking.RestoredRun("lstm")).id)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(runs()) == 1


@pytest.mark.usefixtures("stored")
def test_a_restored_run_that_was_cut_off_is_completed():
    store = open_store()
    tags = {"weights": "w", "restored": "true"}
    half = store.client.create_run(store.experiment, tags=tags).info.run_id
    run = tracking.run_for_weights(
        "w", lambda: tracking.RestoredRun("x", {}, {}, [(1, {"a": 2.0})])
    )
    assert run.id == half
    assert history(half, "a") == [(1, 2.0)]


@pytest.mark.usefixtures("stored")
def test_a_repeated_stage_adds_nothing_and_a_changed_metric_one_row(root):
    (root / "folder").mkdir()
    (root / "folder" / "a.mid").write_bytes(b"MThd")
    with tracking.training_run("x", {}, {}) as run:
        pass
    for value in (1.5, 1.5, 1.25):
        run.set_metrics({"test": value, "valid": 1.0})
        run.artifacts(root / "folder", "samples")
    assert [value for _, value in history(run.id, "test")] == [1.5, 1.25]
    assert len(history(run.id, "valid")) == 1
    assert artifacts(run.id, "samples") == ["samples/a.mid"]


@pytest.mark.usefixtures("stored")
def test_a_copied_store_writes_and_reads_beside_itself(root, monkeypatch):
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    here, copy = root / "here", root / "copy"
    here.mkdir()
    (root / "mlflow.db").rename(here / "mlflow.db")
    monkeypatch.setenv("DVC_ROOT", str(here))
    (here / "a.mid").write_bytes(b"MThd")
    with tracking.training_run("x", {}, {}) as run:
        run.artifact(here / "a.mid")
    shutil.copytree(here, copy)
    monkeypatch.setenv("DVC_ROOT", str(copy))
    _artifact_repos_cache.clear()  # of the process, by run
    (copy / "b.mid").write_bytes(b"MThd")
    again = RunHandle(open_store(), run.id)
    again.artifact(copy / "b.mid")
    with tracking.training_run("y", {}, {}) as new:
        new.artifact(copy / "a.mid")
    assert artifacts(run.id) == ["a.mid", "b.mid"]
    written = {
        folder: sorted(x.name for x in folder.glob("mlartifacts/**/*.mid"))
        for folder in (here, copy)
    }
    assert written == {here: ["a.mid"], copy: ["a.mid", "a.mid", "b.mid"]}
    monkeypatch.setenv("DVC_ROOT", str(here))
    _artifact_repos_cache.clear()
    assert artifacts(run.id) == ["a.mid"], "the copy changed its original"


@pytest.mark.usefixtures("stored")
def test_a_place_that_the_user_chose_stays(root):
    with sqlite3.connect(root / "mlflow.db") as database:
        database.execute("update experiments set artifact_location='s3://bucket/mlartifacts'")
    database.close()
    store = open_store()
    assert store.client.get_experiment(store.experiment).artifact_location.startswith("s3:")


def test_an_unreachable_store_costs_one_line_and_never_the_training(monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for _ in range(2):
        with tracking.training_run("x", {"a": 1}, {}) as run:
            run.log({"a": 1.0}, 0)
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("tracking:")]
    assert len(lines) == 1
    assert "127.0.0.1:9" in lines[0]
    assert "secret" not in lines[0]


@pytest.mark.usefixtures("stored")
def test_a_store_that_breaks_in_the_middle_costs_the_curve_and_not_the_training(root, capfd):
    with tracking.training_run("x", {}, {}) as run:
        with sqlite3.connect(root / "mlflow.db") as database:
            database.execute("alter table metrics rename to elsewhere")
        for step in range(4):
            run.log({"a": 1.0}, step)
            run.flush()
        assert not run.tracked
        with sqlite3.connect(root / "mlflow.db") as database:
            database.execute("alter table elsewhere rename to metrics")
        database.close()
    assert capfd.readouterr().err.count("tracking:") == 1
    (left,) = runs()
    assert left.info.status == "FINISHED", "the end is written when the store is back"


@pytest.mark.usefixtures("stored")
def test_rows_wait_for_a_store_that_is_back_before_patience_ends(root):
    with tracking.training_run("x", {}, {}) as run:
        with sqlite3.connect(root / "mlflow.db") as database:
            database.execute("alter table metrics rename to elsewhere")
        run.log({"a": 1.0}, 0)
        run.flush()
        with sqlite3.connect(root / "mlflow.db") as database:
            database.execute("alter table elsewhere rename to metrics")
        database.close()
        run.log({"a": 2.0}, 1)
    assert history(run.id, "a") == [(0, 1.0), (1, 2.0)]


def test_importing_tracking_does_not_import_mlflow():
    source = "import sys, ostinato.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], check=False, timeout=60).returncode == 0


def test_a_handle_without_a_store_takes_everything():
    run = RunHandle(None)
    run.log({"a": 1.0}, 1)
    run.close("FINISHED")
    assert not run.tracked


def test_nested_values_are_named_by_their_path():
    values = {"a": {"b": [1, 2], "c": {"d": None, "e": True}}, "f": 1.5, "g": {}}
    assert flattened(values) == {"a.b": "[1, 2]", "a.c.d": "None", "a.c.e": "True", "f": "1.5"}
    assert flattened({}) == {}


def test_a_run_with_a_tag_is_found_again(stored):
    for value in (1.0, 2.0):
        run = tracking.tagged_run("listening chorales", "listening", "digest-real")
        run.set_metrics({"listeners": value})
        run.close("FINISHED")
    (found,) = runs()
    assert found.data.metrics["listeners"] == 2.0
    assert found.info.run_name == "listening chorales"
