"""Infilling: systems beside each other on the same gaps of held-out chorales, with the truth known.

`python -m benchmarks.infilling models/gpt models/absorbing` hides two
bars of all voices, the inner voices, and all voices but the soprano, in the first bars of test
pieces. For each system and kind of gap it prints

- nats of a true cell, given what is kept. Masked families: a bound, the mean over random orders.
  Autoregressive families: with P(kept) estimated by the particle filter, which is too low a figure
  in expectation, the less so with more particles; and what one particle pays, which sees only what
  is before a cell, exactly;
- the share of filled cells that are the true ones, and for comparison of those that hold the last
  cell before the gap or the rest of the gap's voice;
- how often a logistic regression on features tells filled from true pieces (balanced accuracy in
  cross-validation over pieces; the floor is a half);
- faults: parallel fifths and octaves for 1,000 pairs of voices that move in one direction, and
  leaps of more than a fifth into and out of the gap, as shares of its edges;
- seconds for each filling on one thread.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ostinato.execution.commands import run_command
from ostinato.files import write_json
from ostinato.generator import Generator
from ostinato.loading.tokens import TokenSet, open_tokens
from ostinato.metrics.part_writing import part_writing
from ostinato.metrics.profile import profiles
from ostinato.metrics.two_sample import Plan, logistic, tell_apart
from ostinato.models.masked.absorbing import Model as Masked
from ostinato.music.piece import Piece
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.infill import Gaps, kept_nats
from ostinato.sampling.gaps import free_cells
from ostinato.sampling.prompts import as_piece
from ostinato.sampling.request import EncodedPiece, Fill, Region, Request
from ostinato.seeds import seed_of

BARS = 8
KINDS = {  # a region, by name; of pieces of BARS bars
    "two bars": Region(bars=(4, 6)),
    "alto and tenor": Region(roles=("alto", "tenor")),
    "harmonize": Region(roles=("alto", "tenor", "bass")),
}
DRAWS = 32  # of a bound
FIFTH = 7


@dataclass(frozen=True)
class Case:
    """One piece with one gap: the task, true rows (T, W), free cells."""

    task: Fill
    rows: np.ndarray
    free: np.ndarray


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.infilling", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, help="folders of models")
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens/bach-grid"))
    parser.add_argument("--pieces", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--out", type=Path, help="a JSON file; a table of the same name beside it")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tokens = open_tokens(arguments.tokens)
    rows: list[dict[str, Any]] = []
    for folder in arguments.models:
        generator = Generator.load(folder)
        for kind in arguments.kinds:
            cases = cases_of(generator, tokens, KINDS[kind], arguments.pieces)
            found = {"system": generator.system, "gap": kind, "pieces": len(cases)}
            rows.append(found | measured(generator, cases, arguments.seed))
            print(json.dumps(rows[-1]), flush=True)
    if arguments.out:
        write_json(arguments.out, {"seed": arguments.seed, "bars": BARS, "rows": rows})
        arguments.out.with_suffix(".md").write_text(table(rows), encoding="utf-8")


def cases_of(generator: Generator, tokens: TokenSet, region: Region, count: int) -> list[Case]:
    """The first test pieces that are long enough, cut to BARS bars, with the gap."""
    split, representation, found = tokens.splits["test"], generator.representation, []
    for number in range(len(split)):
        encoded = EncodedPiece(str(split.piece[number]), split.tokens_of(number), tokens.codec)
        whole = as_piece(encoded, representation, generator.trained.card["codec"])
        if max(representation.bar_starts(representation.encode(whole)), default=0) < BARS:
            continue
        task = Fill(whole, region)
        found.append(Case(task, *free_cells(representation, task, BARS)))
        if len(found) == count:
            break
    return found


def measured(generator: Generator, cases: Sequence[Case], seed: int) -> dict[str, float]:
    """All figures of a system on one kind of gap."""
    started = time.perf_counter()
    requests = [
        Request(task=case.task, bars=BARS, seed=seed, first=n) for n, case in enumerate(cases)
    ]
    made = generator.generate_all(requests)
    seconds = (time.perf_counter() - started) / len(cases)
    for case, sample in zip(cases, made, strict=True):
        assert np.array_equal(sample.made.tokens[~case.free], case.rows[~case.free])
    filled = [sample.made.tokens for sample in made]
    true = [case.rows for case in cases]
    decode = generator.representation.decode
    pieces, real = [decode(rows) for rows in filled], [decode(rows) for rows in true]
    return {
        **truth_nats(generator, cases, seed),
        "equal": equal(cases, filled),
        "equal_held": equal(cases, [held(case) for case in cases]),
        "told_apart": told_apart(pieces, real, seed),
        "parallels": parallels(pieces),
        "parallels_true": parallels(real),
        "leaps": leaps(cases, filled),
        "leaps_true": leaps(cases, true),
        "seconds": seconds,
    }


@torch.inference_mode()
def truth_nats(generator: Generator, cases: Sequence[Case], seed: int) -> dict[str, float]:
    """Nats of a true free cell, given the kept ones."""
    model, cells = generator.trained.model, sum(int(case.free.sum()) for case in cases)
    if isinstance(model, Masked):
        return {"nats": sum(bound(model, case, seed) for case in cases) / cells}
    nats = {"nats": 0.0, "nats_before_only": 0.0}
    for number, case in enumerate(cases):
        gaps = Gaps(case.rows, case.free)
        score_TW = model.score(torch.from_numpy(case.rows[None]).long())[0].double().numpy()
        seeds = [seed_of(seed, "evidence", number)]
        kept = kept_nats(model, generator.representation, gaps, seeds, Decoding(particles=64))
        nats["nats"] += score_TW[gaps.first :].sum() - kept[0]
        nats["nats_before_only"] += score_TW[case.free].sum()
    return {key: value / cells for key, value in nats.items()}


def bound(model: Masked, case: Case, seed: int) -> float:
    """The mean over random orders of revealing the free cells of a piece."""
    torch.manual_seed(seed)
    rows_BTW = torch.from_numpy(case.rows).long()[None].expand(DRAWS, -1, -1)
    shares_B = 1 - (torch.arange(DRAWS) + torch.rand(DRAWS)) / DRAWS
    within = torch.from_numpy(case.free)[:, model.columns_V].expand(DRAWS, -1, -1)
    start_B = torch.zeros(DRAWS, dtype=torch.long)
    return float(model.bound(rows_BTW, shares_B, start_B, None, within).sum() / DRAWS)


def equal(cases: Sequence[Case], filled: Sequence[np.ndarray]) -> float:
    """The share of free cells that are the true ones."""
    right = [rows[c.free] == c.rows[c.free] for c, rows in zip(cases, filled, strict=True)]
    return float(np.concatenate(right).mean())


def held(case: Case) -> np.ndarray:
    """Every free cell as the last kept one of its column, else the next kept one, else a rest."""
    rows = case.rows.copy()
    for column in range(rows.shape[1]):
        kept = np.flatnonzero(~case.free[:, column])
        for step in np.flatnonzero(case.free[:, column]):
            place = np.searchsorted(kept, step)
            near = kept[max(0, place - 1)] if len(kept) else None
            rows[step, column] = 0 if near is None else case.rows[near, column]
    return rows


def told_apart(pieces: Sequence[Piece], real: Sequence[Piece], seed: int) -> float:
    """Balanced accuracy of a classifier on features; both versions of a piece are in one fold."""
    _, values = profiles([*pieces, *real])
    groups = [str(number % len(pieces)) for number in range(len(values))]
    is_sample = np.arange(len(values)) < len(pieces)
    plan = Plan(resamples=200, seed=seed)
    return tell_apart(logistic(values), is_sample, groups, plan)[0].accuracy.value


def parallels(pieces: Sequence[Piece]) -> float:
    """Parallel fifths and octaves for 1,000 pairs of voices that move in one direction."""
    counts = [part_writing(piece) for piece in pieces]
    kinds = ("parallel_fifths", "parallel_octaves")
    below = sum(count["parallel_fifths"].below for count in counts)
    return 1000 * sum(count[kind].above for count in counts for kind in kinds) / max(below, 1)


def leaps(cases: Sequence[Case], filled: Sequence[np.ndarray]) -> float:
    """Of the edges of gaps within a voice, the share with a leap of more than a fifth."""
    found = []
    for case, rows in zip(cases, filled, strict=True):
        pitch = np.where(rows > 0, rows, -1)
        edges = (case.free[1:] != case.free[:-1]) & (pitch[1:] > 0) & (pitch[:-1] > 0)
        found.append(np.abs(np.diff(pitch, axis=0))[edges] > FIFTH)
    together = np.concatenate(found)
    return float(together.mean()) if len(together) else float("nan")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        cells = [row.get(name, "–") for name in names]
        shown = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_command(main)
