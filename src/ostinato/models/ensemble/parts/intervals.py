"""Values by intervals that are added to the logits of pitches, the same in every key.

A pitch gets, from every pitch of another role that sounds at its onset, a value that depends on the
interval between the two and on the pair of roles; and one by its interval to the role's own last
pitch (as `models/autoregressive/parts/intervals.py` does on grids).
If asked for, a pitch gets one more value by how the highest pitch of each other role came about: by
the interval between it and the role's own last pitch a step before, modulo 12, by its direction,
and by the interval now.
"""

# B batch, L positions of a role, R roles, P pitches, O pitches of the role itself, N that choose

import torch
from torch import Tensor, nn

from ostinato.models.ensemble.parts.layout import Layout

OCTAVE = 12
CLASSES = (OCTAVE + 1) * 3  # interval before, OCTAVE where it is not known; direction


class Intervals(nn.Module):
    """The tables of one role. speed: how much faster those of motion learn, by being stored divided
    by it; 0: there are none.

    Registers begin at different pitches; as every pair of roles has a table of its own, differences
    of numbers within the registers serve as intervals.
    """

    number_PO: Tensor
    step_OO: Tensor

    def __init__(self, layout: Layout, role: int, speed: float = 0.0) -> None:
        super().__init__()
        self.speed = speed
        own, pitches, roles = layout.blocks[role].pitches, layout.pitches, len(layout.blocks)
        self.first = 1 + 2 * layout.longest  # symbol of the lowest pitch
        self.harmony_RX = nn.Parameter(torch.zeros(roles, own + pitches - 1))
        self.melody_X = nn.Parameter(torch.zeros(2 * own - 1))
        if speed:
            self.motion_RCX = nn.Parameter(torch.zeros(roles, CLASSES, own + pitches - 1))
        up = torch.arange(own)
        number = up - torch.arange(pitches)[:, None] + pitches - 1
        self.register_buffer("number_PO", number, persistent=False)
        self.register_buffer("step_OO", up - up[:, None] + own - 1, persistent=False)

    def forward(
        self, logits: Tensor, sounding: Tensor, earlier: Tensor, last: Tensor, chooses: Tensor
    ) -> Tensor:
        """Logits with the values added.

        Args:
            logits: (B, L, V). sounding: what sounds in each role, (B, L, R, P), 1 or 0. earlier:
            what sounded a step before. last: the role's own last pitch, (B, L), -1 for none.
            chooses: where a pitch follows, (B, L).
        """
        harmony_RPO = self.harmony_RX[:, self.number_PO]
        values = torch.einsum("blrp,rpo->blo", sounding, harmony_RPO)
        melody = self.melody_X[self.step_OO][last.clamp(min=0)]
        values = (values + torch.where(last[..., None] < 0, 0.0, melody)) * chooses[..., None]
        if self.speed:
            at_N = chooses.flatten().nonzero()[:, 0]
            now_NRP, before_NRP = sounding.flatten(0, 1)[at_N], earlier.flatten(0, 1)[at_N]
            moved_NO = self._motion(now_NRP, before_NRP, last.flatten()[at_N]).to(values.dtype)
            values = values.flatten(0, 1).index_add(0, at_N, moved_NO).view_as(values)
        end = logits.shape[-1] - self.first - values.shape[-1]
        return logits + nn.functional.pad(values, (self.first, end))

    def _motion(self, sounding_NRP: Tensor, earlier_NRP: Tensor, last_N: Tensor) -> Tensor:
        """What every pitch gets by how the other roles moved, (N, O)."""
        now_NR, before_NR = _highest(sounding_NRP), _highest(earlier_NRP)
        both_NR = (before_NR >= 0) & (last_N >= 0)[:, None]
        interval_NR = torch.where(both_NR, (last_N[:, None] - before_NR) % OCTAVE, OCTAVE)
        moved_NR = torch.where(before_NR >= 0, torch.sign(now_NR - before_NR), 0)
        roles, _, span = self.motion_RCX.shape
        role_R = torch.arange(roles, device=now_NR.device)
        row_NR = role_R * CLASSES + interval_NR * 3 + moved_NR + 1
        apart_NRO = self.number_PO[now_NR.clamp(min=0)]
        index_NRO = row_NR[..., None] * span + apart_NRO
        values_NRO = nn.functional.embedding(index_NRO, self.motion_RCX.reshape(-1, 1))[..., 0]
        sounds_NR1 = (now_NR >= 0)[..., None]
        return torch.where(sounds_NR1, values_NRO, 0.0).sum(dim=1) * self.speed


def _highest(sounding_NRP: Tensor) -> Tensor:
    """The highest pitch that sounds in each role, (N, R); -1 where none does."""
    pitches = sounding_NRP.shape[-1]
    highest = pitches - 1 - sounding_NRP.flip(-1).argmax(dim=-1)
    return torch.where(sounding_NRP.any(dim=-1), highest, -1)
