"""How a piece closes, by its last sonority: what sounds from the last onset of any voice on."""

from dataclasses import dataclass

import numpy as np

from ostinato.metrics.keys import key_of
from ostinato.metrics.sonorities import IS_ROOT_TRIAD, above_bass
from ostinato.metrics.steps import CLASSES, PER_QUARTER, Steps


@dataclass(frozen=True)
class Closing:
    """Of the last sonority.

    start: its first step. is_triad: a major or minor triad in root position (the fifth may be
    missing) that begins on a beat and lasts a quarter or more. is_tonic: its bass is the tonic of
    the whole piece (`metrics.keys`).
    """

    start: int
    is_triad: bool
    is_tonic: bool


def closing_of(steps: Steps) -> Closing | None:
    """How a piece closes; None where no pitched note sounds."""
    starts = np.flatnonzero(steps.onset_VT.any(axis=0))
    if not len(starts):
        return None
    at = starts[-1:]
    rests = steps.length - at[0] >= PER_QUARTER and steps.on_beat()[at[0]]
    triad = IS_ROOT_TRIAD[above_bass(steps.classes_T[at], steps.bass_T[at])][0]
    is_tonic = steps.bass_T[at][0] % CLASSES == key_of(steps) % CLASSES
    return Closing(int(at[0]), bool(rests and triad), bool(is_tonic))
