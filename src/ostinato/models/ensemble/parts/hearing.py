"""What a role hears of the others around a step: which pitches sound there, and which begin.

Of roles that come before it in the order of the bar, a role hears the whole bar; of the others,
and of itself, all bars before, and what of them still sounds.
"""

# B batch, T tokens, R roles, S steps, K offsets, P pitches, H heard width, D width

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ostinato.models.ensemble.parts.layout import Layout
from ostinato.models.ensemble.parts.reading import Notes

SOUNDS, BEGINS, LASTS = range(3)  # rolls: what sounds, what begins, what lasts from earlier bars


class Hearing(nn.Module):
    """Vectors of what sounds and begins at some steps around the present one.

    offsets: those steps, such as -1 (the step before), 0 and 4 (a quarter later, on sixteenths).
    """

    offsets_K: Tensor

    def __init__(self, layout: Layout, offsets: Sequence[int], heard: int, width: int) -> None:
        super().__init__()
        roles, pitches = len(layout.blocks), layout.pitches
        self.register_buffer("offsets_K", torch.tensor(offsets), persistent=False)
        self.sounds_RPH = nn.Parameter(0.3 * torch.randn(roles, pitches, heard))
        self.begins_RPH = nn.Parameter(0.3 * torch.randn(roles, pitches, heard))
        size = len(offsets) * roles * heard
        self.out = nn.ModuleList(nn.Linear(size, width, bias=False) for _ in range(roles))
        for layer in self.out:
            nn.init.normal_(layer.weight, std=0.5 * size**-0.5)  # type: ignore[arg-type]

    def vectors(self, rolls_3XSP: Tensor) -> Tensor:
        """Of rolls (3, …, R, S, P): two vectors for every role and step, (2, …, R, S, H): all that
        sounds and begins, and what lasts from earlier bars.
        """
        sounds, begins, lasts = rolls_3XSP.unbind(0)
        every = sounds @ self.sounds_RPH + begins @ self.begins_RPH
        return torch.stack([every, lasts @ self.sounds_RPH])

    def forward(
        self, vectors: Tensor, role: int, now: Tensor, bounds: tuple[Tensor, Tensor], before: Tensor
    ) -> Tensor:
        """What a role hears at each of some tokens, (B, T, D).

        vectors: (2, B, R, S, H). now: step of every token, (B, T). bounds: where their bars begin
        and end, (B, T) each. before: which roles come before this one in the bar, (B, R).
        """
        rows = torch.arange(len(now), device=now.device)[:, None, None]
        steps_BTK = now[..., None] + self.offsets_K
        start, end = (bound[..., None, None] for bound in bounds)
        at_BTK1, known_B11R = steps_BTK[..., None], before[:, None, None]
        place = steps_BTK.clamp(0, vectors.shape[3] - 1)
        every, lasts = (part[rows, :, place] for part in vectors)  # (B, T, K, R, H)
        in_time = (at_BTK1 >= 0) & (at_BTK1 < vectors.shape[3])
        whole = in_time & ((at_BTK1 < start) | (known_B11R & (at_BTK1 < end)))
        tails = in_time & ~known_B11R & (at_BTK1 >= start) & (at_BTK1 < end)
        heard = torch.where(whole[..., None], every, torch.where(tails[..., None], lasts, 0.0))
        out: Tensor = self.out[role](heard.flatten(2))
        return out


def sounding_at(rolls_3BRSP: Tensor, now: Tensor, starts: Tensor, before_BR: Tensor) -> Tensor:
    """What a role hears at its present steps: 1 where a pitch sounds, (B, T, R, P).

    Of the roles that come before it in the bar all that sounds; of the others what lasts from
    earlier bars, in steps from `starts` (B, T) on.
    """
    rows = torch.arange(len(now), device=now.device)[:, None]
    place = now.clamp(0, rolls_3BRSP.shape[3] - 1)
    every, lasts = rolls_3BRSP[SOUNDS][rows, :, place], rolls_3BRSP[LASTS][rows, :, place]
    inside = (now >= starts)[..., None, None] & ~before_BR[:, None, :, None]
    return torch.where(inside, lasts, every)


def rolls_of(layout: Layout, notes: Notes, ends_BI: Tensor) -> Tensor:
    """Rolls of what sounds, begins and lasts, (3, B, R, S, P): 1 where it does."""
    steps = int(ends_BI.max())
    size = (3, len(ends_BI), len(layout.blocks), steps + 1, layout.pitches)
    changes = torch.zeros(size, device=ends_BI.device)
    last = (notes.onset + notes.duration).clamp(max=steps)
    line = ends_BI[notes.row, notes.bar]
    crosses = last > line
    one = torch.ones(len(last), device=changes.device)

    def add(roll: int, at: Tensor, value: Tensor) -> None:
        where = (torch.full_like(at, roll), notes.row, notes.role, at, notes.pitch)
        changes.index_put_(where, value, accumulate=True)

    add(SOUNDS, notes.onset, one)
    add(SOUNDS, last, -one)
    add(BEGINS, notes.onset, one)
    add(LASTS, line.clamp(max=steps), one * crosses)
    add(LASTS, last, -one * crosses)
    changes[[SOUNDS, LASTS]] = changes[[SOUNDS, LASTS]].cumsum(dim=3)
    return (changes[..., :steps, :] > 0).float()
