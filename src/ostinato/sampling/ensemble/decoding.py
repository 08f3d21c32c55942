"""How the tokens of roles and bars are chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any, cast

from ostinato.music.chords import ROLE as CHORDS
from ostinato.music.instruments import Instrument, players_of
from ostinato.representations.events.parts.roles_grammar import RolesGrammar
from ostinato.representations.events.roles import Roles
from ostinato.representations.protocol import NO_LIMIT, Extent, Tokens
from ostinato.representations.voice_lines import voice_tracks
from ostinato.sampling.autoregressive.decoding import TASKS as STREAMED
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.ensemble.playable import BandGrammar, Player
from ostinato.sampling.ensemble.side_by_side import SideBySide
from ostinato.sampling.request import Vary

TASKS = (*STREAMED, Vary.name)
NO_PROGRAMS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class BandDecoding(Decoding):
    """Options of `Decoding`, and what a piece keeps by construction.

    roles: those that play, and no others; empty: the model chooses. meter: of all bars, such as
    3/4; empty: the model chooses, or 4/4 under given chords. chords: bars of symbols, such as
    `Dm7 G7 | Cmaj7`, from the beginning again when they are over; empty: the model chooses. key:
    such as D or F#m, to which the piece is transposed; empty: as the model makes it. tempo:
    quarters a minute; 0: that of the prompt, or a usual one. rests: bars in a row that a role may
    rest, 0 for any number: rests that last long are likely to go on.

    playable: nothing is drawn that the instruments cannot play, see `playable.py`. collapse:
    whether a role may repeat one bar from the middle of the piece to its end, see `varied.py`.

    guidance: how much more than the model itself a piece follows its conditions, see `guidance.py`;
    1: as the model. levels: how strongly a role is steered to the density and register that it was
    asked for, see `levels.py`; 0: the model is only told.
    """

    particles: int = 4
    roles: tuple[str, ...] = ()
    meter: str = ""
    chords: str = ""
    key: str = ""
    tempo: float = 0.0
    rests: int = 2
    playable: bool = True
    collapse: bool = False
    guidance: float = 1.0
    levels: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tempo and not 10 <= self.tempo <= 400:
            raise ValueError(f"tempo={self.tempo:g} must be 10 to 400 quarters a minute")
        if self.rests < 0:
            raise ValueError(f"rests={self.rests} must be at least 0 bars; 0 is any number")
        if not 0 <= self.guidance <= 10:
            raise ValueError(f"guidance={self.guidance:g} must be 0 to 10; 1 is the model itself")
        if not 0 <= self.levels <= 10:
            raise ValueError(f"levels={self.levels:g} must be 0 to 10; 0 only tells the model")


OPTIONS = BandDecoding


def options_on(known: Roles) -> dict[str, Any]:
    """The options on an encoding, with their defaults: chords need a role that plays them."""
    options = asdict(BandDecoding())
    return options if CHORDS in known.roles else {k: v for k, v in options.items() if k != "chords"}


@dataclass(frozen=True, kw_only=True)
class Restricted(Roles):
    """A representation of which roles may rest for at most so many bars in a row.

    players: what the roles are played on, in the order of their parts, beyond which nothing is
    drawn; empty: anything is. collapse: whether a role may repeat one bar from the middle to the
    end. extents: of every sequence, where they differ.
    """

    rests: int = NO_LIMIT
    players: tuple[Player, ...] = ()
    collapse: bool = False
    extents: tuple[Extent, ...] = ()

    def grammar(self, extent: Extent, prompts: Sequence[Tokens]) -> RolesGrammar:
        """That of `Roles`, with these limits."""
        if len(set(self.extents)) > 1:
            pairs = zip(self.extents, prompts, strict=True)
            every: Any = SideBySide([self._limited(one, [prompt]) for one, prompt in pairs])
            return cast(RolesGrammar, every)
        return self._limited(extent, prompts)

    def _limited(self, extent: Extent, prompts: Sequence[Tokens]) -> BandGrammar:
        found = super().grammar(extent, prompts)
        found.rests = self.rests
        steps = self.steps_per_quarter
        return BandGrammar.of(found, self.players, steps, collapse=self.collapse)


def restricted(
    known: Roles,
    how: BandDecoding,
    programs: Mapping[str, int] = NO_PROGRAMS,
    extents: Sequence[Extent] = (),
) -> Roles:
    """A representation with the limits of these options.

    programs: of roles whose instrument is not the representation's own, such as a prompt's.
    extents: of every sequence, where they differ.
    """
    return Restricted(
        extents=tuple(extents),
        rests=how.rests or NO_LIMIT,
        players=players(known, programs) if how.playable else (),
        collapse=how.collapse,
        **{item.name: getattr(known, item.name) for item in fields(Roles)},
    )


def players(known: Roles, programs: Mapping[str, int] = NO_PROGRAMS) -> tuple[Player, ...]:
    """What the roles are played on, in the order of their parts; the chord role by anything."""
    tracks = voice_tracks(known.roles, 0, known.programs)
    tracks = tuple(replace(t, program=programs.get(t.role, t.program)) for t in tracks)
    found = dict(zip(known.roles, players_of(tracks), strict=True))
    return tuple(Instrument() if role == CHORDS else found[role] for role in known.parts)
