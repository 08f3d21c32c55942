"""Values by intervals that are added to the logits of pitches, the same in every key.

A pitch gets, from every pitch of another role that sounds at its onset, a value that depends on the
interval between the two and on the pair of roles; and one by its interval to the role's own last
pitch (as `models/autoregressive/parts/intervals.py` does on grids).
"""

# B batch, L positions of a role, R roles, P pitches, O pitches of the role itself

import torch
from torch import Tensor, nn

from ostinato.models.ensemble.parts.layout import Layout


class Intervals(nn.Module):
    """The tables of one role.

    Registers begin at different pitches; as every pair of roles has a table of its own, differences
    of numbers within the registers serve as intervals.
    """

    number_PO: Tensor
    step_OO: Tensor

    def __init__(self, layout: Layout, role: int) -> None:
        super().__init__()
        own, pitches, roles = layout.blocks[role].pitches, layout.pitches, len(layout.blocks)
        self.first = 1 + 2 * layout.longest  # symbol of the lowest pitch
        self.harmony_RX = nn.Parameter(torch.zeros(roles, own + pitches - 1))
        self.melody_X = nn.Parameter(torch.zeros(2 * own - 1))
        up = torch.arange(own)
        number = up - torch.arange(pitches)[:, None] + pitches - 1
        self.register_buffer("number_PO", number, persistent=False)
        self.register_buffer("step_OO", up - up[:, None] + own - 1, persistent=False)

    def forward(self, logits: Tensor, sounding: Tensor, last: Tensor, chooses: Tensor) -> Tensor:
        """Logits with the values added.

        Args:
            logits: (B, L, V). sounding: what sounds in each role, (B, L, R, P), 1 or 0.
            last: the role's own last pitch, (B, L), -1 for none.
            chooses: where a pitch follows, (B, L).
        """
        harmony_RPO = self.harmony_RX[:, self.number_PO]
        values = torch.einsum("blrp,rpo->blo", sounding, harmony_RPO)
        melody = self.melody_X[self.step_OO][last.clamp(min=0)]
        values = (values + torch.where(last[..., None] < 0, 0.0, melody)) * chooses[..., None]
        end = logits.shape[-1] - self.first - values.shape[-1]
        return logits + nn.functional.pad(values, (self.first, end))
