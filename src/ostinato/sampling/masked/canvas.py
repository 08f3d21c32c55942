"""Which cells of a piece are filled."""

# T positions, W columns

from dataclasses import replace

import numpy as np
import torch

from ostinato.models.masked.absorbing import Model
from ostinato.representations.protocol import Mask, Representation, Tokens
from ostinato.sampling.grids import opening
from ostinato.sampling.grids.opening import Canvas, Random
from ostinato.sampling.request import Fill, Vary
from ostinato.sampling.sampler import Job


def canvas_of(job: Job, model: Model, representation: Representation, random: Random) -> Canvas:
    """The canvas of a job, of a variation with whole notes that are free; raises ValueError as
    `opening.canvas_of`.
    """
    task = job.request.task
    canvas = opening.canvas_of(job, model.bar_lines, representation, random)
    if isinstance(task, Fill):
        return canvas
    voices = voices_of(model, canvas.rows)
    if isinstance(task, Vary):
        hold = hold_of(representation)
        free = notes_of(canvas.rows, voices, task.strength, random, hold)
        return replace(canvas, free=free)
    return replace(canvas, free=canvas.free & voices)


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
