"""How the tokens of roles and bars are chosen."""

from dataclasses import dataclass

from ostinato.sampling.autoregressive.decoding import Decoding


@dataclass(frozen=True, kw_only=True)
class BandDecoding(Decoding):
    """Options of `Decoding`, and what a piece keeps by construction.

    roles: those that play, and no others; empty: the model chooses. meter: of all bars, such as
    3/4; empty: the model chooses, or 4/4 under given chords. chords: bars of symbols, such as
    `Dm7 G7 | Cmaj7`, from the beginning again when they are over; empty: the model chooses. key:
    such as D or F#m, to which the piece is transposed; empty: as the model makes it. tempo:
    quarters a minute; 0: that of the prompt, or a usual one. guidance: how much more than the model
    itself a piece follows its conditions, see `sampling/ensemble/guidance.py`; 1: as the model.
    """

    particles: int = 4
    roles: tuple[str, ...] = ()
    meter: str = ""
    chords: str = ""
    key: str = ""
    tempo: float = 0.0
    guidance: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tempo and not 10 <= self.tempo <= 400:
            raise ValueError(f"tempo={self.tempo:g} must be 10 to 400 quarters a minute")
        if not 0 <= self.guidance <= 10:
            raise ValueError(f"guidance={self.guidance:g} must be 0 to 10; 1 is the model itself")
