"""Tunes: seconds for a synthetic corpus of melodies, or what the rule joins and misses in `bach`.

`python -m benchmarks.tunes --pieces 10000` makes half as many tunes as pieces, and of each a second
version with ornaments, other notes and another end. `--corpus data/corpus/bach` compares groups
with `chorale_tunes.csv`: the titles in music21's list of chorales, corrected by hand where one tune
has several titles or one title several tunes; pieces that it does not list are left out.
"""

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np

from ostinato.corpus.store import read_corpus
from ostinato.execution.commands import run_command
from ostinato.music.melody import steps
from ostinato.normalization.alignment import Lines
from ostinato.normalization.tunes import tune_groups

STEPS = [-5, -4, -3, -2, -2, -2, -1, -1, 1, 1, 2, 2, 2, 3, 5]
LENGTH = 50  # steps of a melody: as long as a chorale
TABLE = Path(__file__).with_name("chorale_tunes.csv")


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tunes", description=__doc__)
    parser.add_argument("--pieces", type=int, default=10_000)
    parser.add_argument("--length", type=int, default=LENGTH)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="a corpus of `bach` instead")
    arguments = parser.parse_args()
    if arguments.corpus:
        referee(arguments.corpus)
    else:
        speed(arguments.pieces // 2, arguments.length, arguments.seed)


def speed(tunes: int, length: int, seed: int) -> None:
    """Group two versions of each of many random tunes."""
    rng = np.random.default_rng(seed)
    lines = list(rng.choice(STEPS, (tunes, length)))
    lines += [version(line, rng) for line in lines]
    names = [str(number) for number in range(len(lines))]
    start = time.perf_counter()
    groups = tune_groups(Lines.of(lines), names)
    seconds = time.perf_counter() - start
    found = int((groups[tunes:] == groups[:tunes]).sum())
    print(
        f"{2 * tunes:,} melodies of {length} steps: {len(np.unique(groups)):,} groups in "
        f"{seconds:.1f} s; {found:,} of {tunes:,} tunes have both versions in one"
    )


def version(line: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The tune with a tenth of its steps split in two, two notes changed and another end."""
    changed = line.astype(np.int64)
    for place in rng.choice(len(line) - 1, 2, replace=False):
        changed[place : place + 2] += (3, -3)
    end = len(line) * 4 // 5
    parts = [[step] for step in changed[:end].tolist()]
    for place in rng.choice(end, len(line) // 10, replace=False):
        parts[place] = [1, parts[place][0] - 1]
    flat = [step for part in parts for step in part if step]
    return np.concatenate([flat, rng.choice(STEPS, len(line) - end)])


def referee(corpus: Path) -> None:
    """Compare the groups of a corpus of `bach` with the table of tunes."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        known = {row["piece"]: row["tune"] for row in csv.DictReader(file)}
    entries = read_corpus(corpus)
    found = tune_groups(
        Lines.of([steps(entry.piece) for entry in entries]),
        [entry.fingerprint for entry in entries],
    )
    groups = {entry.piece.id: group for entry, group in zip(entries, found.tolist(), strict=True)}
    pairs = list(combinations(sorted(groups.keys() & known.keys()), 2))
    same = sum(known[a] == known[b] for a, b in pairs)
    missed = sum(known[a] == known[b] and groups[a] != groups[b] for a, b in pairs)
    joined = sum(known[a] != known[b] and groups[a] == groups[b] for a, b in pairs)
    print(
        f"{len(known)} pieces: {same} of {len(pairs):,} pairs have one tune; {missed} of them are "
        f"in different groups, and {joined} pairs of different tunes in one"
    )
    _print_mixed("one tune, several groups", known, groups)
    _print_mixed("one group, several tunes", groups, known)


def _print_mixed(title: str, by: Mapping[str, object], other: Mapping[str, object]) -> None:
    """Print the classes of `by` whose pieces are in several classes of `other`."""
    members: dict[object, dict[object, list[str]]] = defaultdict(lambda: defaultdict(list))
    for piece in sorted(by.keys() & other.keys()):
        members[by[piece]][other[piece]].append(piece)
    mixed = [parts for parts in members.values() if len(parts) > 1]
    print(f"{title}: {len(mixed)}")
    for parts in mixed:
        print("  " + " | ".join(" ".join(pieces) for pieces in parts.values()))


if __name__ == "__main__":
    run_command(main)
