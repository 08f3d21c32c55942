"""Contestants in turn, so that what else the machine does falls on all alike."""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import torch

OURS = "ostinato"


@dataclass(frozen=True)
class Race:
    """One question: who does more `unit` a second.

    seconds: of every contestant in every round; a round that warms up is not in it.
    amount: units of one run. aims: how many times as fast as a peer we mean to be. peak_mb: what a
    contestant's run added to its process's memory, where that was asked.
    """

    question: str
    unit: str
    amount: float
    seconds: Mapping[str, Sequence[float]]
    aims: Mapping[str, float]
    peak_mb: Mapping[str, float] = field(default_factory=dict)

    def speeds(self) -> dict[str, float]:
        """Median units a second of each contestant."""
        return {name: self.amount / median(times) for name, times in self.seconds.items()}

    def ratios(self) -> dict[str, float]:
        """How many times as fast as each peer we are: the median over rounds of both times'
        ratio.
        """
        ours = self.seconds[OURS]
        return {
            name: median(theirs / mine for theirs, mine in zip(times, ours, strict=True))
            for name, times in self.seconds.items()
            if name != OURS
        }

    def best_ratios(self) -> dict[str, float]:
        """The same between the fastest rounds of both, which other work disturbed least."""
        ours = min(self.seconds[OURS])
        return {name: min(times) / ours for name, times in self.seconds.items() if name != OURS}


@dataclass(frozen=True)
class Case:
    """One race by its name; it is run with a number of rounds."""

    name: str
    run: Callable[[int], Race]


class Clock:
    """What races are timed by: seconds on the wall, or of the processor where others use it too."""

    now = staticmethod(time.perf_counter)


def in_turn(
    contestants: Mapping[str, Callable[[], object]], rounds: int, warm: bool = True
) -> dict[str, list[float]]:
    """Seconds of every contestant in every round, after one round that does not count: without it
    where a run takes minutes, of which its first moments are no part worth speaking of.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(0 if warm else 1, rounds + 1):
        for name, run in contestants.items():
            start = Clock.now()
            run()
            if number:
                seconds[name].append(Clock.now() - start)
    return seconds


def machine() -> dict[str, Any]:
    """What the numbers depend on; neither the host's name nor a time."""
    libraries = ("numpy", "torch", "transformers", "x-transformers", "diffusers", "onnxruntime")
    return {
        "processor": _processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in libraries},
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0]}, {len(models)} cores" if models else platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
