"""Steps against quality for the schedulers of diffusion, measured on samples of one model.

python -m benchmarks.schedulers --pieces 24
writes results/schedulers.json and .md, and docs/schedulers.png
"""

import argparse
import json
import time
from math import sqrt
from pathlib import Path
from typing import Any

from ostinato.execution.commands import run_command

RESULTS = Path(__file__).parent / "results"
PICTURE = Path(__file__).parents[1] / "docs" / "schedulers.png"
BARS, STEPS = 16, (10, 25, 50, 100)
SHOWN = ("triads", "no_chord", "held", "stepwise", "parallel_fifths")
DRAWN = ("triads", "held")


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

    from benchmarks.measure import machine
    from ostinato.files import write_json, write_text
    from ostinato.generator import Generator
    from ostinato.sampling.request import Request

    torch.set_num_threads(1)
    generator = Generator.load(arguments.model)
    further = {
        key: json.loads(value) for key, value in (one.split("=") for one in arguments.options)
    }
    generator.generate(Request(bars=1))  # the first is slower, and not counted
    rows = []
    for scheduler in arguments.schedulers:
        for steps in arguments.steps:
            options = {"scheduler": scheduler, "steps": steps} | further
            rows.append(options | measured(generator, options, arguments.pieces))
            print(rows[-1], flush=True)
    names = [name for name in rows[0] if name not in further]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(cell(row[name]) for name in names) + " |" for row in rows]
    about = (
        f"{arguments.pieces} samples of {BARS} bars ({' '.join(arguments.options) or 'defaults'}), "
        "± standard errors over pieces; seconds of the processor for one sample, one thread"
    )
    about_machine = machine() | {"threads": 1}
    write_json(RESULTS / "schedulers.json", {"format": 1, "machine": about_machine, "rows": rows})
    described = f"{about}. {about_machine['processor']}"
    write_text(RESULTS / "schedulers.md", f"{described}.\n\n" + "\n".join(lines) + "\n")
    draw(rows, PICTURE)


def measured(generator, options, pieces: int) -> dict[str, Any]:
    """Counted features of samples with standard errors over pieces, and the time that one took."""
    from ostinato.metrics.part_writing import part_writing
    from ostinato.sampling.request import Request

    start = time.process_time()
    samples = generator.generate(Request(bars=BARS, n=pieces, options=options))
    seconds = (time.process_time() - start) / pieces
    found = [part_writing(sample.piece) for sample in samples if sample.piece]
    shares = {name: share([one[name] for one in found]) for name in SHOWN}
    return {"pieces": len(found)} | shares | {"seconds": round(seconds, 2)}


def share(counts) -> list[float]:
    """The share in all pieces together, and its standard error (of a ratio, over pieces)."""
    below = sum(one.below for one in counts)
    value = sum(one.above for one in counts) / below
    squares = sum((one.above - value * one.below) ** 2 for one in counts)
    return [round(value, 4), round(sqrt(squares) / below, 4)]


def draw(rows, path: Path) -> None:
    """Chords against passes of the model, a line for each scheduler."""
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(7, 2.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), DRAWN, strict=True):
        for scheduler in dict.fromkeys(row["scheduler"] for row in rows):
            chosen = [row for row in rows if row["scheduler"] == scheduler]
            values, errors = zip(*(row[name] for row in chosen), strict=True)
            axes.errorbar([row["steps"] for row in chosen], values, errors, label=scheduler)
        axes.set(xlabel="steps", ylabel=name.replace("_", " "), xscale="log")
        axes.set_xticks(sorted({row["steps"] for row in rows}), labels=None, minor=False)
        axes.minorticks_off()
        axes.xaxis.set_major_formatter("{x:.0f}")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=100)
    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)


def cell(value) -> str:
    """A share with its standard error, a number or a name."""
    if isinstance(value, list):
        return (
            f"{value[0]:.2f} ± {value[1]:.2f}"
            if value[0] > 0.05
            else "{:.3f} ± {:.3f}".format(*value)
        )
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run_command(main)
