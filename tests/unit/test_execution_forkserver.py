"""Scripts of stages that are forked from a process with the libraries imported."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ostinato.execution.forkserver import fork_server
from ostinato.execution.forkserver_client import SOCKET

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the server")
SCRIPT = """
import os, sys, time
import beside
given, early = repr(os.environ["GIVEN"]), [n for n in ("fractions", "ostinato") if n in sys.modules]
print(beside.WORD, sys.argv, os.getcwd(), given, early, __name__)
print(sys.stdin.read(), end="")
print("to stderr", file=sys.stderr)
if sys.argv[1] == "waits":
    try:
        print(os.getpid(), flush=True)
        time.sleep(300)
    except KeyboardInterrupt:
        sys.exit(130)
if sys.argv[1] == "dies":
    os.kill(os.getpid(), 9)
if sys.argv[1] == "raises":
    raise ValueError("no such luck")
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """A way to start pipelines/script.py of a folder by `python`, with a server."""
    folder = tmp_path / "project"
    (folder / "pipelines").mkdir(parents=True)
    (folder / "pipelines" / "script.py").write_text(SCRIPT)
    (folder / "pipelines" / "beside.py").write_text("WORD = 'first'")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setattr("ostinato.execution.forkserver.has_gpu_driver", lambda: False)
    with fork_server(os.environ, ["fractions"]) as environment:
        deadline = time.monotonic() + 60
        while not Path(environment[SOCKET]).exists() and time.monotonic() < deadline:
            time.sleep(0.05)

        def started(*arguments, script="pipelines/script.py"):
            return subprocess.Popen(
                ["python", script, *arguments],
                executable=f"{environment['PATH'].split(':')[0]}/python",
                cwd=folder,
                env=dict(environment) | {"GIVEN": "a\nb"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        yield started


def test_a_script_runs_as_python_would_run_it(start, tmp_path):
    process = start("7", "x y")
    printed, errors = process.communicate("asked", timeout=60)
    assert process.returncode == 7
    arguments = ["pipelines/script.py", "7", "x y"]
    assert (
        printed == f"first {arguments} {tmp_path / 'project'} 'a\\nb' ['fractions'] __main__\nasked"
    )
    assert errors == "to stderr\n"


def test_other_scripts_start_as_usual(start, tmp_path):
    (tmp_path / "project" / "other.py").write_text("import sys; print('fractions' in sys.modules)")
    assert start(script="other.py").communicate(timeout=60)[0] == "False\n"


def test_code_of_the_project_is_read_for_each_script(start, tmp_path):
    assert start("0").communicate("", timeout=60)[0].startswith("first")
    (tmp_path / "project" / "pipelines" / "beside.py").write_text(
        "WORD = 'second, of another size'"
    )
    assert start("0").communicate("", timeout=60)[0].startswith("second")


def test_errors_and_deaths_reach_the_one_who_waits(start):
    process = start("raises")
    errors = process.communicate("", timeout=60)[1]
    assert process.returncode == 1
    assert "ValueError: no such luck" in errors
    process = start("dies")
    process.communicate("", timeout=60)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", -15), ("SIGKILL", -9)])
def test_signals_end_the_script(start, number, status):
    with start("waits") as process:
        process.stdin.close()
        process.stdout.readline()
        script = psutil.Process(int(process.stdout.readline()))
        process.send_signal(getattr(signal, number))
        assert process.wait(timeout=60) == status
        script.wait(timeout=60)


def test_without_a_server_the_script_starts_as_usual(start):
    module = "ostinato.execution.forkserver"
    server = next(p for p in psutil.Process().children() if module in p.cmdline())
    server.kill()
    server.wait(timeout=60)
    process = start("0")
    assert "[] __main__" in process.communicate("", timeout=60)[0]
    assert process.returncode == 0


def test_no_server_for_another_python(tmp_path):
    environment = {"PATH": str(tmp_path)}
    with fork_server(environment) as given:
        assert given is environment
