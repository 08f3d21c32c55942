"""The last bar of a piece once more, until it closes.

Bar lines and the end are drawn before the music, so nothing in a last bar knows that it closes.
"""

# T positions, W columns

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ostinato.metrics.closing import closing_of
from ostinato.metrics.steps import steps_of
from ostinato.representations.protocol import Representation, Tokens
from ostinato.sampling.request import Continue, Unconditional
from ostinato.sampling.sampler import Job
from ostinato.sampling.variational.plan import Plan
from ostinato.seeds import seed_of

ROUNDS, EACH = 3, 8  # how often, and how many last bars are drawn at a time
WANTED = {"any": 0, "triad": 1, "tonic": 2}  # the least value of `closing`
Draw = Callable[[Sequence[int], Sequence[Plan], Sequence[int]], Sequence[Tokens]]


def closed(
    jobs: Sequence[Job],
    plans: Sequence[Plan],
    drawn: Sequence[Tokens],
    draw: Draw,
    representation: Representation,
    end_on: str,
) -> list[Tokens]:
    """The rows of every plan (T, W). A piece that ends itself and does not close as `end_on` asks
    gets the first of up to ROUNDS · EACH other last bars that does, else the one that closes best.

    What is kept stays, and other tasks than Unconditional and Continue are left as they are.

    Args:
        draw: pieces of jobs of these numbers, by these plans, with these seeds.
    """
    rows, wanted = list(drawn), WANTED[end_on]
    value = {
        number: closing(representation, rows[number])
        for number, (job, plan) in enumerate(zip(jobs, plans, strict=True))
        if wanted and plan.ended and isinstance(job.request.task, Unconditional | Continue)
    }
    free = {
        number: _but_the_last_bar(plans[number], rows[number], representation) for number in value
    }
    for once in range(ROUNDS):
        numbers = [n for n in value if value[n] < wanted and not free[n].is_kept().all()]
        each = [number for number in numbers for _ in range(EACH)]
        if not each:
            break
        seeds = [
            seed_of("last bar", jobs[number].seed, once, trial)
            for number in numbers
            for trial in range(EACH)
        ]
        for number, found in zip(each, draw(each, [free[n] for n in each], seeds), strict=True):
            if (
                value[number] < wanted
                and (better := closing(representation, found)) > value[number]
            ):
                rows[number], value[number] = found, better
    return rows


def closing(representation: Representation, rows: Tokens) -> int:
    """2 for an end on the tonic's triad, 1 for one on another triad, 0 (metrics/closing.py)."""
    found = closing_of(steps_of(representation.decode(rows)))
    return 0 if found is None or not found.is_triad else 1 + found.is_tonic


def _but_the_last_bar(plan: Plan, rows: Tokens, representation: Representation) -> Plan:
    last = max(representation.bar_starts(rows).values())
    return replace(plan, rows=rows, kept=plan.is_kept() | (np.arange(len(rows)) < last))
