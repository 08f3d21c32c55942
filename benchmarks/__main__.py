"""Runs all races, prints the table and writes results/<name>.json and .md beside this file."""

import argparse
import os
import re
import warnings
from pathlib import Path

THREADS = 2
RESULTS = Path(__file__).parent / "results"
# libgomp's threads spin while they wait, which costs most where two cores do other work as well
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", choices=["training", "sampling", "music", "corpora", "encoding"], action="append"
    )
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of every race")
    parser.add_argument("--name", help="of the results; the processor's by default")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")  # the peers' own

    import torch

    from benchmarks import corpora, encoding, measure, music, sampling, training
    from ostinato.execution.files import write_json, write_text

    torch.set_num_threads(THREADS)
    kinds = {
        "training": training.races,
        "sampling": sampling.races,
        "music": music.races,
        "corpora": corpora.races,
        "encoding": encoding.races,
    }
    races = [
        race
        for name, run in kinds.items()
        if not arguments.only or name in arguments.only
        for race in run(arguments.rounds)
    ]
    described = measure.machine()
    text = table(races)
    print(text)
    name = arguments.name or re.sub(r"[^a-z0-9]+", "-", described["processor"].lower())
    rows = [as_row(race) for race in races]
    write_json(
        RESULTS / f"{name}.json",
        {"format": 1, "machine": described, "rounds": arguments.rounds, "races": rows},
    )
    libraries = ", ".join(f"{key} {value}" for key, value in described["libraries"].items())
    about = f"{described['processor']}, {described['threads']} threads; {libraries}"
    write_text(RESULTS / f"{name}.md", f"{about}\n\n{text}\n")
    print(f"\nwritten: {os.path.relpath(RESULTS)}/{name}.json and .md")


def table(races) -> str:
    """Markdown: one line for every peer in every race."""
    lines = [
        "| race | ours per s | peer | peer's per s | ours / peer | of the fastest rounds | aim |",
        "|---|---|---|---|---|---|---|",
    ]
    for race in races:
        speeds, best = race.speeds(), race.best_ratios()
        for peer, ratio in race.ratios().items():
            aim = f"{race.aims[peer]:.1f}" if peer in race.aims else ""
            lines.append(
                f"| {race.question} | {speeds['ostinato']:,.0f} {race.unit} | {peer} "
                f"| {speeds[peer]:,.0f} | {ratio:.2f} | {best[peer]:.2f} | {aim} |"
            )
    return "\n".join(lines)


def as_row(race) -> dict[str, object]:
    """A race as it is written, times included."""
    return {
        "question": race.question,
        "unit": race.unit,
        "per_second": {name: round(speed, 2) for name, speed in race.speeds().items()},
        "ratio": {name: round(ratio, 3) for name, ratio in race.ratios().items()},
        "ratio_of_fastest": {name: round(ratio, 3) for name, ratio in race.best_ratios().items()},
        "aim": dict(race.aims),
        "seconds": {name: [round(t, 4) for t in times] for name, times in race.seconds.items()},
    }


if __name__ == "__main__":
    main()
