"""A MIDI file's ticks in another unit, and how far music may go."""

from fractions import Fraction

import numpy as np

from ostinato.music.timing import round_half_up
from ostinato.readers.midi_events import Ints

LATEST_QUARTERS = 65536  # nine hours at 120 qpm; what comes later is damage
LONGEST_QUARTERS = 4096


def rescale(ticks: Ints, resolution: Fraction, ticks_per_quarter: int) -> Ints:
    """Ticks of which `resolution` are a quarter in a unit of which `ticks_per_quarter` are, halves
    up.

    Raises:
        ValueError: they do not fit into 32 bits.
    """
    quarters = int(ticks.max()) / resolution if len(ticks) else Fraction(0)
    if quarters * ticks_per_quarter > np.iinfo(np.int32).max:
        raise ValueError(
            f"{int(quarters)} quarters in ticks_per_quarter={ticks_per_quarter} go beyond 32 bits; "
            "choose a coarser unit"
        )
    if resolution == ticks_per_quarter:
        return ticks
    multiply, divide = ticks_per_quarter * resolution.denominator, resolution.numerator
    return round_half_up(ticks, multiply, divide)
