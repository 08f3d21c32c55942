"""Guidance without a classifier: what conditions change is exaggerated (Ho & Salimans 2022)."""

# B batch

from collections.abc import Callable

from torch import Tensor

from ostinato.models.spec import Given

Clean = Callable[[Tensor, Tensor, Given | None], Tensor]


def guided(clean: Clean, given: Given | None, weight: float) -> Callable[[Tensor, Tensor], Tensor]:
    """What is expected of noisy arrays at their levels (B,), with guidance (eq. 6):
    x̂(nothing) + w (x̂(given) - x̂(nothing)).

    clean: x̂ under conditions. weight: w; 1 takes one pass of the model instead of two.
    """

    def expected(noisy: Tensor, level_B: Tensor) -> Tensor:
        told = clean(noisy, level_B, given)
        if weight == 1 or given is None:
            return told
        without = clean(noisy, level_B, None)
        return without + weight * (told - without)

    return expected
