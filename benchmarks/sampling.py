"""Sampling with a cache of keys and values: tokens a second, at temperature 1 without
truncation.
"""

from collections.abc import Callable

import torch

from benchmarks import peers
from benchmarks.measure import OURS, Race, in_turn
from ostinato.sampling.decode import draw
from ostinato.sampling.settings import Decoding

LENGTH = 256
AIMS = {1: {"transformers": 3.0}, 32: {"transformers": 2.0}}


def races(rounds: int) -> list[Race]:
    """For one sequence and for 32 in a batch."""
    makers = {OURS: _ours(), "transformers": _gpt2(), "x-transformers": _x_transformer()}
    return [
        Race(
            question=f"sampling {LENGTH} tokens, batch {batch}",
            unit="tokens",
            amount=batch * LENGTH,
            seconds=in_turn({name: _of(make, batch) for name, make in makers.items()}, rounds),
            aims=AIMS[batch],
        )
        for batch in AIMS
    ]


def _of(make: Callable[[int], None], batch: int) -> Callable[[], None]:
    return lambda: make(batch)


def _ours() -> Callable[[int], None]:
    model = peers.ours().eval()

    @torch.inference_mode()
    def make(batch: int) -> None:
        state = model.start(batch, LENGTH)
        for _ in range(LENGTH):
            logits_BV = model.next_logits(state)
            model.push(state, draw(logits_BV, torch.rand(batch), Decoding()))

    return make


def _gpt2() -> Callable[[int], None]:
    model = peers.gpt2().eval()

    def make(batch: int) -> None:
        begin = torch.zeros(batch, 1, dtype=torch.long)
        made = model.generate(
            begin,
            attention_mask=torch.ones_like(begin),
            do_sample=True,
            top_k=0,
            max_new_tokens=LENGTH,
            pad_token_id=0,
        )
        assert made.shape == (batch, LENGTH + 1)

    return make


def _x_transformer() -> Callable[[int], None]:
    from x_transformers import AutoregressiveWrapper

    wrapped = AutoregressiveWrapper(peers.x_transformer().eval())

    def make(batch: int) -> None:
        begin = torch.zeros(batch, 1, dtype=torch.long)
        made = wrapped.generate(
            begin, LENGTH, temperature=1.0, filter_logits_fn=_unchanged, cache_kv=True
        )
        assert made.shape == (batch, LENGTH)

    return make


def _unchanged(logits: torch.Tensor) -> torch.Tensor:
    return logits
