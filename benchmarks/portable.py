"""What equal bytes on other processors cost: processor time of training steps, three ways in turn.

`python -m benchmarks.portable lstm gpt gpt-events`: systems of params.yaml whose encodings are
built. "native" is the processor's fastest code, "MKL" the portable settings with MKL's products,
"portable" what the stages do. Starting and validating are not counted: a training of FEW steps is
subtracted from one of MANY.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile

from ostinato.execution.commands import run_command
from ostinato.execution.portable import NATIVE

FEW, MANY = 10, 40
PLAIN = "import ostinato.arithmetic, runpy, sys; ostinato.arithmetic.install = lambda: None;"
RUN = "import runpy, sys; runpy.run_path('pipelines/train.py', run_name='__main__')"
WAYS = {"native": ({NATIVE: "1"}, RUN), "MKL": ({}, f"{PLAIN} {RUN}"), "portable": ({}, RUN)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| system | " + " | ".join(f"{way}, s a step" for way in WAYS) + " | portable / native |")
    print("|---|" + "---|" * (len(WAYS) + 1))
    for system in options.systems:
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way, seconds in found.items():
                few, many = (seconds_of(system, way, steps) for steps in (FEW, MANY))
                seconds.append((many - few) / (MANY - FEW))
        medians = {way: statistics.median(seconds) for way, seconds in found.items()}
        cells = " | ".join(f"{value:.3f}" for value in medians.values())
        ratio = medians["portable"] / medians["native"]
        print(f"| {system} | {cells} | {ratio:.2f} |", flush=True)


def seconds_of(system: str, way: str, steps: int) -> float:
    """Processor time of a training of `steps`, whole."""
    settings, code = WAYS[way]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, "-c", code, f"system={system}", f"model={model_of(system)}"),
                *(f"training.steps={steps}", f"training.validate_every={steps}"),
                *(f"out={folder}/model", f"objective={folder}/objective.json"),
            ],
            env=os.environ | settings | {"OSTINATO_TRACKING": ""},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def model_of(system: str) -> str:
    from ostinato.config import load_config

    item = load_config("sample", [f"system={system}"])["systems"][system]
    return f"{item['family']}/{item['size']}"


if __name__ == "__main__":
    run_command(main)
