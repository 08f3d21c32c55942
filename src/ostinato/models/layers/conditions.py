"""Conditions as one vector that a model adds to what it reads at every position.

In training each condition of each piece is replaced by "not given" with a fixed probability, so
that one model serves requests with and without it (as in classifier-free guidance: Ho & Salimans
2022).
"""

# B batch, C conditions that the model uses, K conditions of the encoding, D width

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ostinato.models.spec import NOT_GIVEN, ConditionSpec


class ConditionInput(nn.Module):
    """A learned vector for each value of each condition, and one for "not given".

    Raises:
        ValueError: a name that the encoding has no condition of, or a dropout outside [0, 1).
    """

    offsets_C: Tensor

    def __init__(
        self, names: Sequence[str], known: Sequence[ConditionSpec], width: int, dropout: float
    ) -> None:
        super().__init__()
        order = [spec.name for spec in known]
        if missing := [name for name in names if name not in order]:
            raise ValueError(
                f"model.conditions names {', '.join(missing)}; this encoding has "
                f"{', '.join(order) or 'no conditions'}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"condition_dropout={dropout} must lie in [0, 1)")
        self.dropout = dropout
        self.columns = [order.index(name) for name in names]
        self.specs = tuple(known[column] for column in self.columns)
        sizes = [len(spec.values) + 1 for spec in self.specs]
        self.table = nn.Embedding(sum(sizes), width)
        nn.init.normal_(self.table.weight, std=0.1)
        # of each condition, the row of "not given", which its first value follows
        offsets = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets_C", offsets, persistent=False)

    def pick(self, codes_BK: Tensor) -> Tensor:
        """The codes that the model uses, (B, C), of those that a batch carries."""
        return codes_BK[:, self.columns]

    def forward(self, codes_BC: Tensor) -> Tensor:
        """The sum of the vectors, (B, D); in training, of what dropout leaves."""
        if self.training and self.dropout:
            kept_BC = torch.rand(codes_BC.shape, device=codes_BC.device) >= self.dropout
            codes_BC = torch.where(kept_BC, codes_BC, NOT_GIVEN)
        vectors: Tensor = self.table(codes_BC - NOT_GIVEN + self.offsets_C)
        return vectors.sum(dim=1)

    def not_given(self, batch: int) -> Tensor:
        """Codes of no condition, (B, C)."""
        return torch.full((batch, len(self.specs)), NOT_GIVEN, device=self.table.weight.device)
