"""Many pieces of a band with random roles, meters and lengths: what goes wrong, how long it takes.

python -m benchmarks.band --model models/band --pieces 750   writes results/band.json

failed: pieces that are not whole or do not decode. other bars, other roles: not what was asked for.
empty: parts of a piece without a note. collapsed: parts whose last half, four bars or more, is one
bar repeated. seconds: of pieces of 8 bars with all roles, one after the other.
"""

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
THREADS, TIMED_BARS, LEAST = 2, 8, 4


def requests(roles: list[str], meters: list[str], count: int, longest: int, seed: int) -> list[Any]:
    """Requests with random roles, meter and number of bars."""
    from ostinato.sampling.request import Request

    rng, found = np.random.default_rng(seed), []
    for number in range(count):
        size = int(rng.integers(1, len(roles) + 1))
        chosen = tuple(sorted(rng.choice(roles, size, replace=False).tolist()))
        bars = int(np.exp(rng.uniform(0, np.log(longest + 1))))
        options = {"roles": chosen, "meter": str(rng.choice(meters)), "top_p": 0.95}
        found.append(Request(bars=bars, min_bars=bars, seed=seed + number, options=options))
    return found


def check(sample: Any, request: Any, representation: Any) -> Counter[str]:
    """What is wrong with a piece."""
    if sample.piece is None:
        return Counter(failed=1)
    tokens, piece, found = sample.made.tokens, sample.piece, Counter()
    found["other bars"] += len(representation.bar_starts(tokens)) != request.bars
    found["other roles"] += sorted(representation.playing(tokens)) != list(request.options["roles"])
    for role in representation.playing(tokens):
        notes = piece.voice(role)
        found["parts"] += 1
        found["empty"] += not len(notes)
        found["collapsed"] += collapsed(representation, tokens, role, request.bars)
    return found


def collapsed(representation: Any, tokens: Any, role: str, bars: int) -> bool:
    """Whether the last half of a part, four bars or more, is one bar that is not empty."""
    layout = representation.layout
    mine = layout.owners[tokens[:, 0]] == representation.parts.index(role)
    number = np.cumsum(layout.kinds[tokens[:, 0]] == layout.kinds[layout.first_bar])
    parts = [tokens[mine & (number == bar), 0].tolist() for bar in range(1, bars + 1)]
    last = parts[-max(LEAST, bars // 2) :]
    return len(last) >= LEAST and len(last[0]) > 1 and all(part == last[0] for part in last)


def main() -> None:
    """Parse the command line, run, write the results."""
    import torch

    from benchmarks.measure import machine
    from ostinato.files import write_json
    from ostinato.generator import Generator
    from ostinato.sampling.request import Request

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.band",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="models/band")
    parser.add_argument("--pieces", type=int, default=750)
    parser.add_argument("--longest", type=int, default=64, help="bars of a piece, at most")
    parser.add_argument("--timed", type=int, default=20, help="pieces of 8 bars that are timed")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    generator = Generator.load(arguments.model)
    form = generator.representation
    counted: Counter[str] = Counter()
    plan = (list(form.roles), list(form.meters), arguments.pieces, arguments.longest)
    for request in requests(*plan, arguments.seed):
        (sample,) = generator.generate(request)
        counted += check(sample, request, form)
    seconds = []
    for number in range(arguments.timed):
        options = {"roles": tuple(form.roles), "meter": "4/4", "top_p": 0.95}
        eight = Request(bars=TIMED_BARS, min_bars=TIMED_BARS, seed=number, options=options)
        begun = time.perf_counter()
        generator.generate(eight)
        seconds.append(time.perf_counter() - begun)
    found = {
        "machine": machine(),
        "model": arguments.model,
        "pieces": arguments.pieces,
        "longest": arguments.longest,
        "counts": {name: counted[name] for name in ("parts", *WRONG)},
        "seconds": {
            "pieces": len(seconds),
            "median": round(float(np.median(seconds)), 3),
            "p95": round(float(np.quantile(seconds, 0.95)), 3),
        },
    }
    write_json(RESULTS / "band.json", found)
    print(found["counts"], found["seconds"])


WRONG = ("failed", "other bars", "other roles", "empty", "collapsed")

if __name__ == "__main__":
    main()
