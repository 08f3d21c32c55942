"""Rotary positions (Su 2021): queries and keys turn by angles that grow with their position."""

# B batch, T positions, N heads, E width of a head

import torch
from torch import Tensor

ROTARY_BASE = 10_000.0


def rotary_table(length: int, head_width: int, device: torch.device) -> Tensor:
    """e^(i t rate), shape (T, 1, E/2), for RoFormer's rotation of pairs (Su 2021, eq. 34)."""
    return rotations(torch.arange(length, device=device)[:, None, None], head_width)


def rotations(positions: Tensor, head_width: int) -> Tensor:
    """e^(i t rate) of positions (…, 1), shape (…, E/2)."""
    exponents = torch.arange(0, head_width, 2, device=positions.device) / head_width
    angles = positions * ROTARY_BASE**-exponents
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x_BTNE: Tensor, rotation: Tensor) -> Tensor:
    """Turn the pairs (2i, 2i + 1) of the last dimension by the angles of their positions."""
    wide = x_BTNE if x_BTNE.dtype == torch.double else x_BTNE.float()  # no half has complex numbers
    pairs = wide.view(*x_BTNE.shape[:-1], -1, 2)
    if torch.compiler.is_compiling():  # which fuses what is real, and no complex numbers
        (a, b), (cos, sin) = pairs.unbind(-1), torch.view_as_real(rotation).unbind(-1)
        turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    else:
        turned = torch.view_as_real(torch.view_as_complex(pairs) * rotation)
    return turned.flatten(-2).to(x_BTNE.dtype)
