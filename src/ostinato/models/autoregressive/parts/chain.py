"""Predicts the sub-tokens of a position one after the other, with an exact joint likelihood."""

# B batch, T positions, N = B * T, W sub-tokens of a position, D width, H hidden width, V vocabulary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.config import StepConfig
from ostinato.models.spec import ArraySpec


class Chain(nn.Module):
    """Predicts the sub-tokens of a position in order, each from the trunk and the earlier ones.

    Sub-token k sees
    hidden_k = gelu(P_k context + Σ_j F_jk[previous_j] + Σ_{j before k} E_jk[chosen_j])
    and gives logits U_k hidden_k. With voice_hidden = 0 and W = 1 this is one linear layer.
    """

    offsets_W: Tensor
    sees_WW1: Tensor

    def __init__(self, config: StepConfig, shape: ArraySpec, order: tuple[int, ...]) -> None:
        super().__init__()
        if shape.width > 1 and not config.voice_hidden:
            raise ValueError(
                f"voice_hidden=0 predicts one sub-token only, the representation has {shape.width}"
            )
        self.shape, self.hidden = shape, config.voice_hidden
        W, H, stride = shape.width, config.voice_hidden or config.width, shape.vocabulary + 1
        self.order = order
        self.project = nn.Linear(config.width, W * H) if config.voice_hidden else nn.Identity()
        self.out_WHV = nn.Parameter(torch.empty(W, H, shape.vocabulary))
        self.bias_WV = nn.Parameter(torch.zeros(W, shape.vocabulary))
        nn.init.normal_(self.out_WHV, std=H**-0.5)
        if config.voice_hidden:
            self.previous = nn.Embedding(W * stride, W * H)
            self.chosen = nn.Embedding(W * stride, W * H) if W > 1 else None
            for table in (self.previous, *([self.chosen] if self.chosen else [])):
                nn.init.normal_(table.weight, std=0.05)
        self.register_buffer("offsets_W", torch.arange(W) * stride, persistent=False)
        place = {column: rank for rank, column in enumerate(order)}
        sees = torch.tensor([[float(place[j] < place[k]) for k in range(W)] for j in range(W)])
        self.register_buffer("sees_WW1", sees[:, :, None], persistent=False)

    def forward(self, context_BTD: Tensor, previous_BTW: Tensor, targets_BTW: Tensor) -> Tensor:
        """Logits of shape (B, T, W, V), with the true sub-tokens as those already chosen."""
        B, T, W = targets_BTW.shape
        hidden_BTWH = self.open(context_BTD, previous_BTW)
        if self.hidden and self.chosen is not None:
            weight = (
                self.chosen.weight.view(W, -1, W, hidden_BTWH.shape[-1]) * self.sees_WW1[:, None]
            )
            flat = weight.view(self.chosen.num_embeddings, -1)
            indices = (targets_BTW + self.offsets_W).view(B * T, W)
            chosen = F.embedding_bag(indices, flat, mode="sum")
            hidden_BTWH = hidden_BTWH + chosen.view(B, T, W, -1)
        active = F.gelu(hidden_BTWH) if self.hidden else hidden_BTWH
        if W == 1:
            return (active[:, :, 0] @ self.out_WHV[0] + self.bias_WV[0])[:, :, None]
        logits_WNV = torch.bmm(active.reshape(B * T, W, -1).transpose(0, 1), self.out_WHV)
        return (logits_WNV + self.bias_WV[:, None]).transpose(0, 1).reshape(B, T, W, -1)

    def open(self, context: Tensor, previous: Tensor) -> Tensor:
        """Hidden sums of all sub-tokens before the first is chosen, (…, W, H)."""
        W = self.shape.width
        hidden = self.project(context)
        if self.hidden:
            indices = (previous + self.offsets_W).view(-1, W)
            bag = F.embedding_bag(indices, self.previous.weight, mode="sum")
            hidden = hidden + bag.view(*previous.shape[:-1], -1)
        return hidden.view(*context.shape[:-1], W, -1)

    def choose(self, hidden_BWH: Tensor, column: int, subtoken_B: Tensor) -> None:
        """Add the sub-token chosen for `column` to the hidden sums of later ones, in place."""
        if self.chosen is not None:
            seen = self.chosen(subtoken_B + self.offsets_W[column]).view_as(hidden_BWH)
            hidden_BWH += seen * self.sees_WW1[column]

    def step(self, hidden_BWH: Tensor, filled: int) -> Tensor:
        """Logits of the next sub-token, (B, V)."""
        column = self.order[filled]
        hidden_BH = hidden_BWH[:, column]
        active = F.gelu(hidden_BH) if self.hidden else hidden_BH
        return torch.addmm(self.bias_WV[column], active, self.out_WHV[column])
