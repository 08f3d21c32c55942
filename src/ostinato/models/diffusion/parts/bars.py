"""What bar lines say about a position: where in the bar it is, how near the piece's two ends."""

# B batch, T positions, W columns, V voices

from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.models.spec import PAD, Given, Structure

NEAR = 32  # steps from the beginning or to the end; farther ones look alike


class Frame(NamedTuple):
    """What is known of pieces besides their voices.

    free_BTV: which cells are music, neither PAD nor in the end. clocks_3BT: the
    place in the bar, and `distances`. given: codes of the conditions that the model uses.
    """

    free_BTV: Tensor
    clocks_3BT: Tensor
    given: Given | None = None


def distances(
    rows_BTW: Tensor, start_B: Tensor, structure: Structure | None
) -> tuple[Tensor, Tensor]:
    """Steps since the beginning and steps to the end, (B, T) each, at most NEAR.

    The end is at NEAR where it is not among the rows, as in grids without bars.
    """
    length = rows_BTW.shape[1]
    steps_T = torch.arange(length, device=rows_BTW.device)
    since_BT = (start_B[:, None] + steps_T).clamp(max=NEAR)
    if structure is None:
        return since_BT, torch.full_like(since_BT, NEAR)
    column_BT = rows_BTW[..., structure.bar_column]
    ends_BT = column_BT == (PAD if structure.end is None else structure.end)
    found_B = torch.where(ends_BT.any(dim=1), ends_BT.int().argmax(dim=1), length + NEAR)
    return since_BT, (found_B[:, None] - steps_T).clamp(0, NEAR)


def aligned(
    rows_BTW: Tensor, start_B: Tensor, structure: Structure | None
) -> tuple[Tensor, Tensor]:
    """Crops that begin with their first bar line, PAD at their ends, and their starts.

    So a U-Net finds the beats at its own divisions of time, as in whole pieces. Beginnings of
    pieces stay, and so do crops of grids without bars.
    """
    if structure is None:
        return rows_BTW, start_B
    column_BT = rows_BTW[..., structure.bar_column]
    lines_BT = (column_BT != structure.inside) & (column_BT != PAD)
    first_B = torch.where(start_B == 0, 0, lines_BT.int().argmax(dim=1))
    steps_BT = first_B[:, None] + torch.arange(rows_BTW.shape[1], device=rows_BTW.device)
    index_BTW = steps_BT.clamp(max=rows_BTW.shape[1] - 1)[..., None].expand_as(rows_BTW)
    beyond_BT1 = (steps_BT >= rows_BTW.shape[1])[..., None]
    return rows_BTW.gather(1, index_BTW).masked_fill(beyond_BT1, PAD), start_B + first_B
