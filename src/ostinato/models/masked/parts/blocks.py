"""Which cells are hidden together in training.

Cells hidden independently never look like a piece with a gap of two bars, or with one voice alone.
So in a part of the pieces whole blocks are hidden: the bound is not learned from these, but what
filling gaps and harmonizing ask for.
"""

# B batch, T positions, W voices

import torch
from torch import Tensor

LENGTHS = (2, 4, 8, 16, 32)  # of a block, in steps


def block_lots(batch: int, length: int, voices: int, every: int) -> Tensor:
    """Numbers in [0, 1) from torch's generator, (B, T, W); the lowest are hidden first.

    Independent but for one of `every` pieces, where they are nearly the same within blocks: of one
    voice; of all voices; or of one voice, where some voices are hidden before others. 0: none.
    """
    lots_BTW = torch.rand(batch, length, voices)
    for piece in range(0, batch, every) if every else ():
        span = LENGTHS[int(torch.randint(len(LENGTHS), ()))]
        first = int(torch.randint(span, ()))
        coarse = torch.rand(length // span + 2, voices)
        kind = int(torch.randint(3, ()))
        if kind == 1:
            coarse = coarse[:, :1].expand(-1, voices)
        if kind == 2:
            coarse = (coarse / 2 + torch.rand(voices)) / 1.5
        blocks_TW = coarse.repeat_interleave(span, dim=0)[first : first + length]
        lots_BTW[piece] = 0.99 * blocks_TW + 0.01 * lots_BTW[piece]
    return lots_BTW
