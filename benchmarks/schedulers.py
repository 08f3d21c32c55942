"""Steps against quality for the schedulers of diffusion, measured on samples of one model.

python -m benchmarks.schedulers --model models/ddpm   writes results/schedulers.json and .md
"""

import argparse
import json
import time
from pathlib import Path
from statistics import fmean

from ostinato.execution.commands import run_command

RESULTS = Path(__file__).parent / "results"
STEPS = (10, 25, 50, 100)
SHOWN = ("triads", "no_chord", "held", "stepwise", "parallel_fifths")


def main() -> None:
    """Parse the command line, sample, measure, write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedulers", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/ddpm"))
    parser.add_argument("--pieces", type=int, default=8)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--schedulers", nargs="+", default=("ddpm", "ddim", "dpm"))
    parser.add_argument("--options", nargs="*", default=(), help="further ones, as name=value")
    arguments = parser.parse_args()

    import torch

    from ostinato.files import write_json, write_text
    from ostinato.generator import Generator

    torch.set_num_threads(1)
    generator = Generator.load(arguments.model)
    further = {
        key: json.loads(value) for key, value in (one.split("=") for one in arguments.options)
    }
    rows = []
    for scheduler in arguments.schedulers:
        for steps in arguments.steps:
            options = {"scheduler": scheduler, "steps": steps} | further
            rows.append(options | measured(generator, options, arguments.pieces))
            print(rows[-1], flush=True)
    names = [name for name in rows[0] if name not in further]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(cell(row[name]) for name in names) + " |" for row in rows]
    write_json(RESULTS / "schedulers.json", {"format": 1, "rows": rows})
    about = f"{arguments.pieces} samples of 16 bars each; seconds of the processor for one sample"
    write_text(RESULTS / "schedulers.md", f"{about}\n\n" + "\n".join(lines) + "\n")


def measured(generator, options, pieces: int) -> dict[str, float]:
    """Counted features of samples, and the time that one took."""
    from ostinato.metrics.part_writing import part_writing
    from ostinato.sampling.request import Request

    start = time.process_time()
    samples = generator.generate(Request(bars=16, n=pieces, options=options))
    seconds = (time.process_time() - start) / pieces
    found = [part_writing(sample.piece) for sample in samples if sample.piece]
    shares = {
        name: sum(one[name].above for one in found) / max(1, sum(one[name].below for one in found))
        for name in SHOWN
        if name in found[0]
    }
    bars = fmean(len(sample.made.tokens) / 16 for sample in samples)
    return {name: round(value, 4) for name, value in (shares | {"bars": bars}).items()} | {
        "seconds": round(seconds, 2)
    }


def cell(value) -> str:
    """A number or a name."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run_command(main)
