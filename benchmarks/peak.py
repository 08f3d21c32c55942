"""Peak memory of one piece of work: in a fresh process, so that nothing else is counted. Linux."""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

PROCESS = Path("/proc/self")
KILOBYTES = 1024


def peak_mb(make: Callable[..., Callable[[], object]], *arguments: object, runs: int = 2) -> float:
    """Megabytes that running what `make(*arguments)` returns, `runs` times, adds at its peak.

    make: a function of a module, which the fresh process imports. What it loads and builds itself,
    libraries and weights, is not counted.
    """
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (make, arguments, runs))


def _measured(
    make: Callable[..., Callable[[], object]], arguments: tuple[object, ...], runs: int
) -> float:
    import torch

    torch.set_num_threads(1)
    run = make(*arguments)
    # ru_maxrss would begin at what the parent process held when it started this one
    (PROCESS / "clear_refs").write_text("5", encoding="ascii")  # the peak begins anew, here
    before = _megabytes("VmRSS")
    for _ in range(runs):
        run()
    return _megabytes("VmHWM") - before


def _megabytes(entry: str) -> float:
    for line in (PROCESS / "status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{entry}:"):
            return int(line.split()[1]) / KILOBYTES
    raise RuntimeError(f"{PROCESS}/status has no {entry}")
