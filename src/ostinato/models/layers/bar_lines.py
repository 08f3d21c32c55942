"""Bar lines, meters and the end of a piece from left to right: an exact distribution of its own.

Paradigms that make all voices at once (masked, variational, adversarial, diffusion) need the bars
first: they say how long a piece is and where its bars begin.
"""

# B batch, T positions, K symbols of the bar column, H width

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.spec import PAD, Structure

LONGEST_BAR = 48  # steps; later ones in a bar look alike
MOST_BARS = 64
HIDDEN = 64


class BarLines(nn.Module):
    """The next symbol of the bar column, given the meter, the place in the bar, how many bars have
    begun, and how long the first one was (a pickup shortens the last bar).
    """

    symbols_K: Tensor

    def __init__(self, structure: Structure) -> None:
        super().__init__()
        self.structure = structure
        self.register_buffer("symbols_K", torch.tensor(structure.structural), persistent=False)
        places = (len(structure.structural) + 1) * (LONGEST_BAR + 1)
        self.place = nn.Embedding(places, HIDDEN)
        self.count = nn.Embedding(MOST_BARS + 1, HIDDEN)
        self.pickup = nn.Embedding(LONGEST_BAR + 1, HIDDEN)
        self.out = nn.Linear(HIDDEN, len(structure.structural))
        for table in (self.place, self.count, self.pickup):
            nn.init.normal_(table.weight, std=0.1)

    def nats(self, column_BT: Tensor) -> Tensor:
        """Nats of every symbol of bar columns of whole pieces, (B, T), 0 where it is PAD."""
        logits_BTK = self.logits(column_BT)[:, :-1]
        known_BTK = column_BT[..., None] == self.symbols_K
        codes_BT = torch.where(column_BT == PAD, PAD, known_BTK.int().argmax(dim=-1))
        return F.cross_entropy(
            logits_BTK.transpose(1, 2), codes_BT, ignore_index=PAD, reduction="none"
        )

    def logits(self, column_BT: Tensor) -> Tensor:
        """Of every symbol given those before it, and of the one after the last, (B, T + 1, K)."""
        structure, length = self.structure, column_BT.shape[1]
        inside = (column_BT == structure.inside) | (column_BT == PAD)
        line_BT = ~inside if structure.end is None else ~inside & (column_BT != structure.end)
        steps_T = torch.arange(length, device=column_BT.device)
        last_BT = torch.where(line_BT, steps_T, -1).cummax(dim=1).values
        counts_BT = line_BT.cumsum(dim=1)
        named_BT = torch.where(
            torch.isin(column_BT, torch.tensor(structure.meters, device=column_BT.device)),
            steps_T,
            -1,
        )
        named_BT = named_BT.cummax(dim=1).values
        meters_BT = (column_BT.gather(1, named_BT.clamp(min=0))[..., None] == self.symbols_K).int()
        meters_BT = torch.where(named_BT < 0, 0, 1 + meters_BT.argmax(dim=-1))
        second_BT = torch.where(line_BT & (counts_BT == 2), steps_T, 0).cummax(dim=1).values
        places_BT = torch.where(last_BT < 0, 0, 1 + steps_T - last_BT).clamp(max=LONGEST_BAR)
        codes_BT = meters_BT * (LONGEST_BAR + 1) + places_BT
        x_BTH = (
            self.place(_later(codes_BT))
            + self.count(_later(counts_BT.clamp(max=MOST_BARS)))
            + self.pickup(_later(second_BT.clamp(max=LONGEST_BAR)))
        )
        logits: Tensor = self.out(F.silu(x_BTH))
        return logits


def places(column_BT: Tensor, structure: Structure, most: int) -> Tensor:
    """Steps since the last bar line of every position, (B, T), up to `most`."""
    inside_BT = (column_BT == structure.inside) | (column_BT == PAD)
    steps_T = torch.arange(column_BT.shape[1], device=column_BT.device)
    last_BT = torch.where(inside_BT, 0, steps_T).cummax(dim=1).values
    return (steps_T - last_BT).clamp(max=most)


def _later(codes_BT: Tensor) -> Tensor:
    """What is known before every position, and after the last: 0 at first, (B, T + 1)."""
    return F.pad(codes_BT, (1, 0))
