"""Matrix products of single precision whose rounding is defined, not chosen by a library.

MKL's code that processors of Intel and AMD share (`MKL_CBWR=COMPATIBLE`) multiplies at less than
half of the speed that they have. oneDNN's code for AVX2 is as fast as MKL's best, and each element
is one sum from left to right, with one rounding for each term (fused multiply-add):

    c_0 = 0,  c_k = round(a_k b_k + c_{k-1})

So the bits of a product depend on no blocking, cache or maker. Beyond TERMS terms oneDNN splits a
sum; it is split here before, into sums of TERMS that are added from left to right.
"""

import os
from typing import Any

import torch
from torch import Tensor

from ostinato.execution.portable import is_portable

TERMS = 512
WORTHWHILE = 400_000  # multiplications, below which the way through Python costs more than it saves

_installed: list[torch.library.Library] = []


def use_threads(threads: int) -> None:
    """Prepare torch for a stage: its threads and, in a portable stage, its matrix products."""
    torch.set_num_threads(threads)
    if is_portable(os.environ):
        install()


def install() -> None:
    """Compute the large products of this process by `product`, those of gradients too."""
    if not _installed:
        library: Any = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
        for name, ours in (("mm", _mm), ("addmm", _addmm), ("bmm", _bmm), ("baddbmm", _baddbmm)):
            library.impl(name, ours, "CPU", allow_override=True)
        _installed.append(library)


def product(a_MK: Tensor, b_KN: Tensor) -> Tensor:
    """A · b, (M, N), in single precision on the CPU, rounded as this module's docstring says.

    M and N must be above 1: oneDNN computes a single row or column by other code.
    """
    total = None
    for start in range(0, a_MK.shape[1], TERMS):
        part = slice(start, start + TERMS)
        b = b_KN[part].t()
        if not (b.is_contiguous() or b.t().is_contiguous()):
            b = b.contiguous()  # oneDNN is slow for rows that are farther apart than they are long
        found = torch.ops.mkldnn._linear_pointwise(a_MK[:, part], b, None, "none", [], "")
        total = found if total is None else total.add_(found)
    assert total is not None
    return total


def products(a_BMK: Tensor, b_BKN: Tensor) -> Tensor:
    """`product` of every pair of matrices, (B, M, N)."""
    pairs = zip(a_BMK.unbind(), b_BKN.unbind(), strict=True)
    return torch.stack([product(a_MK, b_KN) for a_MK, b_KN in pairs])


def _suits(a: Tensor, b: Tensor) -> bool:
    rows, terms, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    large = rows * terms * columns >= WORTHWHILE and min(rows, columns) > 1
    return large and len(a) > 0 and a.dtype is b.dtype is torch.float32


def _mm(a_MK: Tensor, b_KN: Tensor) -> Tensor:
    if _suits(a_MK, b_KN):
        return product(a_MK, b_KN)
    out = a_MK.new_empty(a_MK.shape[0], b_KN.shape[1])
    return torch.ops.aten.mm.out(a_MK, b_KN, out=out)


def _addmm(bias: Tensor, a_MK: Tensor, b_KN: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    if beta == 1 and alpha == 1 and _suits(a_MK, b_KN):
        return product(a_MK, b_KN).add_(bias)
    out = a_MK.new_empty(a_MK.shape[0], b_KN.shape[1])
    return torch.ops.aten.addmm.out(bias, a_MK, b_KN, beta=beta, alpha=alpha, out=out)


def _bmm(a_BMK: Tensor, b_BKN: Tensor) -> Tensor:
    if _suits(a_BMK, b_BKN):
        return products(a_BMK, b_BKN)
    out = a_BMK.new_empty(len(a_BMK), a_BMK.shape[1], b_BKN.shape[2])
    return torch.ops.aten.bmm.out(a_BMK, b_BKN, out=out)


def _baddbmm(
    bias: Tensor, a_BMK: Tensor, b_BKN: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    if beta == 1 and _suits(a_BMK, b_BKN):
        return products(a_BMK, b_BKN).mul_(alpha).add_(bias)
    out = a_BMK.new_empty(len(a_BMK), a_BMK.shape[1], b_BKN.shape[2])
    return torch.ops.aten.baddbmm.out(bias, a_BMK, b_BKN, beta=beta, alpha=alpha, out=out)
