"""Steps of an LSTM on a CPU, with its weights in oneDNN's own order.

torch's LSTM brings its weights into that order in every call. For a whole sequence that is little,
for a single step it is four fifths of the time. The numbers are the same.
"""

# B batch, D width

import copy
from typing import cast

import torch
from torch import Tensor, nn

from ostinato.models.autoregressive.parts.base import Autoregressive

LSTM_MODE = 2  # of torch's numbers for kinds of recurrent layers


class PackedLSTM(nn.Module):
    """One layer of an LSTM without projection, for steps of B sequences; inference only."""

    def __init__(self, layer: nn.LSTM, batch: int) -> None:
        super().__init__()
        self.width = layer.hidden_size
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        reads, keeps, *biases = (layer.get_parameter(name) for name in names)
        shape = [1, batch, layer.input_size]
        reorder = torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight
        self.weights = (*reorder(reads, keeps, self.width, False, True, False, shape), *biases)

    def forward(
        self, x_B1D: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As nn.LSTM with batch_first, one position at a time."""
        step = torch.ops.aten.mkldnn_rnn_layer
        out, hidden, cell, _ = step(
            x_B1D.transpose(0, 1), *self.weights, *state,
            False, [], LSTM_MODE, self.width, 1, True, False, False, False,
        )  # fmt: skip
        return out.transpose(0, 1), (hidden, cell)


def packed(model: Autoregressive, batch: int) -> Autoregressive:
    """A model that shares these weights and takes steps of B sequences; itself where it has no
    LSTM, or where oneDNN does not run it.
    """
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not has_onednn or not hasattr(torch.ops.mkldnn, "_reorder_mkldnn_rnn_layer_weight"):
        return model
    return cast(Autoregressive, _packed(model, batch))


def _packed(module: nn.Module, batch: int) -> nn.Module:
    if isinstance(module, nn.LSTM):
        return PackedLSTM(module, batch) if _is_plain(module) else module
    parts = {
        name: part if part is None else _packed(part, batch)
        for name, part in module._modules.items()
    }
    if all(part is module._modules[name] for name, part in parts.items()):
        return module
    twin = copy.copy(module)
    twin._modules = parts
    return twin


def _is_plain(layer: nn.LSTM) -> bool:
    """Whether it is one layer from left to right, in single precision on a CPU."""
    weight = layer.get_parameter("weight_ih_l0")
    alone = layer.num_layers == 1 and not layer.bidirectional and not layer.proj_size
    known = (weight.device.type, weight.dtype) == ("cpu", torch.float32)
    return alone and known and bool(layer.bias) and layer.batch_first
