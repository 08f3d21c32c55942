"""What is known of a piece before its voices are made: rows, what is kept, how much noise."""

# T positions, W columns

from dataclasses import dataclass

import numpy as np

from ostinato.models.diffusion.ddpm import Model
from ostinato.music.piece import Piece
from ostinato.representations.protocol import Extent, Mask, Representation, Tokens
from ostinato.sampling.bar_lines import blank_rows
from ostinato.sampling.gaps import free_cells
from ostinato.sampling.prompts import prompt_of
from ostinato.sampling.request import Continue, Fill, Vary
from ostinato.sampling.sampler import Job


@dataclass(frozen=True)
class Canvas:
    """Rows (T, W), and which of their cells are made anew.

    strength: share of the process that the rows go through; at 1 nothing is left of free cells.
    ended: whether the rows end by themselves.
    """

    rows: Tokens
    free: Mask
    strength: float = 1.0
    ended: bool = True


def canvas_of(
    job: Job, model: Model, representation: Representation, random: np.random.Generator
) -> Canvas:
    """The canvas of a job; draws bar lines where the request leaves them open.

    Raises:
        ValueError: a prompt that holds no music, or a region outside the piece.
    """
    task, limit = job.request.task, job.request.bars
    if isinstance(task, Fill):
        return Canvas(*free_cells(representation, task, limit))
    if isinstance(task, Vary):
        assert isinstance(task.piece, Piece)
        rows = prompt_of(representation, task.piece, limit)
        free = np.full(rows.shape, task.strength > 0)
        return Canvas(rows, free, task.strength)
    prompt = np.zeros((0, representation.width), np.int32)
    least = job.request.min_bars
    if isinstance(task, Continue):
        assert isinstance(task.prompt, Piece)
        prompt = prompt_of(representation, task.prompt, task.bars)
        if not len(prompt):
            name = task.prompt.source or task.prompt.id
            raise ValueError(f"prompt {name} holds no music to continue")
        least = max(least, int(task.bars) + 1)
    grammar = representation.grammar(Extent(limit, min(limit, least)), [prompt])
    rows, ended = blank_rows(prompt, model.bar_lines, grammar, random)
    free = np.ones(rows.shape, dtype=bool)
    free[: len(prompt)] = False
    return Canvas(rows, free, ended=ended)
