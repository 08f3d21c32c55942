"""The process launcher, driven as a user does: a small Hydra script, real processes and folders."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hydra_plugins.hydra_ostinato_process import ProcessLauncher
from hydra_plugins.hydra_ostinato_process._jobs import Job, _free_device
from hydra_plugins.hydra_ostinato_process._results import ranked, table

pytestmark = pytest.mark.slow

APP = """
import json, os, subprocess, sys, time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig

@hydra.main(version_base="1.3", config_path="conf", config_name="app")
def main(cfg):
    out = Path(HydraConfig.get().runtime.output_dir)
    started = time.time()
    if cfg.fail_at == cfg.x:
        print("before the fall")
        sys.exit(3)
    if cfg.hang:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (out / "pids.json.tmp").write_text(json.dumps([os.getpid(), child.pid]))
        (out / "pids.json.tmp").rename(out / "pids.json")
    time.sleep(600 if cfg.hang else cfg.seconds)
    seen = {"environment": dict(os.environ), "span": [started, time.time()], "name": cfg.name}
    (out / "seen.json").write_text(json.dumps(seen))
    if cfg.x != 9:
        (out / "objective.json").write_text(json.dumps({"objective": cfg.y - 10 * cfg.x}))

main()
"""
CONFIG = """
defaults:
  - _self_
  - override hydra/launcher: process
x: 0
y: 0
fail_at: null
hang: false
seconds: 0
name: app
hydra:
  run: {dir: outputs}
  sweep: {dir: "sweep '1", subdir: "${hydra.job.num}"}
"""
STUDY = """
# @package _global_
hydra:
  mode: MULTIRUN
  sweeper: {params: {x: "1,2"}}
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "conf" / "sweep").mkdir(parents=True)
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "conf" / "app.yaml").write_text(CONFIG)
    (tmp_path / "conf" / "other.yaml").write_text(CONFIG.replace("name: app", "name: other"))
    (tmp_path / "conf" / "sweep" / "study.yaml").write_text(STUDY)
    return tmp_path


def start(app, *arguments, **variables):
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    environment |= {"OSTINATO_TRACKING": "off", "DVC_ROOT": str(app), **variables}
    return subprocess.Popen(
        [sys.executable, "app.py", *arguments],
        cwd=app,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def launch(app, *arguments, **variables):
    process = start(app, *arguments, **variables)
    output, _ = process.communicate(timeout=180)
    return process.returncode, output


def seen(app, number):
    return json.loads((app / "sweep '1" / str(number) / "seen.json").read_text())


def results(app):
    with (app / "sweep '1" / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_job_is_a_plain_run_and_a_failing_one_leaves_the_others(app):
    code, output = launch(
        app,
        *("-m", "x=1,2", "y=0,1", "fail_at=2", "seconds=1.5"),
        *("hydra.launcher.max_parallel=2", 'hydra.launcher.devices=["0,1",7]'),
        LOCAL_RANK="1", WORLD_SIZE="2", MASTER_ADDR="localhost", NODE_RANK="0", KEPT="yes",
    )  # fmt: skip
    assert code == 1
    assert "#2 (x=2 y=0 fail_at=2 seconds=1.5): exit code 3" in output
    assert "before the fall" in output
    rows = results(app)
    assert [(row["job"], row["objective"], row["status"]) for row in rows] == [
        ("0", "-10.0", "done"),
        ("1", "-9.0", "done"),
        ("2", "", "failed"),
        ("3", "", "failed"),
    ]
    assert (rows[1]["x"], rows[1]["y"]) == ("1", "1")
    first, second = seen(app, 0), seen(app, 1)
    assert first["span"][0] < second["span"][1], "the two did not run at once"
    assert second["span"][0] < first["span"][1], "the two did not run at once"
    assert [run["environment"]["CUDA_VISIBLE_DEVICES"] for run in (first, second)] == ["0,1", "7"]
    assert first["environment"]["KEPT"] == "yes"
    assert [run["environment"]["OSTINATO_JOB"] for run in (first, second)] == ["x=1 y=0", "x=1 y=1"]
    leaked = {"LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "NODE_RANK", "OSTINATO_PARENT_RUN"}
    assert not leaked & set(first["environment"])
    composed = (app / "sweep '1" / "1" / ".hydra" / "overrides.yaml").read_text()
    assert composed == "- x=1\n- y=1\n- fail_at=2\n- seconds=1.5\n"
    lines = [line.split() for line in output.splitlines()]
    assert lines.index(["-10", "#0", "done", "x=1", "y=0"]) + 1 == lines.index(
        ["-9", "#1", "done", "x=1", "y=1"]
    )


def test_one_job_of_a_named_study_and_another_config_leaves_no_device_and_no_objective(app):
    code, output = launch(app, "--config-name", "other", "+sweep=study", "x=9")
    assert code == 0, output
    assert [(row["status"], row["objective"]) for row in results(app)] == [("done", "")]
    assert seen(app, 0)["name"] == "other"
    assert (
        "CUDA_VISIBLE_DEVICES" not in seen(app, 0)["environment"]
        or "CUDA_VISIBLE_DEVICES" in os.environ
    )


def test_the_space_of_a_named_study_is_swept_once(app):
    code, output = launch(app, "+sweep=study")
    assert code == 0, output
    assert [(row["x"], row["objective"]) for row in results(app)] == [
        ("2", "-20.0"),
        ("1", "-10.0"),
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_jobs_and_what_they_have_started(app, number):
    process = start(app, "-m", "x=1,2,3", "hang=true", "hydra.launcher.max_parallel=2")
    files = [app / "sweep '1" / str(job) / "pids.json" for job in (0, 1)]
    end = time.monotonic() + 60
    while not all(file.exists() for file in files) and time.monotonic() < end:
        time.sleep(0.1)
    pids = [pid for file in files for pid in json.loads(file.read_text())]
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert len(pids) == 4
    end = time.monotonic() + 30
    while any(map(_lives, pids)) and time.monotonic() < end:  # orphans are reaped by init
        time.sleep(0.1)
    assert not any(map(_lives, pids))
    assert sorted(row["status"] for row in results(app)) == ["stopped", "stopped", "waiting"]


def _lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_tracked_sweep_is_a_parent_with_its_best_objective(app):
    from mlflow import MlflowClient

    code, output = launch(app, "-m", "x=1,2", "seconds=0", OSTINATO_TRACKING="on")
    assert code == 0, output
    client = MlflowClient(tracking_uri=f"sqlite:///{app}/mlflow.db")
    (parent,) = client.search_runs([client.get_experiment_by_name("ostinato").experiment_id])
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"best_objective": -20.0}
    assert parent.data.tags["overrides"] == "x=1,2 seconds=0"
    assert seen(app, 0)["environment"]["OSTINATO_PARENT_RUN"] == parent.info.run_id


def test_no_job_at_once_is_refused():
    with pytest.raises(ValueError, match="max_parallel=0"):
        ProcessLauncher(max_parallel=0)


def test_devices_go_round_and_a_busy_one_is_passed_over():
    assert [_free_device(n, ["0", "1", "2"], []) for n in range(4)] == ["0", "1", "2", "0"]
    assert _free_device(3, ["0", "1", "2"], ["0", "2"]) == "1"
    assert _free_device(3, [], []) == ""


def test_the_best_comes_first_and_jobs_without_a_number_last():
    values = {0: float("nan"), 1: 0.5, 2: None, 3: -1.0, 4: 0.0}
    jobs = [Job(n, [f"x={n}", "y=1"], Path(), [], "done", value) for n, value in values.items()]
    assert [job.number for job in ranked(jobs)] == [3, 4, 1, 0, 2]
    assert "y=1" not in table(jobs)
    assert "y=1" in table(jobs[:1])


def test_plugins_stay_a_namespace_package_without_mlflow():
    import hydra_plugins

    assert hydra_plugins.__file__ is None
    source = "import sys, hydra_plugins.hydra_ostinato_process; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], check=False, timeout=60).returncode == 0
