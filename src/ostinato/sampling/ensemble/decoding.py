"""How the tokens of roles and bars are chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from ostinato.representations.events.parts.roles_grammar import RolesGrammar
from ostinato.representations.events.roles import Roles
from ostinato.representations.protocol import NO_LIMIT, Extent, Tokens
from ostinato.sampling.autoregressive.decoding import Decoding


@dataclass(frozen=True, kw_only=True)
class BandDecoding(Decoding):
    """Options of `Decoding`, and what a piece keeps by construction.

    roles: those that play, and no others; empty: the model chooses. meter: of all bars, such as
    3/4; empty: the model chooses, or 4/4 under given chords. chords: bars of symbols, such as
    `Dm7 G7 | Cmaj7`, from the beginning again when they are over; empty: the model chooses. key:
    such as D or F#m, to which the piece is transposed; empty: as the model makes it. tempo:
    quarters a minute; 0: that of the prompt, or a usual one. rests: bars in a row that a role may
    rest, 0 for any number: rests that last long are likely to go on. guidance: how much more than
    the model itself a piece follows its conditions, see `sampling/ensemble/guidance.py`; 1: as the
    model.
    """

    particles: int = 4
    roles: tuple[str, ...] = ()
    meter: str = ""
    chords: str = ""
    key: str = ""
    tempo: float = 0.0
    rests: int = 2
    guidance: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tempo and not 10 <= self.tempo <= 400:
            raise ValueError(f"tempo={self.tempo:g} must be 10 to 400 quarters a minute")
        if self.rests < 0:
            raise ValueError(f"rests={self.rests} must be at least 0 bars; 0 is any number")
        if not 0 <= self.guidance <= 10:
            raise ValueError(f"guidance={self.guidance:g} must be 0 to 10; 1 is the model itself")


@dataclass(frozen=True, kw_only=True)
class Resting(Roles):
    """A representation of which roles may rest for at most so many bars in a row."""

    rests: int = NO_LIMIT

    def grammar(self, extent: Extent, prompts: Sequence[Tokens]) -> RolesGrammar:
        """That of `Roles`, with this limit."""
        found = super().grammar(extent, prompts)
        found.rests = self.rests
        return found


def resting(known: Roles, bars: int) -> Roles:
    """A representation whose roles rest for at most so many bars in a row; 0: for any number."""
    if not bars:
        return known
    return Resting(rests=bars, **{item.name: getattr(known, item.name) for item in fields(Roles)})
