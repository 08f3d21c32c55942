"""Orthogonalized steps: what they are, whose they are, and AdamW's beside them."""

import pytest
import torch
from torch import nn

from ostinato.models.layers.blocks import matrix
from ostinato.training.muon import MOMENTUM, Muon, layer_matrices, orthogonal


class Layered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        block = nn.Module()
        block.qkv, block.norm, block.side_by_side = matrix(8, 24), nn.RMSNorm(8), {"qkv": 3}
        self.blocks = nn.ModuleList([block])
        self.read, self.write = nn.Embedding(5, 8), matrix(8, 5)


@pytest.mark.parametrize("shape", [(16, 16), (12, 40), (40, 12), (1, 9)])
def test_singular_values_become_about_one_and_directions_stay(shape) -> None:
    given = torch.randn(*shape, generator=torch.Generator().manual_seed(2))
    u, _, v = torch.linalg.svd(given, full_matrices=False)
    found = orthogonal(given)
    inner = u.mT @ found @ v.mT
    values = inner.diagonal()
    assert values.min() > 0.3
    assert values.max() < 1.3
    assert (inner - values.diag()).abs().max() < 1e-3
    assert orthogonal(torch.zeros(shape)).eq(0).all()


def test_matrices_of_the_named_modules_alone_are_taken() -> None:
    model = Layered()
    assert layer_matrices(model, ["blocks"]) == {3: [model.blocks[0].qkv]}
    assert layer_matrices(model, ["blocks", "read"]) == {
        3: [model.blocks[0].qkv],
        1: [model.read.weight],
    }
    assert layer_matrices(model, []) == {}
    with pytest.raises(ValueError, match=r"optimizer.muon=\['bloks'\].*blocks, read"):
        layer_matrices(model, ["blocks", "bloks"])


def test_each_matrix_that_lies_side_by_side_takes_its_own_step() -> None:
    model = Layered()
    weight = model.blocks[0].qkv
    before = weight.detach().clone()
    optimizer = Muon(
        [
            {"params": [model.read.weight], "weight_decay": 0.0},
            {"params": [weight], "orthogonal": 3, "lr": 0.1, "weight_decay": 0.5},
        ],
        lr=0.01,
        fused=True,
    )
    weight.grad = torch.randn(8, 24)
    model.read.weight.grad = torch.ones(5, 8)
    read, ahead = model.read.weight.detach().clone(), weight.grad * (1 + MOMENTUM)
    optimizer.step()
    for part in range(3):
        columns = slice(8 * part, 8 * part + 8)
        expected = before[:, columns] * (1 - 0.1 * 0.5) - 0.1 * orthogonal(ahead[:, columns])
        assert torch.allclose(weight[:, columns], expected, atol=1e-6)
    assert torch.allclose(read - model.read.weight, torch.full((5, 8), 0.01), atol=1e-6)


def test_a_saved_state_goes_on_to_the_same_weights() -> None:
    def made():
        model = Layered()
        return model, Muon(
            [
                {"params": [model.read.weight]},
                {"params": [model.blocks[0].qkv], "orthogonal": 3, "lr": 0.1},
            ],
            lr=0.01,
        )

    def steps(model, optimizer, count, seed):
        random = torch.Generator().manual_seed(seed)
        for _ in range(count):
            for weight in (model.read.weight, model.blocks[0].qkv):
                weight.grad = torch.randn(weight.shape, generator=random)
            optimizer.step()

    whole, optimizer = made()
    steps(whole, optimizer, 2, 1)
    steps(whole, optimizer, 2, 2)
    first, before = made()
    steps(first, before, 2, 1)
    again, after = made()
    again.load_state_dict(first.state_dict())
    after.load_state_dict(before.state_dict())
    steps(again, after, 2, 2)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True)
    )
