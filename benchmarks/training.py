"""Training: tokens a second, one step being forward, backward and optimizer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks import peers
from benchmarks.measure import OURS, Race, in_turn

BATCH = 8
AIMS = {"transformers": 1.2, "x-transformers": 1.0}


def races(rounds: int) -> list[Race]:
    """In full precision, which is what the aims are about, and mixed with bfloat16."""
    return [_race(rounds, mixed=False), _race(rounds, mixed=True)]


def _race(rounds: int, *, mixed: bool) -> Race:
    contestants = {
        OURS: (peers.ours(), peers.loss_of_ours),
        "transformers": (peers.gpt2(), peers.loss_of_gpt2),
        "x-transformers": (peers.x_transformer(), peers.loss_of_x_transformer),
    }
    steps = {name: _step(model, loss, mixed) for name, (model, loss) in contestants.items()}
    return Race(
        question=f"training, {'bfloat16 mixed' if mixed else 'float32'}, batch {BATCH}",
        unit="tokens",
        amount=BATCH * peers.CONTEXT,
        seconds=in_turn(steps, rounds),
        aims={} if mixed else AIMS,
    )


def _step(
    model: nn.Module, loss_of: Callable[[nn.Module, Tensor], Tensor], mixed: bool
) -> Callable[[], None]:
    """One optimizer step on the same random tokens for all."""
    generator = torch.Generator().manual_seed(0)
    tokens_BT = torch.randint(peers.VOCABULARY, (BATCH, peers.CONTEXT + 1), generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    model.train()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = loss_of(model, tokens_BT)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
