"""The variational bound of whole pieces in nats, with fixed draws.

-log p(x) ≤ E_q[-log p(x | z) + log q(z | x) - log p(z)] (Vahdat 2021, eq. 1 to 3), where
-log p(z) = -log p(u) + Σ log scale, and the diffusion of all vectors u of a piece has a bound in
continuous time (Kingma 2021, eq. 11 and 15 to 18): what the noisiest level costs, what u costs
given the least noisy one, and ½ ∫ e^λ E|u - û(u_λ)|² dλ between. If the network predicts the
velocity 0, which is right for normal u, the three together are the nats of a normal u. So only the
difference that the network makes is estimated, e^λ (|u - û|² - |u - û₀|²) = α² (|v̂|² - 2 v·v̂), with
λ drawn evenly: estimates of the whole differ by more than the figure itself.
"""

# B batch, T positions, W columns, N segments, Z dimensions

import math
from typing import Any

import torch
from torch import Tensor

from ostinato.models.diffusion.parts import noise
from ostinato.models.grids.parts.voices import SEED, fixed_draws
from ostinato.models.variational.parts.segments import Segments

Model = Any  # of latent_ddpm.py, which imports this file


def bound_of(model: Model, rows_BTW: Tensor, *, draws: int, seed: int = SEED) -> Tensor:
    """Nats of every column of whole pieces, (B, T, W), 0 where it is PAD; differentiable.

    The mean of `draws` vectors of every segment, at levels spread evenly. A segment's nats are
    spread evenly over its cells. The bar column is exact. The same pieces in the same batch always
    get the same number.
    """
    vae = model.vae
    segments = vae.segments(rows_BTW)
    with fixed_draws(rows_BTW.device, seed):
        before_ND, posterior, _ = vae.encoded(segments)
        total_N = torch.zeros(len(before_ND), device=rows_BTW.device)
        for draw in range(draws):
            z_NZ = posterior.sample()
            cells_N = vae.decoded(segments, before_ND, z_NZ).sum(dim=(1, 2))
            shares_B = (draw + torch.rand(len(rows_BTW))) / draws
            prior_N = prior_nats(model, z_NZ, segments, shares_B.to(rows_BTW.device))
            total_N = total_N + cells_N + posterior.log_density(z_NZ) + prior_N
    each_N = total_N / draws / (segments.length * len(vae.columns_V))
    each_NLV = each_N[:, None, None].expand_as(segments.cells)
    nats_BTW: Tensor = vae.with_bars(segments.to_rows(each_NLV).float(), rows_BTW)
    return nats_BTW


def prior_nats(model: Model, z_NZ: Tensor, segments: Segments, shares_B: Tensor) -> Tensor:
    """An estimate of the bound of -log p(z), shared out over the segments, (N,).

    shares: where between the noisiest level, 0, and the least noisy one, 1, λ lies.
    """
    u_NZ = model.scaled(z_NZ)
    highest, lowest = (float(model.log_snrs_S[end]) for end in (0, -1))
    level_B = lowest + (highest - lowest) * shares_B
    clean = segments.by_piece(u_NZ)
    fresh = torch.randn(clean.shape).to(clean)
    found = model.velocity(noise.noised(clean, fresh, level_B), level_B, segments)
    wanted = noise.target_of("velocity", clean, fresh, level_B)
    differs = (found.square() - 2 * wanted * found).sum(dim=-1)
    differs = 0.5 * (highest - lowest) * level_B.sigmoid()[:, None] * differs
    kept = 1 / (1 + math.exp(-highest))  # α² of the least noisy level
    constant = math.log(2 * math.pi) + math.log1p(math.exp(-highest)) + 1 - kept
    normal_N = 0.5 * (kept * u_NZ.square() + constant).sum(dim=1)
    scale: Tensor = model.scale_Z.log().sum()
    return normal_N + segments.of_pieces(differs[..., None])[:, 0] + scale
