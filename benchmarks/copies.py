"""Groups of copies among a million synthetic pieces: seconds and peak memory.

`python -m benchmarks.copies --pieces 1000000` prints one line. A tenth of the pieces are near
copies of others (a tenth of their passages is changed), a hundredth are exact ones, and every piece
holds some of the passages that are common to thousands. Sketches are as thin as normalize makes
them for a corpus of that size (`keep_for`).
"""

import argparse
import resource
import time

import numpy as np

from ostinato.execution.commands import run_command
from ostinato.normalization.copies import LEAST, NEAR, Sketches, keep_for, similar_groups

PASSAGES = 1000  # of a piece, of which a sketch holds one in `keep`
COMMON = 2  # of every sketch, drawn from HABITS
HABITS = 100
CHANGED = 10  # one in so many passages of a near copy


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copies", description=__doc__)
    parser.add_argument("--pieces", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    keep = keep_for(arguments.pieces)
    sketches, names, expected = corpus(arguments.pieces, PASSAGES // keep, arguments.seed)
    before, start = _peak(), time.perf_counter()
    groups = similar_groups(sketches, names, NEAR, least=max(1, LEAST // keep))
    seconds = time.perf_counter() - start
    wrong = int((groups != expected).sum())
    print(
        f"{arguments.pieces:,} pieces, one passage in {keep} kept\n"
        f"{len(sketches.hashes):,} hashes: {len(np.unique(groups)):,} groups in {seconds:.1f} s, "
        f"{wrong} pieces in another group than they were made for\n"
        f"peak memory {_peak():,.0f} MB, of which making the sketches took {before:,.0f} MB"
    )


def corpus(pieces: int, size: int, seed: int) -> tuple[Sketches, list[str], np.ndarray]:
    """Sketches of `size` hashes for each piece, fingerprints, and the first piece of each group."""
    rng = np.random.default_rng(seed)
    # distinct within a piece: the position is in the lowest bits
    hashes = rng.integers(0, 1 << 50, (pieces, size), dtype=np.uint64) << np.uint64(12)
    hashes += np.arange(size, dtype=np.uint64)
    common = rng.integers(1, HABITS, (pieces, COMMON), dtype=np.uint64)
    hashes[:, :COMMON] = (common << np.uint64(12)) + np.arange(COMMON, dtype=np.uint64)
    first = np.arange(pieces)
    names = first.copy()
    originals, copies = pieces // 2, pieces // 10
    near = np.arange(originals, originals + copies)
    source = rng.integers(0, originals, copies)
    fresh = rng.random((copies, size)) < 1 / CHANGED
    fresh &= np.cumsum(fresh, 1) <= size // CHANGED  # never so many that it is no copy any more
    hashes[near] = np.where(fresh, hashes[near], hashes[source])
    first[near] = source
    exact = np.arange(originals + copies, originals + copies + pieces // 100)
    source = rng.integers(0, originals, len(exact))
    hashes[exact], first[exact], names[exact] = hashes[source], source, source
    offsets = np.arange(pieces + 1, dtype=np.int64) * size
    return Sketches(hashes.reshape(-1), offsets), [str(name) for name in names], first


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    run_command(main)
