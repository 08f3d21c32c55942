"""Seconds from a command to its answer: --help, refusals, and four bars of music.

    python -m benchmarks.starts models/gpt
    python -m benchmarks.starts models/gpt --against ../older   # another checkout, in turn

The processor's seconds count on a machine that others use meanwhile; on a quiet one both agree.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from ostinato.execution.commands import run_command

HERE = Path(__file__).resolve().parents[1]


def cases(model: Path, out: str) -> dict[str, tuple[list[str], float]]:
    """Arguments of Python, and the most seconds that a quiet machine should need."""
    generate = [f"weights={model}", "bars=4", "n=1", "seed=1", f"out={out}"]
    return {
        "train --help": (["pipelines/train.py", "--help"], 1),
        "an unknown setting": (["pipelines/train.py", "training.stepz=7"], 2),
        "a contradiction": (["pipelines/train.py", "training.steps=7"], 2),
        "an unknown system": (["pipelines/sample.py", "system=nobody"], 2),
        "no such model folder": (["pipelines/generate.py", f"weights={out}/none"], 2),
        "generate four bars": (["pipelines/generate.py", *generate], 6),
    }


def timed(root: Path, arguments: list[str]) -> tuple[float, float]:
    """Seconds of the wall clock and of the processor that a process took."""
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "OSTINATO_TRACKING": "off"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, check=False
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Parse the command line, run the rounds, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a model folder")
    parser.add_argument("--against", type=Path, help="another checkout, run in turn")
    parser.add_argument("--rounds", type=int, default=5, help="after one that is not counted")
    given = parser.parse_args()
    roots = {"here": HERE} | ({"there": given.against.resolve()} if given.against else {})
    print("| command | checkout | wall clock, median | best | processor, median | aim |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as out:
        for name, (arguments, aim) in cases(given.model.resolve(), out).items():
            rounds = range(given.rounds + 1)
            rows = [{key: timed(root, arguments) for key, root in roots.items()} for _ in rounds]
            for key in roots:
                wall, processor = zip(*(row[key] for row in rows[1:]), strict=True)
                print(
                    f"| {name} | {key} | {median(wall):.2f} s | {min(wall):.2f} s "
                    f"| {median(processor):.2f} s | {aim} s |",
                    flush=True,
                )


if __name__ == "__main__":
    run_command(main)
