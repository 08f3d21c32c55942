"""Bounds of whole pieces, with fixed draws."""

# B batch, T positions, W columns, N segments, L places, V voices, Z dimensions, K draws

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ostinato.models.spec import Given
from ostinato.models.variational.parts.segments import Segments

if TYPE_CHECKING:
    from ostinato.models.variational.vae import Model

SEED = 1


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
    with torch.random.fork_rng(devices=[rows_BTW.device] if rows_BTW.is_cuda else []):
        torch.manual_seed(seed)
        if weighted:
            nats_N = importance_weighted(model, segments, given, draws=draws)
        else:
            cells, said = elbo(model, segments, given, draws=draws)
            nats_N = cells.sum(dim=(1, 2)) + said.sum(dim=1)
    voices = len(model.columns_V)
    each_NLV = (nats_N / (segments.length * voices))[:, None, None].expand_as(segments.cells)
    total = torch.zeros(rows_BTW.shape, device=rows_BTW.device)
    total = total.index_add(2, model.columns_V, segments.to_rows(each_NLV).float())
    bars_BT = model.bar_nats(rows_BTW)
    if bars_BT is None or model.structure is None:
        return total
    column = torch.tensor([model.structure.bar_column], device=rows_BTW.device)
    return total.index_add(2, column, bars_BT.float()[..., None])
