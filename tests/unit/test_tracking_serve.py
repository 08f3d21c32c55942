"""What `make ui` starts ends with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', {sleep!r}])"
SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
PARENT = """
import sys
from ostinato.tracking.serve import process_group
try:
    with process_group([sys.executable, "-c", {child!r}], {{}}) as server:
        server.wait()
except KeyboardInterrupt:
    print("ended", flush=True)
"""


def test_a_signal_ends_the_server_and_what_it_started():
    program = PARENT.format(child=CHILD.format(sleep=SLEEP))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        grandchild = int(parent.stdout.readline())
        parent.send_signal(signal.SIGTERM)
        assert parent.stdout.readline() == b"ended\n"
        assert parent.wait() == 0
    for _ in range(500):
        if not is_running(grandchild):
            return
        time.sleep(0.02)
    raise AssertionError(f"process {grandchild} still runs")


def is_running(pid):
    """Whether a process exists that has not ended (ended ones wait for somebody to ask)."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
