"""Keys of steps: of whole pieces and of windows, by the profiles of `music/keys.py`."""

import numpy as np
import numpy.typing as npt

from ostinato.metrics.steps import CLASSES, PER_QUARTER, Numbers, Steps
from ostinato.music.keys import keys_of

WINDOW, HOP = 16 * PER_QUARTER, 8 * PER_QUARTER  # steps


def key_of(steps: Steps) -> int:
    """The key of a whole piece, by how many steps each pitch class sounds in."""
    return int(keys_of(_sounding(steps).sum(axis=0, keepdims=True))[0])


def keys_by_windows(steps: Steps) -> Numbers:
    """The key of each window of 16 quarters, every 8; a shorter piece is one window.

    Windows without a key (silence) are left out.
    """
    summed = np.r_[np.zeros((1, CLASSES)), np.cumsum(_sounding(steps), axis=0)]
    starts = np.arange(0, max(1, steps.length - WINDOW + 1), HOP)
    keys = keys_of(summed[np.minimum(starts + WINDOW, steps.length)] - summed[starts])
    return keys[keys >= 0]


def _sounding(steps: Steps) -> npt.NDArray[np.float64]:
    """Which pitch classes sound in each step, shape (T, 12), of 0 and 1."""
    return ((steps.classes_T[:, None] >> np.arange(CLASSES)) & 1).astype(np.float64)
