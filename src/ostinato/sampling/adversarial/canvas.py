"""What is known of a piece before its voices are made: rows, and which of their cells are free."""

# B batch, V vocabulary, T positions, W columns

from dataclasses import dataclass

import numpy as np

from ostinato.models.adversarial.gan import Model
from ostinato.representations.protocol import (
    Grammar,
    Mask,
    Representation,
    Structured,
    Tokens,
    read_meter,
)
from ostinato.sampling.gaps import free_cells
from ostinato.sampling.grids.opening import Random, opening_of
from ostinato.sampling.request import Fill
from ostinato.sampling.sampler import Job


@dataclass(frozen=True)
class Canvas:
    """Rows (T, W) without an end, and which of their cells are to be made; ended: whether the piece
    is over after them, and with `end`, by a row of its own.
    """

    rows: Tokens
    free: Mask
    ended: bool
    end: Tokens


def canvas_of(job: Job, model: Model, representation: Representation, random: Random) -> Canvas:
    """The canvas of a job; draws bar lines where the request leaves them open.

    Raises:
        ValueError: a prompt that holds no music, or a region outside the piece.
    """
    task = job.request.task
    if isinstance(task, Fill):
        rows, free = free_cells(representation, task, job.request.bars)
        return Canvas(rows, free, True, rows[:0])
    opening = opening_of(
        job,
        model.bar_lines,
        representation,
        random,
        lambda grammar: Short(grammar, model, representation),
    )
    rows, ended = opening.rows, opening.ended
    free = np.ones(rows.shape, dtype=bool)
    free[:, model.form.structure.bar_column] = False
    free[: opening.kept] = False
    last = len(rows) - ended
    return Canvas(rows[:last], free[:last], ended, rows[last:])


class Short:
    """A grammar without the meters whose bars are longer than the model's."""

    def __init__(self, grammar: Grammar, model: Model, representation: Representation) -> None:
        self._grammar = grammar
        self.advance, self.select, self.bars = grammar.advance, grammar.select, grammar.bars
        self.finished, self.ended = grammar.finished, grammar.ended
        self._open_V = np.ones(len(representation.vocabulary), dtype=bool)
        assert isinstance(representation, Structured)
        steps = getattr(representation, "steps_per_quarter", 4)
        for name, symbol in (representation.structure() or {})["meters"].items():
            numerator, denominator = read_meter(name)
            self._open_V[symbol] = 4 * steps * numerator <= model.form.bar_steps * denominator

    @property
    def most(self) -> int | None:
        """Largest possible number of positions."""
        return self._grammar.most

    def allowed(self, column: int = 0) -> Mask | None:
        """What may come next, (B, V)."""
        allowed = self._grammar.allowed(column)
        return self._open_V[None] if allowed is None else allowed & self._open_V
