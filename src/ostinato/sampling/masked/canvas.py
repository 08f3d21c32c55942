"""What is known of a piece before its hidden cells are filled: rows, and which cells are free."""

# T positions, W columns

from dataclasses import dataclass, replace

import numpy as np
import torch

from ostinato.models.masked.absorbing import Model
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
class Canvas:
    """Rows (T, W), and which of their cells are to be filled; ended: whether the rows end."""

    rows: Tokens
    free: Mask
    ended: bool = True


def canvas_of(job: Job, model: Model, representation: Representation, random: Random) -> Canvas:
    """The canvas of a job; draws bar lines where the request leaves them open.

    Raises:
        ValueError: a prompt that holds no music, or a region outside the piece.
    """
    task, limit = job.request.task, job.request.bars
    if isinstance(task, Fill):
        rows, free = free_cells(representation, task, limit)
        return Canvas(rows, free)
    if isinstance(task, Vary):
        assert isinstance(task.piece, Piece)
        rows = prompt_of(representation, task.piece, limit)
        return Canvas(
            rows,
            notes_of(rows, voices_of(model, rows), task.strength, random, hold_of(representation)),
        )
    prompt = np.zeros((0, representation.width), np.int32)
    least = job.request.min_bars
    if isinstance(task, Continue):
        assert isinstance(task.prompt, Piece)
        prompt = prompt_of(representation, task.prompt, task.bars)
        if not len(prompt):
            name = task.prompt.source or task.prompt.id
            raise ValueError(f"prompt {name} holds no music to continue")
        least = max(least, int(task.bars) + 1)
    extent = Extent(limit, min(limit, least))
    canvas = blank(prompt, model, representation.grammar(extent, [prompt]), random)
    canvas.free[: len(prompt)] = False
    return canvas


def blank(prompt: Tokens, model: Model, grammar: Grammar, random: Random) -> Canvas:
    """A canvas whose cells are all free: of fixed length, or with bar lines as the model draws."""
    if model.bar_lines is None:
        assert grammar.most is not None
        rows = np.full((grammar.most, prompt.shape[1]), REST, np.int32)
        rows[: len(prompt)] = prompt
        return Canvas(rows, np.ones(rows.shape, dtype=bool), ended=False)
    column = prompt[:, 0].tolist()
    while not grammar.finished()[0]:
        column.append(_next_symbol(column, model, grammar, random))
        grammar.advance(np.array(column[-1:]), ONE, 0)
        for voice in range(1, prompt.shape[1]):
            grammar.advance(np.array([REST]), ONE, voice)
    rows = np.full((len(column), prompt.shape[1]), REST, np.int32)
    rows[: len(prompt)] = prompt
    rows[:, 0] = column
    ended = bool(grammar.ended()[0])
    return replace(Canvas(rows, voices_of(model, rows)), ended=ended)


@torch.inference_mode()
def _next_symbol(column: list[int], model: Model, grammar: Grammar, random: Random) -> int:
    assert model.bar_lines is not None
    device = model.columns_V.device
    column_1T = torch.tensor([column], dtype=torch.long, device=device)
    logits_K = model.bar_lines.logits(column_1T)[0, -1].double().cpu().numpy()
    symbols_K = model.bar_lines.symbols_K.cpu().numpy()
    allowed = grammar.allowed(0)
    weights_K = np.exp(logits_K - logits_K.max())
    if allowed is not None:
        weights_K = weights_K * allowed[0, symbols_K]
    total_K = weights_K.cumsum()
    return int(symbols_K[np.searchsorted(total_K, random.random() * total_K[-1], side="right")])


def voices_of(model: Model, rows: Tokens) -> Mask:
    """Which cells are voices, neither bar lines nor the end, (T, W)."""
    _, free = model.voices(torch.from_numpy(rows.astype(np.int64))[None].to(model.columns_V.device))
    mask: Mask = np.zeros(rows.shape, dtype=bool)
    mask[:, model.columns_V.cpu().numpy()] = free[0].cpu().numpy()
    return mask


def hold_of(representation: Representation) -> int:
    """The symbol of a cell that prolongs a note; -1 where there is none."""
    names = representation.vocabulary
    return names.index("hold") if "hold" in names else -1


def notes_of(rows: Tokens, voices: Mask, share: float, random: Random, hold: int = -1) -> Mask:
    """About this share of the voices' cells, as whole notes (and rests) drawn at random."""
    free = np.zeros(rows.shape, dtype=bool)
    spans: list[tuple[int, int, int]] = []
    for column in np.flatnonzero(voices.any(axis=0)).tolist():
        cells = rows[voices[:, column], column]
        starts = np.flatnonzero((np.diff(cells, prepend=-1) != 0) & (cells != hold))
        ends = np.append(starts[1:], len(cells))
        spans += [(column, *span) for span in zip(starts.tolist(), ends.tolist(), strict=True)]
    wanted, taken = share * voices.sum(), 0
    for number in random.permutation(len(spans)).tolist():
        column, start, end = spans[number]
        if taken + (end - start) / 2 > wanted:
            continue
        free[start:end, column] = True
        taken += end - start
    return free
