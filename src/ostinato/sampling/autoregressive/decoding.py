"""How sub-tokens are chosen."""

from collections.abc import Mapping
from dataclasses import dataclass

from ostinato.representations.protocol import Fillable, Representation
from ostinato.sampling.request import Continue, Fill, Unconditional

END_ON = ("any", "triad", "tonic")
TASKS = (Unconditional.name, Continue.name, Fill.name)
NOT_FILLABLE = (
    "its encoding is a stream of events, whose times are not known beforehand; take a model that "
    "was trained on a grid"
)


def tasks_on(known: Representation) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The tasks on an encoding, and why it lacks others: cells of a gap need known times."""
    if isinstance(known, Fillable):
        return TASKS, {}
    return TASKS[:2], {Fill.name: NOT_FILLABLE}


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """temperature divides the logits; each of the other options then keeps a part of the symbols.

    top_k: the k likeliest (0: all). top_p: the nucleus, the smallest set of the likeliest of these
    whose probability reaches top_p of theirs (Holtzman 2020). min_p: those with at least min_p
    times the likeliest's probability (Nguyen 2024; 0: all). no_repeat: no passage of so many whole
    positions occurs twice (0: no limit; after Paulus 2018); held notes are not repetitions, see
    sampling/autoregressive/repeats.py. particles: how many fillings of a gap are tried side by
    side, see sampling/autoregressive/infill.py.

    split: on grids, whether a voice's cell changes is drawn with the model's own probability, and
    the options above choose only which other symbol follows, with temperature times split (0: off,
    they choose among all symbols). motion: temperature of the choice between staying and changing;
    below 1 the likelier of both becomes likelier still; without split it does nothing.
    no_parallels: no two voices that move keep a fifth or an octave between them, unless nothing
    else is left; only with split, since alone it makes drones.

    end_on: what the last sonority must be where a piece ends itself, see metrics/closing.py:
    "triad", "tonic" (a triad on the tonic) or "any". Not for gaps.

    best_of: how many pieces are made for each one; the one with the fewest nats a note is kept.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    no_repeat: int = 0
    particles: int = 64
    split: float = 0.0
    motion: float = 1.0
    no_parallels: bool = False
    end_on: str = "any"
    best_of: int = 1

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature={self.temperature} must be above 0; top_k=1 is greedy")
        if self.top_k < 0:
            raise ValueError(f"top_k={self.top_k} cannot be negative; 0 keeps all")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must lie in (0, 1]")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p={self.min_p} must lie in [0, 1]; 0 keeps all")
        if self.no_repeat < 0 or self.no_repeat == 1:
            raise ValueError(
                f"no_repeat={self.no_repeat} must be the 2 or more positions of a passage, or 0 "
                "for no limit"
            )
        if self.split < 0:
            raise ValueError(f"split={self.split} cannot be negative; 0 switches it off")
        if not self.motion > 0:
            raise ValueError(f"motion={self.motion} must be above 0; 1 is the model's own")
        if self.no_parallels and not self.split:
            raise ValueError(
                "no_parallels=true needs split, such as split=0.6: otherwise voices stop moving"
            )
        if self.end_on not in END_ON:
            raise ValueError(f"end_on={self.end_on} is none of {', '.join(END_ON)}")
        for name in ("particles", "best_of"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")

    @property
    def keeps_all(self) -> bool:
        """Whether anything may be drawn."""
        return not self.top_k and self.top_p == 1 and not self.min_p
