"""Musical time of every position of a stream of events.

Events are not equally far apart in time. The representation defines the effect of each symbol
(`Timing`), so the time of a position is a sum, for whole sequences and step by step:

    time = start + place

Bars (REMI) and time shifts (MIDI-like) advance `start`; `place` is the place in the bar.
"""

# B batch, T positions, V vocabulary

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.spec import Timing


@dataclass
class TimeState:
    """Musical time of a batch of sequences, in steps, (B,) each.

    start_B: sum of bars and shifts so far. bar_B: length of the current bar. place_B: place in it.
    """

    start_B: Tensor
    bar_B: Tensor
    place_B: Tensor

    def select(self, index_B: Tensor) -> None:
        """Keep these sequences, in this order."""
        for name in ("start_B", "bar_B", "place_B"):
            setattr(self, name, getattr(self, name).index_select(0, index_B))


class Clock(nn.Module):
    """Computes musical time. Before the first meter a bar has the longest possible length, so that
    time never decreases; in a training crop that begins within a bar, times across the first bar
    line are therefore too long. Whole pieces begin with a meter.
    """

    def __init__(self, timing: Timing) -> None:
        super().__init__()
        self.longest = max(timing.meter)
        still = {"shift": 0, "bar": 0, "meter": 0, "place": -1}  # "before the piece" moves nothing
        for name, nothing in still.items():
            table_V = torch.tensor([*getattr(timing, name), nothing])
            self.register_buffer(name, table_V, persistent=False)

    shift: Tensor
    bar: Tensor
    meter: Tensor
    place: Tensor

    def forward(self, symbols_BT: Tensor) -> Tensor:
        """Time after every symbol, (B, T)."""
        meter_BT, place_BT = self.meter[symbols_BT], self.place[symbols_BT]
        length_BT = latest(meter_BT, meter_BT > 0, self.longest)
        before_BT = F.pad(length_BT[:, :-1], (1, 0), value=self.longest)
        start_BT = (self.shift[symbols_BT] + self.bar[symbols_BT] * before_BT).cumsum(dim=1)
        return start_BT + latest(place_BT, place_BT >= 0, 0)

    def begin(self, batch: int) -> TimeState:
        """Before the first symbol."""
        zero_B = self.shift.new_zeros(batch)
        return TimeState(zero_B, torch.full_like(zero_B, self.longest), zero_B.clone())

    def step(self, symbol_B: Tensor, state: TimeState) -> Tensor:
        """Time after one more symbol, (B,); moves `state`."""
        meter_B, place_B = self.meter[symbol_B], self.place[symbol_B]
        state.start_B = state.start_B + self.shift[symbol_B] + self.bar[symbol_B] * state.bar_B
        state.bar_B = torch.where(meter_B > 0, meter_B, state.bar_B)
        state.place_B = torch.where(place_B >= 0, place_B, state.place_B)
        return state.start_B + state.place_B


def latest(values_BT: Tensor, known_BT: Tensor, unknown: int) -> Tensor:
    """At each position the last known value up to there, (B, T); `unknown` before the first."""
    position_T = torch.arange(values_BT.shape[1], device=values_BT.device)
    last_BT = torch.where(known_BT, position_T, -1).cummax(dim=1).values
    return torch.where(last_BT < 0, unknown, values_BT.gather(1, last_BT.clamp(min=0)))
