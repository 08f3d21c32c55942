"""Products of portable stages are sums from left to right, whatever the processor."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ostinato.arithmetic import TERMS, WORTHWHILE
from ostinato.config import OVERRIDING
from ostinato.execution import machine
from ostinato.execution.portable import SETTINGS, is_portable

HERE = Path(__file__)
SEEN = "x86_64 AMD family 25 model 17"
SHAPES = [  # rows, terms, columns
    (2048, 192, 64), (192, 2048, 64), (2, 5000, 64), (64, 5000, 2), (300, 3000, 17), (17, 1100, 31),
    (3, TERMS + 1, 300), (120, TERMS, 47),
]  # fmt: skip


def summed(a_MK: torch.Tensor, b_KN: torch.Tensor) -> torch.Tensor:
    """Element by element round(a_k b_k + c), in sums of TERMS; products of two floats are exact in
    double precision.
    """
    a, b = a_MK.numpy().astype(np.float64), b_KN.numpy().astype(np.float64)
    total = None
    for start in range(0, a.shape[1], TERMS):
        c = np.zeros((a.shape[0], b.shape[1]), np.float32)
        for k in range(start, min(start + TERMS, a.shape[1])):
            c = (a[:, k : k + 1] * b[k] + c).astype(np.float32)
        total = c if total is None else total + c
    return torch.from_numpy(total)


def matrices(rows: int, columns: int, *, turned: bool, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    if turned:
        return torch.randn(columns, rows, generator=random).t()
    return torch.randn(rows, columns, generator=random)


def check() -> None:
    """Called in a process of its own: what is installed stays."""
    from ostinato.arithmetic import use_threads

    use_threads(1)
    for rows, terms, columns in SHAPES:
        assert rows * terms * columns >= WORTHWHILE
        for turned_a in (False, True):
            for turned_b in (False, True):
                a = matrices(rows, terms, turned=turned_a, seed=1)
                b = matrices(terms, columns, turned=turned_b, seed=2)
                expected, bias = summed(a, b), torch.randn(columns)
                case = (rows, terms, columns, turned_a, turned_b)
                assert torch.equal(a @ b, expected), case
                assert torch.equal(torch.addmm(bias, a, b), expected + bias), case
                pair_a, pair_b = torch.stack([a, a]), torch.stack([b, -b])
                both = torch.stack([expected, -expected])
                assert torch.equal(pair_a @ pair_b, both), case
                scaled = torch.baddbmm(both, pair_a, pair_b, alpha=0.5)
                assert torch.equal(scaled, both * 0.5 + both), case
    a = matrices(700, 600, turned=False, seed=3).requires_grad_()
    b = matrices(600, 40, turned=False, seed=4).requires_grad_()
    outer = matrices(700, 40, turned=False, seed=5)
    (a @ b).backward(outer)
    assert torch.equal(a.grad, summed(outer, b.detach().t()))
    assert torch.equal(b.grad, summed(a.detach().t(), outer))
    for kind in (torch.float64, torch.bfloat16, torch.int64):  # others are left to torch
        ones = torch.ones(100, 100, dtype=kind)
        assert torch.equal(ones @ ones, torch.full((100, 100), 100, dtype=kind))
    assert (torch.ones(3, 0) @ torch.ones(0, 4)).eq(0).all()
    print("as defined")  # noqa: T201


@pytest.mark.starts
@pytest.mark.xfail(
    machine.this_kind()["processor"] != SEEN, reason=f"seen on {SEEN} alone", strict=False
)
def test_products_of_a_portable_stage_are_rounded_as_defined() -> None:
    if machine.platform.machine() != "x86_64" or "AVX2" not in machine.this_kind()["vector"]:
        pytest.skip("a processor without AVX2")
    quiet = f"import warnings; warnings.filterwarnings('ignore', {OVERRIDING!r})"
    code = f"{quiet}; import test_arithmetic; test_arithmetic.check()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | SETTINGS,
        cwd=HERE.parent,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "as defined"
    assert not done.stderr


def test_only_all_settings_together_are_portable() -> None:
    assert is_portable(SETTINGS)
    assert is_portable({**SETTINGS, "HOME": "/"})
    assert not is_portable({})
    assert not is_portable({**SETTINGS, "MKL_CBWR": "AUTO"})
