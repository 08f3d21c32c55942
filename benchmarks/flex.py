"""Relative attention by distances: torch's flex attention beside our chunks with skewing.

Whether flex attention's backward runs on this processor is tried and said. Both work with queries
times all distances.
"""

import torch
from torch import Tensor

from benchmarks.measure import OURS, Case, Race, in_turn
from ostinato.models.parts.attention import query_chunks
from ostinato.models.parts.relative import by_distance

BATCH, HEADS, WIDTH, LENGTHS = 4, 4, 48, (256, 1024)


def cases() -> list[Case]:
    """At two lengths."""
    return [
        Case(name(length), lambda rounds, length=length: race(rounds, length)) for length in LENGTHS
    ]


def name(length: int) -> str:
    return f"flex, forward pass, length {length}"


def race(rounds: int, length: int) -> Race:
    torch.manual_seed(0)
    q, k, v = (torch.randn(BATCH, HEADS, length, WIDTH) for _ in range(3))
    table_NTE = torch.randn(HEADS, length, WIDTH)  # farthest first
    flex = compiled(length)
    torch.testing.assert_close(
        flex(q, k, v, table_NTE), ours(q, k, v, table_NTE), rtol=1e-4, atol=1e-4
    )
    print(f"flex attention, backward on this processor: {backward(flex, q, k, v, table_NTE)}")
    with torch.no_grad():
        seconds = in_turn(
            {
                OURS: lambda: ours(q, k, v, table_NTE),
                "flex attention": lambda: flex(q, k, v, table_NTE),
            },
            rounds,
        )
    return Race(
        question=name(length), unit="positions", amount=BATCH * length, seconds=seconds, aims={}
    )


def ours(q: Tensor, k: Tensor, v: Tensor, table_NTE: Tensor) -> Tensor:
    """As music_transformer attends, in chunks of queries."""
    T, E = q.shape[2:]
    parts = []
    for first, start, end, mask in query_chunks(T, T, q.device):
        asks_NBCE = q[:, :, start:end].transpose(0, 1)
        scores = by_distance(asks_NBCE, table_NTE, end - first)
        scores = scores + q[:, :, start:end] @ k[:, :, first:end].transpose(2, 3)
        hidden = 0.0 if mask is None else mask
        parts.append((scores * E**-0.5 + hidden).softmax(dim=-1) @ v[:, :, first:end])
    return torch.cat(parts, dim=2)


def compiled(length: int):  # type: ignore[no-untyped-def]
    """The same by flex attention, compiled, which is the form that is quick."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    mask = create_block_mask(lambda b, h, t, s: t >= s, None, None, length, length, device="cpu")
    attend = torch.compile(flex_attention)

    def run(q: Tensor, k: Tensor, v: Tensor, table_NTE: Tensor) -> Tensor:
        asked_BNTT = (q @ table_NTE.transpose(1, 2)).flip(-1)  # by distance, the nearest first
        scale = q.shape[-1] ** -0.5

        def add(score: Tensor, b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:
            return score + scale * asked_BNTT[b, h, t, (t - s).clamp(min=0)]

        out: Tensor = attend(q, k, v, score_mod=add, block_mask=mask, scale=scale)
        return out

    return run


def backward(flex, *given: Tensor) -> str:  # type: ignore[no-untyped-def]
    """Whether gradients come back."""
    try:
        flex(*(tensor.clone().requires_grad_() for tensor in given)).sum().backward()
    except Exception as error:
        return f"refused ({type(error).__name__}: {str(error).splitlines()[0][:120]})"
    return "runs"
