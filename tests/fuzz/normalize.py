"""Normalizes many damaged MIDI files; every one must be in the corpus or rejected, by a reason.

    python tests/fuzz/normalize.py --files 20000 --seed 1 --more <folder or .zip> ...

Seeds are small files that hold every construct, and files of the places named, else of the archives
of OSTINATO_MIRROR.
Prints pieces, rejected files by reason, and the account of the notes. Ends with 1 if a file is
missing or there twice, or if notes read are not notes kept and dropped.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from mutate import mutant, small_files
from published import midi_files, mirrored

from ostinato.corpus.store import read_pieces, read_rejected
from ostinato.execution.commands import run_command
from ostinato.execution.guard import Limits
from ostinato.execution.parallel import Executor
from ostinato.normalization.build import build_corpus
from ostinato.normalization.normalize import NormalizeOptions

LARGEST_SEED = 40_000
SEEDS_OF_A_PLACE = 60
LIMITS = Limits(seconds=20, megabytes=2000)
ORIGIN = {"licence": "none", "citation": "none", "url": "none"}


def main() -> int:
    """Run, print the table, and say by the exit status whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--more", nargs="*", type=Path, default=mirrored())
    args = parser.parse_args()
    seeds = small_files()
    more = (data for _, data in midi_files(args.more, SEEDS_OF_A_PLACE))
    seeds += [data for data in more if len(data) <= LARGEST_SEED]
    names = [f"{number:06}.mid" for number in range(args.files)]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as home:
        raw, out = Path(home, "raw"), Path(home, "corpus")
        raw.mkdir()
        for number, name in enumerate(names):
            (raw / name).write_bytes(mutant(seeds, args.seed, number))
        options, executor = NormalizeOptions(limits=LIMITS), Executor(workers=args.processes)
        workspace = Path(home, "work")
        summary = build_corpus(
            raw, out, options, origin=ORIGIN, executor=executor, workspace=workspace
        )
        pieces, rejected = read_pieces(out), read_rejected(out)
    seen = [row["source"] for row in pieces] + [row["file"] for row in rejected]
    read, kept = summary["notes_read"], summary["notes_kept"]
    dropped, found = summary["notes_dropped"], sum(row["notes"] for row in pieces)
    sys.stdout.write(
        f"{len(names)} mutants of {len(seeds)} files: {len(pieces)} pieces, {len(rejected)} "
        f"rejected {summary['rejected']}\n"
        f"{read} notes read, {kept} kept, dropped {dropped}\n"
        f"compared {summary.get('compared', {})}\n"
        f"{time.perf_counter() - start:.0f} s\n"
    )
    lost = sorted(seen) != names
    wrong = kept != found or read != kept + sum(dropped.values())
    if lost or wrong:
        sys.stdout.write("a file is lost or there twice\n" * lost + "notes do not add up\n" * wrong)
    return int(lost or wrong)


if __name__ == "__main__":
    run_command(main)
