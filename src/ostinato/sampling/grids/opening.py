"""What is known of a piece before its voices are made: rows with bar lines, and what is kept."""

# T positions, W columns

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ostinato.models.layers.bar_lines import BarLines
from ostinato.music.piece import Piece
from ostinato.representations.protocol import Extent, Grammar, Mask, Representation, Tokens
from ostinato.sampling.gaps import free_cells
from ostinato.sampling.prompts import prompt_of
from ostinato.sampling.request import Continue, Fill, Vary
from ostinato.sampling.sampler import Job

REST = 0
ONE = np.ones(1, dtype=bool)
Random = np.random.Generator


@dataclass(frozen=True)
class Opening:
    """Rows (T, W) of which the first `kept` are a prompt; ended: whether they end by themselves."""

    rows: Tokens
    kept: int
    ended: bool


@dataclass(frozen=True)
class Canvas:
    """Rows (T, W), and which of their cells are to be made.

    strength: of a variation, else 1: nothing is left of free cells. ended: whether the rows end by
    themselves.
    """

    rows: Tokens
    free: Mask
    strength: float = 1.0
    ended: bool = True


def canvas_of(
    job: Job, bar_lines: BarLines | None, representation: Representation, random: Random
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
        return Canvas(rows, np.full(rows.shape, task.strength > 0), task.strength)
    opening = opening_of(job, bar_lines, representation, random)
    free = np.ones(opening.rows.shape, dtype=bool)
    free[: opening.kept] = False
    return Canvas(opening.rows, free, ended=opening.ended)


def opening_of(
    job: Job,
    bar_lines: BarLines | None,
    representation: Representation,
    random: Random,
    within: Callable[[Grammar], Grammar] = lambda grammar: grammar,
) -> Opening:
    """The prompt of a continuation, or nothing, and bar lines drawn after it.

    within: narrows what bar lines there may be.

    Raises:
        ValueError: a prompt that holds no music.
    """
    task, limit, least = job.request.task, job.request.bars, job.request.min_bars
    prompt = np.zeros((0, representation.width), np.int32)
    if isinstance(task, Continue):
        assert isinstance(task.prompt, Piece)
        prompt = prompt_of(representation, task.prompt, task.bars)
        if not len(prompt):
            name = task.prompt.source or task.prompt.id
            raise ValueError(f"prompt {name} holds no music to continue")
        least = max(least, int(task.bars) + 1)
    grammar = within(representation.grammar(Extent(limit, min(limit, least)), [prompt]))
    rows, ended = blank_rows(prompt, bar_lines, grammar, random)
    return Opening(rows, len(prompt), ended)


def blank_rows(
    prompt: Tokens, bar_lines: BarLines | None, grammar: Grammar, random: Random
) -> tuple[Tokens, bool]:
    """The rows of a prompt and resting ones after them, and whether they end by themselves.

    grammar: of one sequence, which begins with the prompt. Without bar lines there are as many rows
    as it allows.
    """
    if bar_lines is None:
        assert grammar.most is not None
        rows = np.full((grammar.most, prompt.shape[1]), REST, np.int32)
        rows[: len(prompt)] = prompt
        return rows, False
    column = prompt[:, 0].tolist()
    while not grammar.finished()[0]:
        column.append(_next_symbol(column, bar_lines, grammar, random))
        grammar.advance(np.array(column[-1:]), ONE, 0)
        for voice in range(1, prompt.shape[1]):
            grammar.advance(np.array([REST]), ONE, voice)
    rows = np.full((len(column), prompt.shape[1]), REST, np.int32)
    rows[: len(prompt)] = prompt
    rows[:, 0] = column
    return rows, bool(grammar.ended()[0])


@torch.inference_mode()
def _next_symbol(column: list[int], bar_lines: BarLines, grammar: Grammar, random: Random) -> int:
    device = bar_lines.symbols_K.device
    column_1T = torch.tensor([column], dtype=torch.long, device=device)
    logits_K = bar_lines.logits(column_1T)[0, -1].double().cpu().numpy()
    symbols_K = bar_lines.symbols_K.cpu().numpy()
    allowed = grammar.allowed(0)
    weights_K = np.exp(logits_K - logits_K.max())
    if allowed is not None:
        weights_K = weights_K * allowed[0, symbols_K]
    total_K = weights_K.cumsum()
    return int(symbols_K[np.searchsorted(total_K, random.random() * total_K[-1], side="right")])
