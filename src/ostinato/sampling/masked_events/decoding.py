"""Settings of sampling events with masked families."""

from dataclasses import asdict, dataclass

from ostinato.sampling.masked import decoding as masked
from ostinato.sampling.request import Continue, Fill, Unconditional, Vary

TASKS = (Unconditional.name, Continue.name, Fill.name, Vary.name)
MISSING = {
    "interpolate": "it has no vectors between which to go; vae has the task",
    "harmonize": "how many notes begin at a time is told for all voices at once",
}


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
        masked.Decoding(**asdict(self))  # which checks them
