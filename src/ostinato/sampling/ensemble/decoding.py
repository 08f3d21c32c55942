"""How the tokens of roles and bars are chosen."""

from dataclasses import dataclass

from ostinato.sampling.autoregressive.decoding import Decoding


@dataclass(frozen=True, kw_only=True)
class BandDecoding(Decoding):
    """Options of `Decoding`, and what a piece keeps by construction.

    roles: those that play, and no others; empty: the model chooses. meter: of all bars, such as
    3/4; empty: the model chooses.
    """

    particles: int = 4
    roles: tuple[str, ...] = ()
    meter: str = ""
