"""The protocol of JSB Chorales on a grid of sixteenths: nats for each voice at each sixteenth.

Natural logarithm, rests included, of whole pieces from their first position to their last. See
`ostinato.reproduction.protocol` for the arithmetic.
"""

from collections.abc import Mapping
from typing import Any

from ostinato.reproduction.protocol import Protocol


def protocol_of(settings: Mapping[str, Any], encoding: str) -> Protocol:
    """From `protocol` of params.yaml; all encodings have the same cells."""
    return Protocol(
        unit="cell",
        units=settings["cells"],
        resamples=settings["resamples"],
        seed=settings["seed"],
    )
