"""Steps of an LSTM with int8 weights: all layers of one position are one call of ONNX Runtime."""

# B batch, D width, L layers

from typing import Any

import torch
from torch import Tensor, nn

from ostinato.models.autoregressive.lstm import LayerState, Model
from ostinato.precision.graph import Graph


class Steps:
    """`trunk_step` of an LSTM."""

    def __init__(self, model: Model) -> None:
        self._session = _session(model)

    def __call__(self, x_BD: Tensor, rows_BW: Tensor, cache: list[LayerState]) -> Tensor:
        """One more position."""
        feed = {"x": x_BD.numpy()}
        for layer, (hidden, cell) in enumerate(cache):
            feed[f"hidden{layer}"], feed[f"cell{layer}"] = hidden[0].numpy(), cell[0].numpy()
        out_BD, *states = (torch.from_numpy(found) for found in self._session.run(None, feed))
        states = [state[None] for state in states]
        cache[:] = zip(states[::2], states[1::2], strict=True)
        return out_BD


def _session(model: Model) -> Any:
    graph, width = Graph(), model.width
    layers: list[Any] = list(model.layers)
    x = graph.input("x", ("B", layers[0].input_size))
    outputs: dict[str, tuple[str, int]] = {}
    for number, layer in enumerate(layers):
        hidden, cell = (graph.input(f"{name}{number}", ("B", width)) for name in ("hidden", "cell"))
        read = graph.op("Concat", _norm(graph, x, model.norms[number]), hidden, axis=-1)
        hidden, cell = _cell(graph, read, cell, layer)
        x = graph.op("Add", x, hidden) if model.residual else hidden
        outputs |= {hidden: ("B", width), cell: ("B", width)}
    out = graph.op("Identity", _norm(graph, x, model.norms[len(layers)]))
    return graph.session({out: ("B", width), **outputs})


def _cell(graph: Graph, read: str, cell: str, layer: Any) -> tuple[str, str]:
    """The new hidden and cell state (Hochreiter & Schmidhuber 1997, with forget gates)."""
    weight = torch.cat([layer.weight_ih_l0, layer.weight_hh_l0], dim=1).T
    bias = graph.constant((layer.bias_ih_l0 + layer.bias_hh_l0).detach().numpy())
    gates = graph.op("Add", graph.product(read, weight), bias)
    width = layer.hidden_size
    let_in, keep, new, out = graph.split(gates, -1, width, width, width, width)
    kept = graph.op("Mul", graph.op("Sigmoid", keep), cell)
    added = graph.op("Mul", graph.op("Sigmoid", let_in), graph.op("Tanh", new))
    after = graph.op("Add", kept, added)
    return graph.op("Mul", graph.op("Sigmoid", out), graph.op("Tanh", after)), after


def _norm(graph: Graph, x: str, norm: nn.Module) -> str:
    if not isinstance(norm, nn.LayerNorm):
        return x
    arrays = [graph.constant(part.detach().numpy()) for part in (norm.weight, norm.bias)]
    return graph.op("LayerNormalization", x, *arrays, axis=-1, epsilon=norm.eps)
