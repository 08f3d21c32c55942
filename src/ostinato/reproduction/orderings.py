"""Coconet's likelihoods over random orderings: Algorithm 1 of Huang et al. 2017 (arXiv 1903.07227).

A piece is cut into groups of cells: the voices of a step (frame-wise), or single cells. An ordering
draws the order of the groups, and of the cells within each. A group is predicted from the true
cells of all groups before it and, within the group, from the model's own choices for the cells
before: the most probable symbols, as the published code writes them (the paper says: draws). Over
M orderings a group's probabilities are averaged, log 1/M Σ_m p_m, as in the paper: a group then
counts mostly as in the ordering that knew most around it, so this is no bound on the likelihood of
a piece. The mean over orderings of the nats is also given. With single cells it is the bound of an
order-agnostic model; with frames it is more than the chain rule's, because a wrong choice is held
against the rest of its frame.
"""

# T steps, W voices, G groups, K cells of a group, M orderings, S symbols

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

# (rows (B, T, W), hidden (B, T, W), a cell's step and voice (B,) each) -> its log p (B, S)
Predict = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
CHUNK = 32  # canvases at once


def frame_ordering(steps: int, voices: int, rng: np.random.Generator) -> np.ndarray:
    """Cells (step, voice) of all frames, frames and voices in random order, (G, K, 2)."""
    numbers = np.tile(np.arange(voices), (steps, 1))
    within = rng.permuted(numbers, axis=1)
    frames = np.repeat(rng.permutation(steps)[:, None], voices, axis=1)
    return np.stack([frames, within], axis=2)


def cell_ordering(steps: int, voices: int, rng: np.random.Generator) -> np.ndarray:
    """All cells (step, voice) in random order, each a group, (G, 1, 2)."""
    cells = rng.permutation(steps * voices)
    return np.stack(np.divmod(cells, voices), axis=1)[:, None]


ORDERINGS = {"frame": frame_ordering, "cell": cell_ordering}


@torch.inference_mode()
def group_nats(predict: Predict, piece_TW: Tensor, order_GK2: np.ndarray) -> np.ndarray:
    """Nats of every group under one ordering, (G,), by number of its first cell in time.

    Groups are independent given the ordering, because the truth is restored after each: one canvas
    for each group, and one prediction for each cell of a group.
    """
    order = torch.from_numpy(order_GK2)
    groups, cells = order.shape[:2]
    rank_TW = torch.empty(piece_TW.shape, dtype=torch.long)  # of the group that a cell belongs to
    rank_TW[order[..., 0], order[..., 1]] = torch.arange(groups)[:, None].expand(-1, cells)
    nats_G = torch.zeros(groups, dtype=torch.float64)
    for numbers in torch.split(torch.arange(groups), CHUNK):
        rows_BTW = piece_TW.repeat(len(numbers), 1, 1)
        hidden_BTW = rank_TW >= numbers[:, None, None]
        each = torch.arange(len(numbers))
        for turn in range(cells):
            step_B, voice_B = order[numbers, turn].unbind(1)
            logs_BS = predict(rows_BTW, hidden_BTW, step_B, voice_B)
            true_B = piece_TW[step_B, voice_B]
            nats_G[numbers] -= logs_BS[each, true_B].double()
            rows_BTW[each, step_B, voice_B] = logs_BS.argmax(dim=1)
            hidden_BTW[each, step_B, voice_B] = False
    place_G = (order[..., 0] * piece_TW.shape[1] + order[..., 1]).min(dim=1).values
    return nats_G[place_G.argsort()].numpy()


def ordered_nats(
    predict: Predict, piece_TW: Tensor, unit: str, orderings: int, rng: np.random.Generator
) -> np.ndarray:
    """Nats of every group in every ordering, (M, G); unit: a key of ORDERINGS."""
    steps, voices = piece_TW.shape
    draw = ORDERINGS[unit]
    return np.stack(
        [group_nats(predict, piece_TW, draw(steps, voices, rng)) for _ in range(orderings)]
    )


def averaged_probability(nats_MG: np.ndarray) -> np.ndarray:
    """Nats of the mean over orderings of every group's probability, (G,)."""
    mixed: np.ndarray = np.log(len(nats_MG)) - np.logaddexp.reduce(-nats_MG, axis=0)
    return mixed
