"""Attention by other means than our chunks of queries: torch's flex attention, and its fused one.

Flex attention is beside relative attention by distances, with queries times all distances on both
sides; whether its backward runs on this processor is tried and said. The fused one is beside plain
attention, as gpt has it, and beside relative attention, where it is given the bias of all pairs as
its mask; forward and backward, as in training.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measure import OURS, Case, Race, in_turn
from ostinato.models.autoregressive import gpt, music_transformer
from ostinato.models.autoregressive.parts.relative import by_distance
from ostinato.models.layers.attention import CHUNK, query_chunks

BATCH, HEADS, WIDTH, LENGTHS = 4, 4, 48, (256, 1024)
FUSED, FUSED_LENGTHS, POSITIONS = "fused attention", (512, 2048), 2048
Attend = Callable[..., Tensor]


def cases() -> list[Case]:
    """Flex attention at two lengths, then the fused one at two, of both kinds."""
    return [
        *[Case(name(n), lambda rounds, length=n: race(rounds, length)) for n in LENGTHS],
        *[
            Case(fused_name(*case), lambda rounds, case=case: fused_race(rounds, *case))
            for case in ((kind, length) for kind in KINDS for length in FUSED_LENGTHS)
        ],
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


def fused_name(kind: str, length: int) -> str:
    return f"flex, {kind} attention in chunks, forward and backward pass, length {length}"


def fused_race(rounds: int, kind: str, length: int) -> Race:
    """As many positions at any length."""
    torch.manual_seed(0)
    rows = POSITIONS // length * HEADS
    given = [torch.randn(rows, length, WIDTH) for _ in range(3)]
    given += [torch.randn(HEADS, length, WIDTH)] if kind == "relative" else []
    gradient = torch.randn(rows, length, WIDTH)
    contestants = {
        who: step(attend, [tensor.clone().requires_grad_() for tensor in given], gradient)
        for who, attend in KINDS[kind].items()
    }
    for mine, theirs in zip(*(run() for run in contestants.values()), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)
    return Race(
        question=fused_name(kind, length),
        unit="positions",
        amount=POSITIONS,
        seconds=in_turn(contestants, rounds),
        aims={},
    )


def step(attend: Attend, given: list[Tensor], gradient: Tensor) -> Callable[[], list[Tensor]]:
    """Forward and backward; gives the means of the values, and the gradients."""

    def run() -> list[Tensor]:
        y_ATE = attend(*given)
        return [y_ATE.detach(), *torch.autograd.grad(y_ATE, given, gradient)]

    return run


def plain(q_ATE: Tensor, k_ATE: Tensor, v_ATE: Tensor) -> Tensor:
    """As gpt attends on a CPU, the rotation left out."""
    length = q_ATE.shape[1]
    chunks = query_chunks(length, length, q_ATE.device)
    return torch.cat([gpt.attend(q_ATE, k_ATE, v_ATE, chunk) for chunk in chunks], dim=1)


def plain_fused(q_ATE: Tensor, k_ATE: Tensor, v_ATE: Tensor) -> Tensor:
    """As gpt attends elsewhere."""
    q, k, v = q_ATE[None], k_ATE[None], v_ATE[None]
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)[0]


def relative(
    attend: Attend, size: int, q_ATE: Tensor, k_ATE: Tensor, v_ATE: Tensor, table_NTE: Tensor
) -> Tensor:
    """As music_transformer attends by distances, in chunks of this size."""
    A, T, E = q_ATE.shape
    chunks = query_chunks(T, T, q_ATE.device, size)
    sizes = [chunk.end - chunk.start for chunk in chunks]
    queries = torch.split(q_ATE * E**-0.5, sizes, dim=1)
    parts = []
    for (first, _, end, mask), q_ACE in zip(chunks, queries, strict=True):
        asks_NBCE = q_ACE.view(A // HEADS, HEADS, -1, E).transpose(0, 1)
        bias_ACS = (by_distance(asks_NBCE, table_NTE, end - first) + mask).flatten(0, 1)
        parts.append(attend(bias_ACS, q_ACE, k_ATE[:, first:end], v_ATE[:, first:end]))
    return torch.cat(parts, dim=1)


def fused(bias_ACS: Tensor, q_ACE: Tensor, k_ASE: Tensor, v_ASE: Tensor) -> Tensor:
    """As music_transformer.attend on a GPU."""
    q, k, v, bias = q_ACE[None], k_ASE[None], v_ASE[None], bias_ACS[None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)[0]


KINDS: dict[str, dict[str, Attend]] = {
    "plain": {OURS: plain, FUSED: plain_fused},
    "relative": {
        OURS: partial(relative, music_transformer.attend, CHUNK),
        FUSED: partial(relative, fused, POSITIONS),
    },
}
