"""`make repro` on a small pipeline: side by side, one by one, failing, stopped."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from ruamel.yaml import YAML

pytestmark = pytest.mark.slow
STAGES = """
stages:
  left:
    cmd: python stage.py left right
    deps: [stage.py]
    outs: [left]
  right:
    cmd: python stage.py right left
    deps: [stage.py]
    outs: [right]
  both:
    cmd: python stage.py both
    deps: [left, right]
    outs: [both]
"""
# writes its name; if another stage is named, first waits until that one has begun
STAGE = """
import os, pathlib, sys, time
name, *other = sys.argv[1:]
begun = pathlib.Path(os.environ["BEGUN"])
(begun / name).write_text(str(os.getpid()))
if os.environ.get("FAILS") == name:
    sys.exit("no such luck")
while other and os.environ.get("MEETS") and not (begun / other[0]).exists():
    time.sleep(0.05)
while os.environ.get("HANGS"):
    time.sleep(0.05)
pathlib.Path(name).write_text(name)
"""


def finish(process):
    printed = process.communicate(timeout=300)[0]
    return process.returncode, printed


@pytest.fixture
def project(tmp_path):
    """A DVC repository of three stages, and a way to start the runner in it."""
    root = tmp_path / "project"
    for folder in (root, tmp_path / "begun"):
        folder.mkdir()
    (root / "dvc.yaml").write_text(STAGES)
    (root / "stage.py").write_text(STAGE)
    environment = os.environ | {
        "BEGUN": str(tmp_path / "begun"),
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        "DVC_NO_ANALYTICS": "1",
    }

    def start(*command, **variables):
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=root,
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    assert finish(start("dvc", "init", "--no-scm", "-q"))[0] == 0
    return root, tmp_path / "begun", start


def test_stages_run_side_by_side_with_the_result_of_one_by_one(project):
    root, _, start = project
    status, printed = finish(start("ostinato.execution.repro", "--cores", "2", MEETS="1"))
    assert status == 0, printed  # one by one each of the two would wait for ever
    assert "3 stages to build on 2 cores: left, right, both" in printed
    assert "built 3 stages in" in printed
    beside = YAML(typ="safe").load(root / "dvc.lock")
    assert list(beside["stages"]) == ["both", "left", "right"]
    assert "up to date" in finish(start("ostinato.execution.repro"))[1]
    (root / "stage.py").write_text(STAGE + "# other bytes, the same results\n")
    printed = finish(start("ostinato.execution.repro", "--cores", "2"))[1]
    assert "built 2 stages in" in printed
    assert ", 1 had nothing to do" in printed
    (root / "stage.py").write_text(STAGE)
    (root / "dvc.lock").unlink()
    status, printed = finish(start("dvc", "repro", "--force", "--no-run-cache"))
    assert status == 0, printed
    assert YAML(typ="safe").load(root / "dvc.lock") == beside


def test_a_failed_stage_is_shown_and_the_rest_is_kept(project):
    root, begun, start = project
    status, printed = finish(start("ostinato.execution.repro", "--cores", "1", FAILS="right"))
    assert status == 1
    assert "right failed" in printed
    assert "no such luck" in printed
    assert "not run: both" in printed
    assert (root / "left").exists()
    assert sorted(path.name for path in begun.iterdir()) == ["left", "right"]
    status, printed = finish(start("ostinato.execution.repro", "--cores", "1"))
    assert status == 0, printed
    assert "2 stages to build" in printed


def test_ctrl_c_stops_all_stages(project):
    root, begun, start = project
    process = start("ostinato.execution.repro", "--cores", "2", HANGS="1")
    deadline = time.monotonic() + 200
    while len(list(begun.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    status, printed = finish(process)
    assert status == 130, printed
    assert "the same command continues" in printed
    assert not (root / "left").exists()
    assert not [path for path in begun.iterdir() if psutil.pid_exists(int(path.read_text()))]
    status, printed = finish(start("ostinato.execution.repro", "--cores", "2", MEETS="1"))
    assert status == 0, printed
