"""Settings of sampling events with masked families."""

from dataclasses import dataclass

ORDERS = ("random", "confident")


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How hidden values are revealed once the outline is written.

    steps: passes of the model, each of which reveals about as many values; 0: one value a pass. A
        piece with fewer values to fill than steps takes as many passes as it has values.
    pace: 1 reveals equally many in each pass; above, fewer at first, when little is known.
    order: `random`, or `confident`: of values drawn for all that is hidden, the likeliest are kept
        (MaskGIT, Chang 2022).
    gibbs: passes after that, each of which hides some values again and draws them anew; their share
        falls from `gibbs_share` to nearly none (Yao 2014).
    temperature: above 1 more surprising, below 1 more predictable.
    """

    steps: int = 48
    pace: float = 2.0
    order: str = "random"
    gibbs: int = 48
    gibbs_share: float = 0.5
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if min(self.steps, self.gibbs) < 0:
            raise ValueError(f"steps={self.steps} and gibbs={self.gibbs} cannot be negative")
        if self.pace < 1:
            raise ValueError(f"pace={self.pace} must be at least 1")
        if self.order not in ORDERS:
            raise ValueError(f"order={self.order!r} is none of {', '.join(ORDERS)}")
        if not 0 < self.gibbs_share <= 1:
            raise ValueError(f"gibbs_share={self.gibbs_share} must lie in (0, 1]")
        if not self.temperature > 0:
            raise ValueError(f"temperature={self.temperature} must be above 0")
