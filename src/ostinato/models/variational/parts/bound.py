"""Bounds of whole pieces, with fixed draws."""

# B batch, T positions, W columns, N segments, L places, V voices, Z dimensions, K draws

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ostinato.models.grids.parts.voices import SEED, fixed_draws
from ostinato.models.spec import Given
from ostinato.models.variational.parts.segments import Segments

if TYPE_CHECKING:
    from ostinato.models.variational.vae import Model


def elbo(
    model: "Model", segments: Segments, given: Given | None, *, draws: int
) -> tuple[Tensor, Tensor]:
    """Nats of cells, (N, L, V), the mean of `draws`, and KL of every dimension, (N, Z).

    Their sum bounds the nats of a segment (Kingma & Welling 2014, eq. 3).
    """
    before_ND, posterior, prior = model.encoded(segments, given)
    nats = [model.decoded(segments, before_ND, posterior.sample()) for _ in range(draws)]
    return torch.stack(nats).mean(dim=0), posterior.kl(prior)


def importance_weighted(
    model: "Model", segments: Segments, given: Given | None, *, draws: int
) -> Tensor:
    """−log (1/K Σ_k p(x | z_k) p(z_k) / q(z_k)) of every segment, (N,) (Burda 2016, eq. 8)."""
    before_ND, posterior, prior = model.encoded(segments, given)
    logs = []
    for _ in range(draws):
        z_NZ = posterior.sample()
        nats_N = model.decoded(segments, before_ND, z_NZ).sum(dim=(1, 2))
        logs.append(prior.log_density(z_NZ) - posterior.log_density(z_NZ) - nats_N)
    return math.log(draws) - torch.stack(logs).logsumexp(dim=0)


def bound_of(
    model: "Model",
    rows_BTW: Tensor,
    given: Given | None,
    *,
    draws: int,
    weighted: bool,
    seed: int = SEED,
) -> Tensor:
    """Nats of every column of whole pieces, (B, T, W), 0 where it is PAD; differentiable.

    weighted: the importance-weighted bound instead of the plain one. A segment's nats are spread
    evenly over its cells: what its vector costs belongs to none of them. The bar column is exact.
    The same pieces in the same batch always get the same number.
    """
    segments = model.segments(rows_BTW)
    with fixed_draws(rows_BTW.device, seed):
        if weighted:
            nats_N = importance_weighted(model, segments, given, draws=draws)
        else:
            cells, said = elbo(model, segments, given, draws=draws)
            nats_N = cells.sum(dim=(1, 2)) + said.sum(dim=1)
    each_N = nats_N / (segments.length * len(model.columns_V))
    each_NLV = each_N[:, None, None].expand_as(segments.cells)
    return model.with_bars(segments.to_rows(each_NLV).float(), rows_BTW)
