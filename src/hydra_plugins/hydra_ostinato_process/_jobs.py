"""A job of a sweep: its command, its environment, its process, its log and its objective."""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.1
REPORT_SECONDS = 30.0
GRACE_SECONDS = 15.0
TAIL_LINES = 25
TAIL_BYTES = 16384

# variables of a parent that is a rank or has a run; children must not inherit them
LEAKS = {
    "GROUP_RANK", "GROUP_WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MLFLOW_RUN_ID",
    "NODE_RANK", "RANK", "ROLE_RANK", "ROLE_WORLD_SIZE", "WORLD_SIZE",
}  # fmt: skip
LEAK_PREFIXES = ("MASTER_", "TORCHELASTIC_")

# Hydra's settings of the sweep, which its jobs must not get
OF_THE_SWEEP = (
    "hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.sweep.",
    "hydra.mode", "hydra.run.dir", "hydra.job.num", "hydra.job.id",
)  # fmt: skip


@dataclass
class Job:
    """One job; `problem`: "" unless it failed, `objective`: None if it wrote none.

    name: the overrides in which it differs from the others; its tracked run is named by them.
    """

    number: int
    overrides: list[str]
    folder: Path
    command: list[str]
    status: str = "waiting"
    objective: float | None = None
    problem: str = ""
    device: str = ""
    started: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    name: str = ""

    @property
    def log_file(self) -> Path:
        """Output of the job."""
        return self.folder / "log.txt"

    def value(self) -> float | None:
        """The objective; None for NaN, which cannot be compared."""
        return None if self.objective is None or math.isnan(self.objective) else self.objective

    def __str__(self) -> str:
        return f"#{self.number} ({' '.join(self.overrides) or 'no overrides'})"


def command(overrides: Sequence[str], hydra_overrides: Sequence[str], folder: Path) -> list[str]:
    """The command line that runs this job alone, with this interpreter, in this folder."""
    kept = [text for text in hydra_overrides if not text.lstrip("+~").startswith(OF_THE_SWEEP)]
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    own = ["hydra.mode=RUN", f"hydra.run.dir='{quoted}'"]
    return [sys.executable, sys.argv[0], *_config_flags(sys.argv[1:]), *overrides, *kept, *own]


def _config_flags(arguments: Sequence[str]) -> list[str]:
    """The flags that select the configuration, as they were given."""
    parser = argparse.ArgumentParser(add_help=False)
    flags = {"--config-path": "-cp", "--config-name": "-cn", "--config-dir": "-cd"}
    for long, short in flags.items():
        parser.add_argument(long, short)
    given = vars(parser.parse_known_args(arguments)[0])
    names = {flag: given[flag[2:].replace("-", "_")] for flag in flags}
    return [f"{flag}={value}" for flag, value in names.items() if value is not None]


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This environment without a parent's ranks; unbuffered, so that logs are up to date."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in LEAKS and not name.startswith(LEAK_PREFIXES)
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **extra}


def run_jobs(
    jobs: Sequence[Job],
    max_parallel: int,
    devices: Sequence[str],
    environment: Mapping[str, str],
    say: Callable[[str], Any],
) -> None:
    """Run all jobs, `max_parallel` at once; on Ctrl-C or SIGTERM end all of them and raise."""
    waiting, running = list(jobs), list[Job]()
    reported = time.monotonic()
    with _termination_interrupts():
        try:
            while waiting or running:
                while waiting and len(running) < max_parallel:
                    job = waiting.pop(0)
                    job.device = _free_device(job.number, devices, [r.device for r in running])
                    running.append(job)
                    _start(job, environment)
                    say(f"{job} started")
                time.sleep(POLL_SECONDS)
                for job in [j for j in running if j.process and j.process.poll() is not None]:
                    running.remove(job)
                    _finish(job)
                    say(f"{job} {job.status} after {time.monotonic() - job.started:.0f} s")
                if time.monotonic() - reported > REPORT_SECONDS:
                    reported = time.monotonic()
                    for job in running:
                        say(f"#{job.number}: {last_line(job.log_file)}")
        finally:
            _stop(running)


def _free_device(number: int, devices: Sequence[str], taken: Sequence[str]) -> str:
    """The next device in turn, or the least used one if jobs have different lengths."""
    if not devices:
        return ""
    turn = [devices[(number + i) % len(devices)] for i in range(len(devices))]
    return min(turn, key=taken.count)


def _start(job: Job, environment: Mapping[str, str]) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / "objective.json").unlink(missing_ok=True)  # of an earlier sweep
    visible = {"CUDA_VISIBLE_DEVICES": job.device} if job.device else {}
    job.started = time.monotonic()
    job.status = "running"
    with job.log_file.open("wb") as file:
        job.process = subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**environment, **visible, "OSTINATO_JOB": job.name},
            start_new_session=True,  # one process group with its ranks and workers
        )


def _finish(job: Job) -> None:
    assert job.process is not None
    code = job.process.returncode
    if code != 0:
        job.problem = f"exit code {code}"
    else:
        try:
            job.objective = _objective(job.folder / "objective.json")
        except (ValueError, TypeError, KeyError) as error:
            job.problem = f"its objective.json is damaged ({error!r})"
    job.status = "failed" if job.problem else "done"
    if job.problem:
        lines = _tail(job.log_file)[-TAIL_LINES:]
        job.problem = "\n".join([f"{job}: {job.problem}; log: {job.log_file}", *lines])


def _objective(path: Path) -> float | None:
    if not path.exists():
        return None
    return float(json.loads(path.read_text(encoding="utf-8"))["objective"])


def last_line(path: Path) -> str:
    """The last non-empty line of a log; a progress bar's last state counts as a line."""
    return (_tail(path) or [""])[-1]


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return [line.rstrip() for line in text.replace("\r", "\n").split("\n") if line.strip()]


def _stop(jobs: Sequence[Job]) -> None:
    """Interrupt the jobs' process groups, and kill those that do not end in time."""
    alive = [job for job in jobs if job.process is not None]
    for job in jobs:
        job.status = "stopped"
    try:
        _signal(alive, signal.SIGINT)  # like Ctrl-C: a training saves its state and ends its run
        end = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < end and any(j.process.poll() is None for j in alive if j.process):
            time.sleep(POLL_SECONDS)
    finally:  # also after a second Ctrl-C
        _signal(alive, signal.SIGKILL)
        for job in alive:
            if job.process is not None:
                job.process.wait()


def _signal(jobs: Sequence[Job], number: signal.Signals) -> None:
    for job in jobs:
        if job.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(job.process.pid, number)


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Make SIGTERM (from a scheduler) end the jobs too: they are in sessions of their own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
