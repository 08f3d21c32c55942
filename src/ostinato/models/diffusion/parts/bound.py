"""The variational bound of whole pieces in nats, with fixed draws.

For rolls of ones and zeros with a Gaussian process between λ_max and λ_min (Kingma 2021, eq. 11 and
15 to 18), -log p(x) is at most the sum of

- KL(q(z | x) || N(0, 1)) at λ_min,
- ½ ∫ e^λ E|x - x̂(z_λ)|² dλ from λ_min to λ_max,
- E[-log p(x | z)] at λ_max, a softmax over the keys of each cell, log N(z; α e_k, σ²) + constant.

All are sums over cells. The integral is estimated without bias, whatever the network predicts, with
levels drawn as densely as the schedule has them.
"""

# B batch, T positions, W columns, V voices, S symbols

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.models.diffusion.parts import noise
from ostinato.models.diffusion.parts.bars import Frame
from ostinato.models.grids.parts.voices import SEED
from ostinato.models.spec import Given

Model = Any  # of ddpm.py, which imports this file


def bound_of(
    model: Model, rows_BTW: Tensor, given: Given | None, *, draws: int, seed: int = SEED
) -> Tensor:
    """Nats of every column of whole pieces, (B, T, W), 0 where it is PAD; differentiable.

    The mean of `draws` estimates whose noise levels are spread evenly. The bar column is exact. The
    same pieces in the same batch always get the same number.
    """
    device = rows_BTW.device
    start_B = torch.zeros(len(rows_BTW), dtype=torch.long, device=device)
    frame = model.frame(rows_BTW, start_B, given)
    cells_BTV, _ = model.voices(rows_BTW)
    rolls_BTVS = model.rolls(rows_BTW)
    random = torch.Generator().manual_seed(seed)
    highest, lowest = (float(model.log_snrs_S[end]) for end in (0, -1))
    total_BTV = _prior(rolls_BTVS, lowest) + _reading(cells_BTV, rolls_BTVS, frame, highest, random)
    for draw in range(draws):
        shares_B = (draw + torch.rand(len(rows_BTW), generator=random)) / draws
        level_B, slope_B = (found.to(device) for found in _level(model.log_snrs_S.cpu(), shares_B))
        fresh = torch.randn(rolls_BTVS.shape, generator=random).to(device)
        clean = model.clean(noise.noised(rolls_BTVS, fresh, level_B), level_B, frame)
        errors_BTV = (rolls_BTVS - clean).float().square().sum(dim=-1)
        weights_B = 0.5 * level_B.exp() * slope_B / draws
        total_BTV = total_BTV + errors_BTV * weights_B[:, None, None]
    nats_BTW: Tensor = model.with_bars(total_BTV * frame.free_BTV, rows_BTW)
    return nats_BTW


def _level(log_snrs_S: Tensor, shares_B: Tensor) -> tuple[Tensor, Tensor]:
    """λ at these shares, in [0, 1), of the process, between its steps, and -dλ/d share."""
    places_B = shares_B * (len(log_snrs_S) - 1)
    before_B = places_B.long().clamp(max=len(log_snrs_S) - 2)
    fall_B = log_snrs_S[before_B] - log_snrs_S[before_B + 1]
    level_B = log_snrs_S[before_B] - fall_B * (places_B - before_B)
    return level_B.float(), (fall_B * (len(log_snrs_S) - 1)).float()


def _prior(rolls_BTVS: Tensor, lowest: float) -> Tensor:
    """KL(N(α x, σ²) || N(0, 1)) = ½ (α² x² + σ² - 1 - log σ²) of every cell, (B, T, V)."""
    kept = torch.tensor(lowest, dtype=torch.float64).sigmoid()
    constant = float(-kept - torch.log1p(-kept))
    return 0.5 * (float(kept) * rolls_BTVS.square() + constant).sum(dim=-1)


def _reading(
    cells_BTV: Tensor, rolls_BTVS: Tensor, frame: Frame, highest: float, random: torch.Generator
) -> Tensor:
    """Nats of the cells given their least noisy values, (B, T, V)."""
    level_B = torch.full((len(cells_BTV),), highest, device=cells_BTV.device)
    fresh = torch.randn(rolls_BTVS.shape, generator=random).to(rolls_BTVS.device)
    logits = noise.evidence(noise.noised(rolls_BTVS, fresh, level_B), level_B)
    wanted_BTV = torch.where(frame.free_BTV, cells_BTV, 0)
    return F.cross_entropy(logits.movedim(-1, 1), wanted_BTV, reduction="none")
