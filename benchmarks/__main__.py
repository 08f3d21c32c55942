"""Runs races, prints the table and writes results/<name>.json and .md beside this file.

One case: python -m benchmarks --case "sampling, batch 1, length 256"   (--list names them all)
"""

import argparse
import os
import re
import time
import warnings
from pathlib import Path

from ostinato.execution.commands import run_command

THREADS = 2
RESULTS = Path(__file__).parent / "results"
KINDS = ["training", "sampling", "relative", "flex", "music", "variants", "corpora", "encoding"]
KINDS += ["diffusion", "band", "precision", "gpu"]
# libgomp's threads spin while they wait, which costs most where two cores do other work as well
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=KINDS, action="append", help="all cases of a kind")
    parser.add_argument("--case", action="append", help="the cases whose name holds this")
    parser.add_argument("--list", action="store_true", help="name the cases, run none")
    parser.add_argument("--note", default="", help="written beside the results")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of every race")
    parser.add_argument("--name", help="of the results; the processor's by default")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="one thread and the seconds it computes, for a machine that others use meanwhile",
    )
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")  # the peers' own

    cases = chosen(arguments.only or KINDS, arguments.case or [""])
    if arguments.list or not cases:
        print("\n".join(case.name for case in chosen(KINDS, [""])))
        return

    import torch

    from benchmarks import measure
    from ostinato.files import write_json, write_text

    torch.set_num_threads(1 if arguments.processor_time else THREADS)
    measure.Clock.now = time.process_time if arguments.processor_time else time.perf_counter
    races = []
    for case in cases:
        more = case.run(arguments.rounds)
        races += more if isinstance(more, list) else [more]
        print(table(races[-1:] if not isinstance(more, list) else more), flush=True)
    described = measure.machine()
    text = table(races)
    name = arguments.name or re.sub(r"[^a-z0-9]+", "-", described["processor"].lower())
    rows = [as_row(race) for race in races]
    write_json(
        RESULTS / f"{name}.json",
        {
            "format": 1,
            "machine": described,
            "note": arguments.note,
            "clock": "processor" if arguments.processor_time else "wall",
            "rounds": arguments.rounds,
            "races": rows,
        },
    )
    libraries = ", ".join(f"{key} {value}" for key, value in described["libraries"].items())
    about = f"{described['processor']}, {described['threads']} threads; {libraries}"
    about += f"; {described['gpu']}" if described["gpu"] else ""
    about += "; seconds of the processor" if arguments.processor_time else ""
    note = f"\n{arguments.note}\n" if arguments.note else ""
    write_text(RESULTS / f"{name}.md", f"{about}\n{note}\n{text}\n")
    print(f"\nwritten: {os.path.relpath(RESULTS)}/{name}.json and .md")


def chosen(kinds, parts: list[str]):
    """The cases of these kinds whose name holds any of `parts`."""
    from importlib import import_module

    from benchmarks.measure import Case

    found = []
    for kind in kinds:
        module = import_module(f"benchmarks.{kind}")
        of_kind = module.cases() if hasattr(module, "cases") else [Case(kind, module.races)]
        found += [case for case in of_kind if any(part in case.name for part in parts)]
    return found


def table(races) -> str:
    """Markdown: one line for every peer in every race."""
    lines = [
        "| race | ours per s | peer | peer's per s | ours / peer | of the fastest rounds | aim "
        "| our peak memory / its |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for race in races:
        speeds, best = race.speeds(), race.best_ratios()
        for peer, ratio in race.ratios().items():
            aim = f"{race.aims[peer]:.1f}" if peer in race.aims else ""
            lines.append(
                f"| {race.question} | {speeds['ostinato']:,.0f} {race.unit} | {peer} "
                f"| {speeds[peer]:,.0f} | {ratio:.2f} | {best[peer]:.2f} | {aim} "
                f"| {memory(race, peer)} |"
            )
    return "\n".join(lines)


def memory(race, peer: str) -> str:
    """Both peaks, in megabytes, where they were measured."""
    if not race.peak_mb:
        return ""
    return f"{race.peak_mb['ostinato']:,.0f} / {race.peak_mb[peer]:,.0f} MB"


def as_row(race) -> dict[str, object]:
    """A race as it is written, times included."""
    return {
        "question": race.question,
        "unit": race.unit,
        "per_second": {name: round(speed, 2) for name, speed in race.speeds().items()},
        "ratio": {name: round(ratio, 3) for name, ratio in race.ratios().items()},
        "ratio_of_fastest": {name: round(ratio, 3) for name, ratio in race.best_ratios().items()},
        "aim": dict(race.aims),
        "peak_mb": {name: round(peak) for name, peak in race.peak_mb.items()},
        "seconds": {name: [round(t, 4) for t in times] for name, times in race.seconds.items()},
    }


if __name__ == "__main__":
    run_command(main)
