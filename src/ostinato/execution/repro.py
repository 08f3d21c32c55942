"""Runs the pipeline with independent stages side by side.

`python -m ostinato.execution.repro [stage ...]` does what `dvc repro` does, with the same results.
Each stage is one `dvc repro --single-item` process (dvc_stage.py), and DVC's locks keep them apart.
A stage gets as many cores as its settings say that it uses threads, so nothing runs on fewer or
more threads than it would alone. Scripts of stages are forked from a process with the libraries
imported (forkserver.py). Stages in dvc.lock are sorted by name: their order does not depend on
which was done first.
"""

# ruff: noqa: T201

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ostinato.execution import plan as planning
from ostinato.execution.commands import run_command
from ostinato.execution.forkserver import fork_server
from ostinato.execution.plan import Schedule, Task, clock

GRACE_SECONDS = 30.0  # between asking a stage to stop and killing it
TAIL_LINES = 25
SEVERAL = 4  # stages; if there are fewer, each imports the libraries itself
INTERRUPTED = 130
RUNS = "Running stage"  # DVC says so of a stage that it does not skip or take from its cache
NOISE = (  # what DVC says of every stage
    RUNS,
    "> python",
    "Updating lock file",
    "Generating lock file",
    "To track the changes with git",
    "git add",
    "To enable auto staging",
    "dvc config core.autostage",
    "Use `dvc push`",
)


class Running:
    """One stage in its own group of processes; its output is printed line by line."""

    def __init__(self, task: Task, root: Path, environment: Mapping[str, str]) -> None:
        self.task = task
        self.began = time.monotonic()
        self.ran = False
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        command = [sys.executable, "-m", "ostinato.execution.dvc_stage", "--wait-for-lock"]
        self.process = subprocess.Popen(
            [*command, "repro", "--single-item", task.name],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,  # a carriage return of a progress bar ends a line, too
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.began

    def finished(self) -> bool:
        """Whether it has ended and all of its output is printed."""
        if self.process.poll() is None:
            return False
        self._reader.join(timeout=1.0)
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the stage and to what it has started."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            text = line.strip()
            self.ran = self.ran or text.startswith(RUNS)
            if text and not text.startswith(NOISE):
                self.tail.append(text)
                print(f"[{self.task.name}] {text}", flush=True)


class Failed(RuntimeError):
    """A stage ended with an error; the message is for the user."""


def run(root: Path, schedule: Schedule, environment: Mapping[str, str]) -> dict[str, float]:
    """Run all tasks; the seconds of those that had to run: what they depend on has changed.

    Raises:
        Failed: a stage failed. Those that were running are finished first, no other is started.
        KeyboardInterrupt: all running stages were stopped.
    """
    active: list[Running] = []
    failed: list[Running] = []
    seconds: dict[str, float] = {}
    try:
        while active or (schedule.left() and not failed):
            for task in [] if failed else schedule.startable():
                schedule.running.add(task.name)
                active.append(Running(task, root, environment))
            time.sleep(0.1)
            for one in [one for one in active if one.finished()]:
                active.remove(one)
                schedule.running.remove(one.task.name)
                if one.process.returncode:
                    failed.append(one)
                    print(f"[{one.task.name}] FAILED", flush=True)
                    continue
                schedule.done.add(one.task.name)
                if one.ran:
                    seconds[one.task.name] = one.seconds
                done = f"{len(schedule.done)} of {len(schedule.tasks)}"
                print(f"[{one.task.name}] done in {clock(one.seconds)} ({done})", flush=True)
    finally:
        stop(active)
        sort_lock(root / "dvc.lock")
    if failed:
        raise Failed(failure(failed, schedule.left()))
    return seconds


def stop(active: list[Running]) -> None:
    """Interrupt running stages as Ctrl-C does, and kill those that do not end."""
    for one in active:
        one.signal(signal.SIGINT)
    deadline = time.monotonic() + GRACE_SECONDS
    for one in active:
        try:
            one.process.wait(max(0.0, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):  # a second Ctrl-C does not wait
            deadline = 0.0
            one.signal(signal.SIGKILL)
            one.process.wait()


def failure(failed: list[Running], left: list[str]) -> str:
    """What to tell about failed stages: their last lines, and what was not run."""
    lines = []
    for one in failed:
        status = one.process.returncode
        lines += [f"{one.task.name} failed (exit status {status}). Its last lines:"]
        lines += [f"  {line}" for line in one.tail]
    not_run = [name for name in left if name not in {one.task.name for one in failed}]
    if not_run:
        lines.append(f"not run: {', '.join(not_run)}")
    lines.append(
        "Finished stages are kept. After the fix the same command continues with the rest."
    )
    return "\n".join(lines)


def sort_lock(path: Path) -> None:
    """Sort the stages of a dvc.lock by name, and fold its long lines as DVC does."""
    from ruamel.yaml import YAML

    from ostinato.files import atomic_file

    if not path.exists():
        return
    yaml = YAML()
    lock: dict[str, Any] = yaml.load(path) or {}
    if stages := lock.get("stages", {}):
        lock["stages"] = {name: stages[name] for name in sorted(stages)}
    with atomic_file(path) as partial:
        yaml.dump(lock, partial)


def announce(schedule: Schedule, untimed: list[str], rows: list[dict[str, str]]) -> None:
    """Say what will be built and about how long that takes."""
    names = ", ".join(task.name for task in schedule.tasks)
    print(f"{len(schedule.tasks)} stages to build on {schedule.cores} cores: {names}")
    machines = sorted({row["machine"] for row in rows})
    if machines and len(untimed) < len(schedule.tasks):
        besides = f", besides {', '.join(untimed)}" if untimed else ""
        print(f"about {clock(schedule.expected())}{besides}, as timed on {'; '.join(machines)}")
    print("Ctrl-C stops all stages; the same command continues.", flush=True)


def explained(error: Exception) -> str:
    """An error of DVC; of a file that is not YAML with the line, which DVC leaves out, and of what
    another command may have caused with what to do.
    """
    from dvc.parsing import ResolveError

    reason = error.__cause__
    mark = getattr(reason, "problem_mark", None)
    lines = [str(error)]
    if mark is not None:
        lines.append(f"line {mark.line + 1}: {getattr(reason, 'problem', '')}")
    if "dvc.lock" in str(error) or (mark is None and not isinstance(error, ResolveError)):
        lines.append("If another dvc or make repro runs here, wait for it.")
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="stages, such as sample@lstm; default: all")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--dry", action="store_true", help="say what would be built, build nothing")
    parser.add_argument("--record", action="store_true", help=f"write times into {planning.TIMES}")
    given = parser.parse_args()
    root = Path()
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    from dvc.exceptions import DvcException

    try:
        tasks = planning.plan(root, given.targets)
    except DvcException as error:
        print(explained(error), file=sys.stderr)
        return 1
    if not tasks:
        print("everything is up to date")
        return 0
    rows = planning.read_times(root / planning.TIMES)
    seconds, untimed = planning.expected_seconds(tasks, rows)
    schedule = Schedule(tasks, given.cores, seconds)
    announce(schedule, untimed, rows)
    if given.dry:
        return 0
    began = time.monotonic()
    several = len(tasks) >= SEVERAL
    try:
        with fork_server(os.environ) if several else nullcontext(os.environ) as environment:
            taken = run(root, schedule, environment)
    except KeyboardInterrupt:
        print("\nstopped. Finished stages are kept; the same command continues.", file=sys.stderr)
        return INTERRUPTED
    except Failed as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    total, alone = clock(time.monotonic() - began), clock(sum(taken.values()))
    same = len(tasks) - len(taken)
    unchanged = f", {same} had nothing to do" if same else ""
    print(f"built {len(taken)} stages in {total}{unchanged}; their own times add up to {alone}")
    if given.record:
        planning.write_times(root / planning.TIMES, taken)
    return 0


if __name__ == "__main__":
    try:
        run_command(main)
    except KeyboardInterrupt:  # before anything was started
        sys.exit(INTERRUPTED)
