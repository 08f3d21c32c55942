"""Does a model give the density that it is asked for, and what does guidance change?

`python -m benchmarks.density models/ddpm --guidance 0 1 2 3` asks for the middle of each bin of the
condition `density`, notes a quarter, and counts the notes of what comes. Rows: the correlation of
what was asked for with what came, the share of pieces within the bin, by chance one in the number
of bins, and what guidance does to chords and to voices that move in parallel.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from ostinato.execution.commands import run_command
from ostinato.generator import Generator
from ostinato.metrics.part_writing import part_writing
from ostinato.music.piece import Piece
from ostinato.sampling.request import Request

NAME = "density"


def middles(edges: list[float]) -> list[float]:
    """A number within each bin: its middle, and for the outer two as far beyond their edge as the
    middle of the next bin is within it.
    """
    inner = [(low + high) / 2 for low, high in pairwise(edges)]
    return [edges[0] - (inner[0] - edges[0]), *inner, edges[-1] + (edges[-1] - inner[-1])]


def density(piece: Piece) -> float:
    """Notes a quarter."""
    return len(piece.notes) * piece.ticks_per_quarter / max(piece.length, 1)


def share(pieces: list[Piece], *names: str) -> float:
    """The counts of a measure over all pieces together."""
    counts = [part_writing(piece) for piece in pieces]
    above = sum(count[name].above for count in counts for name in names)
    return above / max(1, sum(count[names[0]].below for count in counts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--guidance", type=float, nargs="+", default=[0.0, 1.0, 2.0, 3.0])
    parser.add_argument("--each", type=int, default=8, help="samples of each bin")
    parser.add_argument("--bars", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator = Generator.load(options.model)
    spec = next(s for s in generator.capabilities().conditions if s.name == NAME)
    edges = np.array(spec.edges)
    print("guidance | r | within the bin | lowest, highest bin | triads | parallels per 1,000")
    for weight in options.guidance:
        asked, came, pieces = [], [], []
        for value in middles(list(spec.edges)):
            request = Request(
                bars=options.bars,
                n=options.each,
                seed=options.seed,
                conditions={NAME: value},
                options={"guidance": weight},
            )
            made = [sample.piece for sample in generator.generate(request) if sample.piece]
            asked += [value] * len(made)
            came += [density(piece) for piece in made]
            pieces += made
        wanted, got = np.array(asked), np.array(came)
        hits = np.digitize(wanted, edges) == np.digitize(got, edges)
        ends = [got[wanted == value].mean() for value in (wanted.min(), wanted.max())]
        parallels = 1000 * share(pieces, "parallel_fifths", "parallel_octaves")
        print(
            f"{weight:g} | {np.corrcoef(wanted, got)[0, 1]:.2f} | {hits.mean():.2f} | "
            f"{ends[0]:.2f}, {ends[1]:.2f} | {share(pieces, 'triads'):.2f} | {parallels:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    run_command(main)
