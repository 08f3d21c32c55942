"""No guarded process outlives its parent, its parent's interruption or its own limits."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ostinato.execution.guard import Guard, Limits

TESTS = Path(__file__).parents[1]
sys.path.append(str(TESTS))
import poison  # noqa: E402 - children import it by this name

LIMITS = Limits(seconds=30, megabytes=300)
pytestmark = pytest.mark.starts  # processes


@pytest.fixture
def guard():
    with Guard() as guard:
        yield guard


def gone(pid, seconds=5.0):
    """Whether a process has ended within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True).stdout
        if not state.strip() or state.startswith(b"Z"):
            return True
        time.sleep(0.02)
    return False


PARENT = """
import sys
sys.path.append({tests!r})
import poison
from ostinato.execution.guard import Guard, Limits
guard = Guard()
limits = Limits({seconds}, wall_seconds={seconds})
print(*guard.run(poison.act, ["pid"], limits), flush=True)
print(*guard.run(poison.act, {items!r}, limits), flush=True)
sys.stdin.read()
"""


def parent(items, seconds=1):
    """A process that guards a child, and the child's number."""
    script = PARENT.format(tests=str(TESTS), items=items, seconds=seconds)
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, int(process.stdout.readline())


@pytest.mark.parametrize(
    ("items", "seconds"),
    [([1], 100), (["hang"], 100), (["hang_in_c"], 1), (["hang_in_regex"], 1)],
    ids=str,
)
def test_no_child_outlives_a_parent_that_was_killed(items, seconds):
    """It ends at once; in one call that lets no thread run, a second after its limit."""
    process, child = parent(items, seconds)
    with process:
        if items == [1]:
            process.stdout.readline()
        else:
            time.sleep(0.2)
        process.kill()
        process.communicate()
    assert gone(child)


def test_a_child_ends_with_its_parent():
    process, child = parent([1])
    with process:
        process.communicate("")
    assert process.returncode == 0
    assert gone(child)


def test_ctrl_c_ends_a_hang_at_once_with_one_traceback():
    process, child = parent(["hang"], seconds=100)
    with process:
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert errors.count("Traceback") == 1
    assert errors.strip().endswith("KeyboardInterrupt")
    assert gone(child)


INTERRUPTED = """
import sys
sys.path.append({tests!r})
import poison
from ostinato.execution.guard import Limits
from ostinato.execution.parallel import Executor, map_guarded
items = iter(["pid"] + [3] * 999 + ["nap"] * 100_000)
executor, limits = Executor(workers=2), Limits(100)
for result in map_guarded(poison.act, items, executor=executor, limits=limits, chunk=1000):
    if result not in (None, 9):
        print(result, flush=True)
"""


@pytest.mark.parametrize("everybody", [True, False], ids=["terminal", "parent alone"])
def test_ctrl_c_ends_workers_that_have_much_before_them(everybody):
    """A terminal sends it to all processes of the group; chunks of a thousand naps take 50 s."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(tests=str(TESTS))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        child = int(process.stdout.readline())
        start = time.monotonic()
        (os.killpg if everybody else os.kill)(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert errors.strip().endswith("KeyboardInterrupt")
    assert time.monotonic() - start < 15
    assert gone(child)


def test_a_fork_leaves_its_parents_child_alone_and_does_not_keep_it_alive(guard):
    (child,) = guard.run(poison.act, ["pid"], LIMITS)
    ready, done = os.pipe()
    fork = os.fork()
    if fork == 0:
        with suppress(BaseException):
            own, squares = guard.run(poison.act, ["pid", 3], LIMITS)
            guard.close()
            os.write(done, b"good" if own != child and squares == 9 else b"bad")
            signal.pause()
        os._exit(1)
    os.close(done)
    try:
        assert os.read(ready, 4) == b"good"
        assert list(guard.run(poison.act, ["pid"], LIMITS)) == [child]
        guard._child.process.stdin.close()  # as it is when this process dies
        assert gone(child)
    finally:
        os.close(ready)
        os.kill(fork, signal.SIGKILL)
        os.waitpid(fork, 0)
