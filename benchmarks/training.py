"""Training: tokens a second and peak memory, one step being forward, backward and optimizer."""

from collections.abc import Callable

import torch
from torch import nn

from benchmarks import peers
from benchmarks.measure import Case, Race, in_turn
from benchmarks.peak import peak_mb

SIZES = ((8, 512), (2, 2048))  # batch and length, of as many tokens or half
AIMS = {"transformers": 1.3, "x-transformers": 1.0}


def cases() -> list[Case]:
    """In full precision, which is what the aims are about, and mixed with bfloat16."""
    return [
        Case(
            name(batch, length, mixed),
            lambda rounds, case=(batch, length, mixed): race(rounds, *case),
        )
        for batch, length in SIZES
        for mixed in (False, True)
    ]


def name(batch: int, length: int, mixed: bool) -> str:
    precision = "bfloat16 mixed" if mixed else "float32"
    return f"training, {precision}, batch {batch}, length {length}"


def race(rounds: int, batch: int, length: int, mixed: bool) -> Race:
    steps = {who: step(who, batch, length, mixed) for who in peers.CONTESTANTS}
    return Race(
        question=name(batch, length, mixed),
        unit="tokens",
        amount=batch * length,
        seconds=in_turn(steps, rounds),
        aims=AIMS,
        peak_mb={who: peak_mb(step, who, batch, length, mixed) for who in peers.CONTESTANTS},
    )


def step(who: str, batch: int, length: int, mixed: bool) -> Callable[[], None]:
    """One optimizer step of a contestant."""
    make, loss_of = peers.CONTESTANTS[who]
    return one_step(make(length), loss_of, batch, length, mixed)


def one_step(
    model: nn.Module, loss_of: peers.Loss, batch: int, length: int, mixed: bool
) -> Callable[[], None]:
    """One optimizer step, on the same random tokens for all."""
    generator = torch.Generator().manual_seed(0)
    tokens_BT = torch.randint(peers.VOCABULARY, (batch, length + 1), generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    model.train()

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = loss_of(model, tokens_BT)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run
