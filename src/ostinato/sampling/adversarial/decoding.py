"""Settings of sampling with adversarial families."""

from dataclasses import dataclass

from ostinato.sampling.request import Continue, Fill, Interpolate, Unconditional, Vary

TASKS = (Unconditional.name, Continue.name, Fill.name)
UNKNOWN = "a generator cannot tell which latent numbers would make a given piece"
MISSING = {Interpolate.name: UNKNOWN, Vary.name: UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How pieces are drawn.

    candidates: so many are made of each piece, and that which the critic takes most for music is
    kept. truncation: scale of the latent numbers; below 1 closer to the average piece, with less
    variety.
    """

    candidates: int = 8
    truncation: float = 1.0

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ValueError(f"candidates={self.candidates} must be at least 1")
        if not self.truncation > 0:
            raise ValueError(f"truncation={self.truncation} must be above 0")
