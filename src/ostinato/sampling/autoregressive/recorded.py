"""Steps of a model as CUDA graphs: the same kernels, without Python and launches between them.

A step of sampling is many small kernels, and on a GPU launching one takes longer than running it.
Here the pushes of the W sub-tokens of a position are captured once, one graph each, and replayed
for every position. The next push reads the new tensors of the last one where they are; after the
last push of a position they are copied back to where the first one reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from ostinato.models.autoregressive.parts.base import Autoregressive, State
from ostinato.models.spec import Given
from ostinato.sampling.autoregressive.packed import packed


@dataclass
class Recording:
    """A batch of sequences that are being sampled.

    logits_BV: of the next sub-token. token_B: where the graphs read the one that is pushed. kept:
    the other tensors that they read, held here so that their memory is not reused.
    graphs: one for each sub-token of a position, with the logits that it ends in. filled: how many
    the current position has. left: positions that there is room for.
    """

    logits_BV: Tensor
    token_B: Tensor
    kept: tuple[State, list[Tensor]]
    graphs: list[tuple[torch.cuda.CUDAGraph, Tensor]]
    left: int
    filled: int = 0


class Recorded:
    """A model with the methods that the decoding loop needs, by replaying graphs."""

    def __init__(self, model: Autoregressive) -> None:
        self.model, self.shape, self.order = model, model.shape, model.order
        device = next(model.parameters()).device
        self._aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def start(self, batch: int, length: int, given: Given | None = None) -> Recording:
        """The state before the first sub-token of pieces of at most `length` positions."""
        model, width = self.model, self.shape.width
        device = next(model.parameters()).device
        token_B = torch.zeros(batch, dtype=torch.long, device=device)
        aside = self._aside
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):  # libraries allocate at their first calls
            trial = model.start(batch, length, fixed=True, given=given)
            for _ in range(2 * width):
                model.next_logits(trial)
                model.push(trial, token_B)
            del trial
        torch.cuda.current_stream(device).wait_stream(aside)
        state = model.start(batch, length, fixed=True, given=given)
        first_BV, begins = model.next_logits(state), list(tensors_of(state))
        graphs = capture(model, state, token_B, begins)
        return Recording(first_BV, token_B, (state, begins), graphs, left=length)

    def next_logits(self, recording: Recording) -> Tensor:
        """Logits of the next sub-token, (B, V); the next push writes others."""
        return recording.logits_BV

    def push(self, recording: Recording, subtoken_B: Tensor) -> None:
        """Append one sub-token to every sequence.

        Raises:
            ValueError: beyond the length that was started with.
        """
        if not recording.left:
            raise ValueError(
                "a recording has no more positions than it was started with: start a longer"
            )
        recording.token_B.copy_(subtoken_B)
        graph, recording.logits_BV = recording.graphs[recording.filled]
        graph.replay()
        recording.filled = (recording.filled + 1) % self.shape.width
        recording.left -= not recording.filled


def stepper(model: Autoregressive, batch: int) -> Autoregressive | Recorded:
    """The model's fastest way to step B sequences: recorded on a GPU, where its steps can be."""
    on_gpu = next(model.parameters()).device.type == "cuda"
    if not model.recordable:
        return model
    return Recorded(model) if on_gpu else packed(model, batch)


def capture(
    model: Autoregressive, state: State, token_B: Tensor, begins: list[Tensor]
) -> list[tuple[torch.cuda.CUDAGraph, Tensor]]:
    """Capture the pushes of one position, from a state in which it is about to begin.

    begins: the state's tensors. Capturing runs nothing, so it is still to be read there afterwards.
    """
    pool, width = torch.cuda.graph_pool_handle(), model.shape.width
    graphs = []
    for filled in range(width):
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            model.push(state, token_B)
            logits_BV = model.next_logits(state)
            if filled == width - 1:
                put_back(begins, list(tensors_of(state)))
        graphs.append((graph, logits_BV))
    return graphs


def put_back(before: list[Tensor], after: list[Tensor]) -> None:
    """Copy what lies in new tensors to where the first step of a position reads it."""
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old is not new]
    places = {old.data_ptr() for old, _ in moved}
    if places & {new.data_ptr() for _, new in moved}:
        raise RuntimeError("tensors of a state changed places: such a step cannot be recorded")
    for old, new in moved:
        old.copy_(new)


def tensors_of(part: Any) -> Iterator[Tensor]:
    """All tensors of a state, in the order of its fields."""
    if isinstance(part, Tensor):
        yield part
    elif is_dataclass(part) and not isinstance(part, type):
        for field in fields(part):
            yield from tensors_of(getattr(part, field.name))
    elif isinstance(part, (list, tuple)):
        for item in part:
            yield from tensors_of(item)
