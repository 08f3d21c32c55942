"""The protocol of the four piano-roll sets: nats for each frame, the sum over its 88 keys.

-Σ log p(frame_t | frames before t) over all sequences and all t but the first, which is told, over
the number of those frames (the TCN benchmark's, Bai et al. 2018). See
`ostinato.reproduction.protocol` for the arithmetic.
"""

from collections.abc import Mapping
from typing import Any

from ostinato.reproduction.protocol import Protocol

KEYS = 88


def protocol_of(settings: Mapping[str, Any], encoding: str) -> Protocol:
    """From `protocol` of params.yaml, which says how many frames each encoding has."""
    if encoding not in settings["frames"]:
        known = ", ".join(settings["frames"])
        raise ValueError(f"protocol.frames in params.yaml has no {encoding!r}; it has: {known}")
    return Protocol(
        unit="frame",
        units=settings["frames"][encoding],
        of=KEYS,
        given=settings["given"],
        checked=settings["checked"],
        resamples=settings["resamples"],
        seed=settings["seed"],
    )
