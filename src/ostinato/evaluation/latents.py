"""What a scorer of a paradigm with latent variables offers besides the likelihood."""

# N vectors, Z dimensions

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from ostinato.models.spec import Given


@dataclass(frozen=True)
class Latents:
    """The vectors of a batch of pieces, one or more for each piece.

    piece: which of the batch, (N,). nats: of the plain bound, (N,). said: KL(q ‖ p) of every
    dimension, (N, Z). mean: of the posterior, (N, Z). cells: that a vector stands for, (N,). same:
    how many of them come back when the mean is decoded, taking the likeliest symbol each time,
    (N,).
    """

    piece_N: Tensor
    nats_N: Tensor
    said_NZ: Tensor
    mean_NZ: Tensor
    cells_N: Tensor
    same_N: Tensor


@runtime_checkable
class HasLatents(Protocol):
    """A scorer of such a paradigm."""

    def latents(self, batch_BTW: Tensor, given: Given | None = None) -> Latents:
        """Of whole pieces."""
