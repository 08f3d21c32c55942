"""Which cells of training strips are given to the generator."""

# B batch, T positions, V voices

import torch
from torch import Tensor


def draw_known(there_BTV: Tensor, share: float, bar_steps: int) -> Tensor:
    """Of about `share` of the strips, drawn from torch's generator, some cells; none of the others.

    Half of them are a beginning, as for a continuation; a quarter some voices, a quarter all but
    some bars, as for filling gaps.
    """
    batch, length, voices = there_BTV.shape
    bars = length // bar_steps
    lots_B4 = torch.rand(batch, 4)
    steps_T = torch.arange(length)
    start_BT = steps_T < 1 + (lots_B4[:, 1:2] * (length - 1)).long()
    order_BV = torch.rand(batch, voices).argsort(dim=1)
    voices_BV = order_BV < 1 + (lots_B4[:, 1:2] * (voices - 1)).long()
    first_B1 = (lots_B4[:, 1:2] * bars).long()
    last_B1 = first_B1 + 1 + (lots_B4[:, 2:3] * (bars - first_B1)).long()
    bar_T = steps_T // bar_steps
    around_BT = (bar_T < first_B1) | (bar_T >= last_B1)
    kind_B11 = lots_B4[:, 3, None, None]
    known_BTV = torch.where(
        kind_B11 < 0.5,
        start_BT[..., None],
        torch.where(kind_B11 < 0.75, voices_BV[:, None], around_BT[..., None]),
    )
    chosen_B11 = lots_B4[:, 0, None, None] < share
    return (known_BTV & chosen_B11).to(there_BTV.device) & there_BTV
