"""Reads many damaged MIDI files; every one must be read with all its notes, or refused, in time.

    python tests/fuzz/midi.py --files 20000 --seed 1 --more <folder or .zip> ... --processes 2

Seeds are small files that hold every construct, and files of the places named, else of the archives
of OSTINATO_MIRROR.
Prints how the reading ended and the slowest files. Ends with 1 if any broke a rule, crashed its
process or took too long; such files are left in the folder --out.
"""

import argparse
import resource
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from mutate import LIMIT_SECONDS, OPTIONS, Outcome, check, mutant, small_files
from published import midi_files, mirrored

from ostinato.execution.commands import run_command

CHUNK = 250
SEEDS_OF_A_PLACE = 200
LARGEST_SEED = 200_000
SEEDS: list[bytes] = []


def main() -> int:
    """Run, print the table, and say by the exit status whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--more", nargs="*", type=Path, default=mirrored())
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds for a file")
    parser.add_argument("--out", type=Path, default=Path("fuzz-offenders"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    starts = range(0, args.files, CHUNK)
    jobs = [(args.seed, s, min(s + CHUNK, args.files), args.limit, args.out) for s in starts]
    outcomes: list[tuple[int, Outcome]] = []
    crashed = False
    with ProcessPoolExecutor(args.processes, initializer=load, initargs=(args.more,)) as pool:
        try:
            for found in pool.map(read_some, jobs):
                outcomes += found
        except BrokenProcessPool:
            crashed = True
    show(outcomes)
    if crashed:
        say(f"a process crashed; the files it and others were reading are in {args.out}")
    if not any(args.out.iterdir()):
        args.out.rmdir()
    return int(crashed or any(outcome.violation for _, outcome in outcomes))


def load(places: Sequence[Path]) -> None:
    """Load the seeds, once in every process."""
    more = (data for _, data in midi_files(places, SEEDS_OF_A_PLACE))
    SEEDS[:] = small_files() + [data for data in more if len(data) <= LARGEST_SEED]


def read_some(job: tuple[int, int, int, float, Path]) -> list[tuple[int, Outcome]]:
    """Read a range of mutants; the one that is being read lies in `out`."""
    seed, start, stop, limit, out = job
    outcomes = []
    for number in range(start, stop):
        path = out / f"{seed}-{number}.mid"
        data = mutant(SEEDS, seed, number)
        path.write_bytes(data)
        outcome = check(data, OPTIONS[number % len(OPTIONS)], limit)
        if not outcome.violation:
            path.unlink()
        outcomes.append((number, outcome))
    return outcomes


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(text + "\n")


def show(outcomes: list[tuple[int, Outcome]]) -> None:
    """Print the counts of outcomes, the slowest files and the rules broken."""
    counts = Counter(outcome.kind for _, outcome in outcomes)
    for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        say(f"{count:8d}  {kind}")
    say(f"{len(outcomes):8d}  files")
    for number, outcome in sorted(outcomes, key=lambda item: -item[1].seconds)[:5]:
        say(f"slowest: {outcome.seconds * 1000:7.1f} ms  file {number}  {outcome.kind}")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    say(f"most memory of a process: {memory:.0f} MB")
    for number, outcome in outcomes:
        if outcome.violation:
            say(f"file {number}: {outcome.violation}")


if __name__ == "__main__":
    run_command(main)
