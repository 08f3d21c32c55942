"""Music as sound without notes: what encodings of sound decode to, in place of a `Piece`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.float32]
Sound = npt.NDArray[np.float32]
OFFSET = 3.0  # of frames: log10 of a magnitude, plus this


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Frames (T, W) of a sound, `rate` of them a second.

    invert: makes a sound of such frames, (samples,) within [-1, 1], `sample_rate` samples a second.
    It may take seconds, so it runs only where someone listens.
    """

    id: str
    frames: Frames
    rate: float
    sample_rate: int
    invert: Callable[[Frames], Sound]
    title: str = ""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.frames) / self.rate

    @cached_property
    def sound(self) -> Sound:
        """The sound of the frames."""
        return self.invert(self.frames)
