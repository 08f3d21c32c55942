"""Steps of a gpt with int8 weights: all blocks of one position are one call of ONNX Runtime."""

# B batch, D width, L layers, N heads, E width of a head, S slots of the ring

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.models.autoregressive.gpt import Cache, Model
from ostinato.models.layers.attention import Ring
from ostinato.models.layers.blocks import EPSILON
from ostinato.precision.graph import Array, Graph

FIRST_SLOTS = 64  # all slots are read in every step, so there are few at first
MORE_SLOTS = 128  # at most so many more at once: fewer, and copying takes longer than reading
NORMS = {"rms": "SimplifiedLayerNormalization", "layer": "LayerNormalization"}


class Steps:
    """`trunk_step` of a gpt.

    The cache is the model's own, but keys lie in it as (B, N, E, S), which a single query is
    multiplied with fastest, and with their even and odd numbers apart, which leaves products as
    they are.
    """

    def __init__(self, model: Model) -> None:
        self._model, self._session = model, _session(model)
        layers = range(model.config.layers)
        self._pasts = [(f"keys{layer}", f"values{layer}") for layer in layers]

    def __call__(self, x_BD: Tensor, rows_BW: Tensor, cache: Cache) -> Tensor:
        """One more position."""
        model, ring = self._model, cache.ring
        _make_room(ring)
        rotation = model._rotation(cache)
        if model.clock and cache.time:
            rotation = model._by_head(rotation, model.clock.step(rows_BW[:, 0], cache.time))
        place, (keys_L, values_L) = ring.position % ring.slots, _parts(ring.kept)
        feed: dict[str, Array] = {"x": x_BD.numpy(), "hidden": hidden(ring)}
        feed["cos"], feed["sin"] = _turns(rotation)
        for layer, (keys, values) in enumerate(self._pasts):
            feed[keys], feed[values] = keys_L[layer], values_L[layer]
        out_BD, new = self._session.run(None, feed)
        layers, _, _, heads, _, width = ring.kept.shape
        new_2L = new.reshape(-1, layers, 2, heads, width).transpose(2, 1, 0, 3, 4)
        keys_L[..., place], values_L[..., place, :] = new_2L
        ring.close()
        return torch.from_numpy(out_BD)


def _make_room(ring: Ring) -> None:
    """For one more position: few slots at first, more where they are full, up to the context."""
    if not ring.position:
        few = ring.kept[:, :, :, :, :FIRST_SLOTS]
        ring.kept = torch.zeros_like(few, memory_format=torch.contiguous_format)
    elif ring.position == ring.slots < ring.context:
        layers, two, batch, heads, slots, width = ring.kept.shape
        more = min(slots, MORE_SLOTS)
        size = (layers, two, batch, heads, min(slots + more, ring.context), width)
        before, ring.kept = ring.kept, ring.kept.new_zeros(size)
        for new, old in zip(_parts(ring.kept), _parts(before), strict=True):
            new[tuple(map(slice, old.shape))] = old


def _parts(kept: Tensor) -> tuple[Array, Array]:
    """Views of the keys, (L, B, N, E, S), and of the values, (L, B, N, S, E)."""
    keys, values = kept.numpy().swapaxes(0, 1)
    return keys.reshape(*keys.shape[:3], keys.shape[4], keys.shape[3]), values


def hidden(ring: Ring) -> Array:
    """0 for every slot that the next position sees, -inf for the others, (S,): its own slot, and
    those that are not filled.
    """
    hidden_S = np.zeros(ring.slots, np.float32)
    hidden_S[ring.position :] = -np.inf
    hidden_S[ring.position % ring.slots] = -np.inf
    return hidden_S


def _turns(rotation: Tensor) -> tuple[Array, Array]:
    """Cosines and sines, (B or 1, 2 N or 1, 1, E/2)."""
    turns = rotation.numpy()
    wide = turns.reshape(*(turns.shape[:2] if turns.ndim == 3 else (1, 1)), 1, -1)
    return np.ascontiguousarray(wide.real), np.ascontiguousarray(wide.imag)


def _session(model: Model) -> Any:
    config, graph = model.config, Graph()
    heads, width = config.heads, config.head_width
    x = graph.input("x", ("B", config.width))
    hidden_S = graph.input("hidden", ("S",))
    turn = [graph.input(name, ("R", "H", 1, width // 2)) for name in ("cos", "sin")]
    new = []
    for layer, weights in enumerate(model.weights()):
        block: Any = model.blocks[layer]
        past = [
            graph.input(f"keys{layer}", ("B", heads, width, "S")),
            graph.input(f"values{layer}", ("B", heads, "S", width)),
        ]
        normed = _norm(graph, config.norm, x, block.norm_attention)
        qkv = graph.product(normed, _apart(weights.qkv, heads))
        attended, added = _attend(graph, qkv, turn, [hidden_S, *past], heads)
        x = graph.op("Add", x, graph.product(attended, weights.out))
        normed = _norm(graph, config.norm, x, block.norm_forward)
        inner = _between(graph, config.feed_forward, graph.product(normed, weights.up))
        x = graph.op("Add", x, graph.product(inner, weights.down))
        new.append(added)
    out, kept = _norm(graph, config.norm, x, model.norm), graph.op("Concat", *new, axis=1)
    sizes = {out: ("B", config.width), kept: ("B", 2 * heads * len(new), width)}
    return graph.session(sizes)


def _apart(qkv: Tensor, heads: int) -> Tensor:
    """The matrix with the even columns of every query and key before the odd ones; queries are
    divided by √E.
    """
    inputs, width = len(qkv), qkv.shape[1] // (3 * heads)
    q, k, v = qkv.detach().view(inputs, 3, heads, width // 2, 2).unbind(1)
    qk = torch.stack([q * width**-0.5, k], dim=1).transpose(-1, -2)
    return torch.cat([qk.reshape(inputs, -1), v.reshape(inputs, -1)], dim=1)


def _norm(graph: Graph, kind: str, x: str, norm: Any) -> str:
    weight = graph.constant(norm.weight.detach().numpy())
    return graph.op(NORMS[kind], x, weight, axis=-1, epsilon=EPSILON)


def _attend(
    graph: Graph, qkv: str, turn: list[str], past: list[str], heads: int
) -> tuple[str, str]:
    """Weighted means of values, (B, D), and the new keys and values, (B, 2 N, E).

    past: what is hidden, keys and values.
    """
    hidden_S, keys, values = past
    qk, v = graph.split(graph.reshape(qkv, 0, 3 * heads, 2, -1), 1, 2 * heads, heads)
    even, odd = graph.split(qk, 2, 1, 1)
    cos, sin = turn
    turned_even = graph.op("Sub", graph.op("Mul", even, cos), graph.op("Mul", odd, sin))
    turned_odd = graph.op("Add", graph.op("Mul", even, sin), graph.op("Mul", odd, cos))
    turned = graph.op("Concat", turned_even, turned_odd, axis=2)
    q, k = graph.split(graph.reshape(turned, 0, 2 * heads, 1, -1), 1, heads, heads)
    v = graph.reshape(v, 0, heads, 1, -1)
    before = graph.op("Add", graph.op("MatMul", q, keys), hidden_S)
    newest = graph.op("ReduceSum", graph.op("Mul", q, k), graph.sizes(-1))
    shares = graph.op("Softmax", graph.op("Concat", newest, before, axis=-1), axis=-1)
    end = graph.sizes(np.iinfo(np.int64).max)
    own = graph.op("Slice", shares, graph.sizes(0), graph.sizes(1), graph.sizes(-1))
    others = graph.op("Slice", shares, graph.sizes(1), end, graph.sizes(-1))
    means = graph.op("Add", graph.op("MatMul", others, values), graph.op("Mul", own, v))
    new = graph.reshape(graph.op("Concat", k, v, axis=1), 0, 2 * heads, -1)
    return graph.reshape(means, 0, -1), new


def _between(graph: Graph, kind: str, inner: str) -> str:
    if kind == "squared_relu":
        positive = graph.op("Relu", inner)
        return graph.op("Mul", positive, positive)
    gate, value = graph.ops("Split", 2, inner, axis=-1, num_outputs=2)
    return graph.op("Mul", graph.op("QuickGelu", gate, alpha=1.0), value)
