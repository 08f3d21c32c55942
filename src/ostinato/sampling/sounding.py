"""Pieces without a note are made anew.

A band whose roles are left open draws them, and now and then draws the chord role alone, which is
written as symbols. Drawing again until a role plays gives each set of roles the probability that it
has among those that sound.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from ostinato.music.piece import Piece
from ostinato.sampling.request import Request, Unconditional
from ostinato.sampling.write import Sample
from ostinato.seeds import seed_of

TRIES = 10  # of a piece without a note, of which one in five or fewer is expected


class Generates(Protocol):
    """A generator of any system."""

    def generate_all(self, requests: Sequence[Request]) -> list[Sample]:
        """The pieces of several requests, one request after the other."""


def generate_sounding(generator: Generates, requests: Sequence[Request]) -> list[Sample]:
    """The pieces of several requests; how many attempts had no note is printed.

    A piece that is made anew has a seed of its own, which its row names.
    """
    made, anew = generator.generate_all(requests), 0
    jobs = [(request, request.first + n) for request in requests for n in range(request.n)]
    for attempt in range(1, TRIES + 1):
        silent = [place for place, job in enumerate(jobs) if is_silent(job[0], made[place].piece)]
        if not silent:
            break
        anew += len(silent)
        again = [
            replace(jobs[at][0], n=1, first=jobs[at][1], seed=seed_of_attempt(jobs[at][0], attempt))
            for at in silent
        ]
        for place, sample in zip(silent, generator.generate_all(again), strict=True):
            made[place] = sample
    if anew:
        print(f"note: {anew} without a note, made anew", file=sys.stderr)  # noqa: T201
    return made


def seed_of_attempt(request: Request, attempt: int) -> int:
    """The seed with which a piece without a note is made anew; attempts count from 1."""
    return seed_of("sounding", request.seed, attempt)


def is_silent(request: Request, piece: object) -> bool:
    """Whether a new piece has no note."""
    asked = isinstance(request.task, Unconditional)
    return asked and isinstance(piece, Piece) and not len(piece.notes)
