"""What a model computes for every piece although it follows from its weights alone.

A server makes many short pieces with one model. Before the first bar of each, tables of intervals
and distances were put together, the weights of an LSTM brought into oneDNN's order, and those of
every block of a transformer looked up. Here all of it happens once. The music is the same.
"""

from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from ostinato.models.autoregressive.music_transformer import Model as Relative
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.autoregressive.parts.intervals import Intervals
from ostinato.models.autoregressive.parts.transformer import Stack
from ostinato.sampling.autoregressive.packed import PackedLSTM, packed


def keep(model: nn.Module) -> None:
    """Let a model that only samples compute them once; it is changed."""
    for part in model.modules():
        if isinstance(part, Intervals):
            with torch.no_grad():
                table = part.rows()
            _replace(part, "rows", lambda table=table: table)
        if isinstance(part, Stack):
            with torch.no_grad():
                weights = part.weights()
            _replace(part, "weights", lambda weights=weights: weights)
        if isinstance(part, Relative):  # by the number of positions
            _replace(part, "_tables", cache(part._tables))
    if not isinstance(model, Autoregressive) or packed(model, 1) is model:
        return
    for part in model.modules():
        if isinstance(part, nn.LSTM):
            _replace(part, "forward", KeptLSTM(part))
    _replace(model, "recordable", False)  # the decoding loop would pack it again


class KeptLSTM:
    """`forward` of a layer, whose weights are packed once for every number of sequences."""

    def __init__(self, layer: nn.LSTM) -> None:
        self._layer = layer
        self._packed: dict[int, PackedLSTM] = {}

    def __call__(self, x_BTD: Tensor, state: Any = None) -> Any:
        """One position at a time packed, whole sequences as ever."""
        batch, length, _ = x_BTD.shape
        if length != 1 or state is None:
            return nn.LSTM.forward(self._layer, x_BTD, state)
        if batch not in self._packed:
            self._packed[batch] = PackedLSTM(self._layer, batch)
        return self._packed[batch].forward(x_BTD, cast(tuple[Tensor, Tensor], state))


def _replace(part: nn.Module, name: str, value: Any) -> None:
    """On this instance alone; torch's own __setattr__ takes it for a weight or a module."""
    object.__setattr__(part, name, value)
