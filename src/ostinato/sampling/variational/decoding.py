"""Settings of sampling with variational families."""

from dataclasses import dataclass

from ostinato.sampling.request import Continue, Fill, Interpolate, Unconditional, Vary

TASKS = (Unconditional.name, Continue.name, Interpolate.name, Vary.name)
MISSING = {
    Fill.name: "its bars are drawn from left to right, each from its vector, and what comes after "
    "a gap has no say in it"
}


END_ON = ("any", "triad", "tonic")


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How vectors and cells are drawn.

    temperature: of cells; above 1 more surprising, below 1 more predictable, 0 takes the likeliest.
    move_temperature: besides, of the symbols that a voice can move to. Whether it keeps the one
        that it has is left to `temperature`. 1: off.
    latent_temperature: how far vectors of the prior lie from its mean, 1 as it says.
    end_on: what the last sonority must be where a piece ends itself: "triad", "tonic" (a triad on
        the tonic) or "any". The last bar is drawn anew until it is so, see closing.py.
    density, register: in standard deviations over beats of the training pieces, about how much more
        moves, and how much higher the music lies.
    """

    temperature: float = 1.0
    move_temperature: float = 0.5
    latent_temperature: float = 1.0
    end_on: str = "tonic"
    density: float = 0.0
    register: float = 0.0

    def __post_init__(self) -> None:
        for name in ("temperature", "latent_temperature"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0")
        if not self.move_temperature > 0:
            raise ValueError(f"move_temperature={self.move_temperature} must be above 0")
        check_end(self.end_on)
        for name in ("density", "register"):
            if not -4 <= getattr(self, name) <= 4:
                raise ValueError(
                    f"{name}={getattr(self, name)} must lie in [-4, 4], standard deviations"
                )


def check_end(end_on: str) -> None:
    """Raise ValueError for what is none of END_ON."""
    if end_on not in END_ON:
        raise ValueError(f"end_on={end_on} is none of {', '.join(END_ON)}")
