"""How many threads a step of sampling is worth.

One step of a small model is some hundred operations of microseconds each, and to share one among
threads takes as long as to compute it, much longer where other work has the cores.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

ALONE = 4_000_000  # products of weights and sequences in a step, below which one thread is best


@contextmanager
def fitting_threads(model: nn.Module, batch: int) -> Iterator[None]:
    """One thread while small steps are made, as many as torch was set to for large ones."""
    before = torch.get_num_threads()
    work = batch * sum(parameter.numel() for parameter in model.parameters())
    if work >= ALONE or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
