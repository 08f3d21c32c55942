"""Music as roles and bars: every bar has a part of each role, one after the other.

The flat form is one stream of events, which any autoregressive family can learn: the roles that
play, then bar by bar a meter and each role's part, whose events are a position, and a pitch and a
duration for each note. Every role has tokens and a register of its own, so each token says whose it
is (after MMM: Ens & Pasquier 2020, with bars in place of tracks as the outer level). A piece need
not have all roles. Drums keep their kit pieces: their pitches are not transposed. No velocities, no
tempos.
"""

# V vocabulary, N notes, B bars

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import (
    DEFAULT_VELOCITY,
    NOTE,
    VOICES,
    Meter,
    Piece,
    Tempo,
    Track,
    cut,
    sort_notes,
)
from ostinato.representations.events.parts.layout import (
    BAR,
    DURATION,
    OPEN,
    PITCH,
    POSITION,
    WITH,
    Layout,
    lay_out,
)
from ostinato.representations.events.parts.quantize import (
    end_at_repeats,
    end_of,
    meters_in_steps,
    meters_on_bar_lines,
    missing_steps,
    pickup_as_rests,
)
from ostinato.representations.events.parts.roles_grammar import RolesGrammar
from ostinato.representations.events.parts.roles_write import (
    latest,
    part_of_tracks,
    steps_of_bars,
    write_roles,
)
from ostinato.representations.events.parts.vocabulary import parse_meter
from ostinato.representations.events.parts.voices import check_played, notes_of_roles
from ostinato.representations.protocol import (
    Extent,
    Mask,
    Quantized,
    Tokens,
    Unencodable,
    read_meter,
)
from ostinato.representations.voice_lines import (
    DRUMS,
    check_notes,
    options_from,
    rebuild,
    settings_of,
    to_steps,
    voice_tracks,
)

FULL = (0, 127)


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Options of roles and bars.

    roles: in the order of the decoded tracks. order: of their parts within a bar, which is the
        order in which they are made, each hearing those before it; empty: as in `roles`.
    sources: by role, the roles of tracks that play it; a role that is not named here is played by
        the tracks of its own name.
    several: what several tracks of one role become: `merge`d into one part, or `busiest`, the one
        with the most notes (of equals the first); the notes of the others are counted.
    registers: by role, its lowest and highest MIDI pitch, 0 to 127 where it is not named; notes
        outside are left out and counted.
    needed: whether a piece must have `all` roles or `any` of them.
    meters: all that can be said; a piece in another one is refused. No note is longer than the
        longest bar: longer ones are cut and counted.
    qpm, programs, velocity: how decoded music is played; nothing in the tokens says so.
    """

    roles: tuple[str, ...] = VOICES
    order: tuple[str, ...] = ()
    sources: Mapping[str, list[str]] = field(default_factory=dict)
    several: str = "merge"
    registers: Mapping[str, list[int]] = field(default_factory=dict)
    needed: str = "any"
    steps_per_quarter: int = 4
    meters: tuple[str, ...] = ("2/4", "3/4", "4/4", "3/2", "6/8", "12/8")
    qpm: float = 120.0
    programs: tuple[int, ...] = ()
    velocity: int = DEFAULT_VELOCITY

    def __post_init__(self) -> None:
        roles = list(self.roles)
        if not roles or len(set(roles)) != len(roles):
            raise ValueError(f"roles={roles} must name one or more, each once")
        if self.order and sorted(self.order) != sorted(roles):
            raise ValueError(f"order={list(self.order)} must name each of roles={roles} once")
        self._check_values()
        self._check_roles()

    def _check_values(self) -> None:
        if self.several not in ("merge", "busiest"):
            raise ValueError(f"several={self.several!r} must be merge or busiest")
        if self.needed not in ("all", "any"):
            raise ValueError(f"needed={self.needed!r} must be all or any")
        if self.programs and len(self.programs) != len(self.roles):
            raise ValueError(
                f"programs={list(self.programs)} must name one for each of roles={list(self.roles)}"
            )
        if not all(0 <= program <= FULL[1] for program in self.programs):
            raise ValueError(f"programs={list(self.programs)} must be 0 to 127")
        if self.steps_per_quarter < 1:
            raise ValueError(f"steps_per_quarter={self.steps_per_quarter} must be at least 1")
        if not self.meters or len(set(self.meters)) != len(self.meters):
            raise ValueError(f"meters={list(self.meters)} must name one or more, each once")

    def _check_roles(self) -> None:
        for name, options in (("sources", self.sources), ("registers", self.registers)):
            if unknown := sorted(set(options) - set(self.roles)):
                known = ", ".join(self.roles)
                raise ValueError(f"{name} names {', '.join(unknown)}; roles are {known}")
        played = [source for role in self.roles for source in self._played_by(role)]
        if twice := sorted({source for source in played if played.count(source) > 1}):
            raise ValueError(f"sources: {', '.join(twice)} plays more than one role")
        for role in self.roles:
            low, high = self._register(role)
            if not FULL[0] <= low < high <= FULL[1]:
                raise ValueError(
                    f"registers.{role}={[low, high]} must be two rising pitches, 0 to 127"
                )
        for meter in self.meters:
            parse_meter(meter, self.steps_per_quarter)

    def codec(self) -> dict[str, Any]:
        """Kind and options as plain settings."""
        return settings_of("roles", self)

    @property
    def width(self) -> int:
        """One token at a time."""
        return 1

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the roles, which a region of a request can name."""
        return self.roles

    @property
    def parts(self) -> tuple[str, ...]:
        """The roles in the order of their parts within a bar."""
        return self.order or self.roles

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The end, roles that play, bars with their meters; then a block for each role."""
        return self.layout.names

    @cached_property
    def layout(self) -> Layout:
        """What every token means."""
        parsed = [parse_meter(meter, self.steps_per_quarter) for meter in self.meters]
        registers = [self._register(role) for role in self.parts]
        return lay_out(self.parts, registers, self.meters, [steps for _, _, steps in parsed])

    def quantize(self, piece: Piece) -> Quantized:
        """Notes of the roles on the nearest steps, in full bars.

        As `Events.quantize`: onsets and ends go to the nearest step, at least one apart; a pitch
        struck again in its role ends there; struck twice at once, the longer note stays; a pickup
        becomes a full bar that begins with rests. Notes of roles or registers that are not there
        are left out and counted.

        Raises:
            Unencodable: for one of the protocol's REASONS.
        """
        piece = pickup_as_rests(piece, self.meters)
        played, unchosen = self._as_played(piece)
        check_played(piece, played, {role: self._played_by(role) for role in self.roles})
        notes = notes_of_roles(played, self.roles, needed=self.needed == "all")
        low, high = np.array([self._register(role) for role in self.roles]).T[:, notes["track"]]
        outside = (notes["pitch"] < low) | (notes["pitch"] > high)
        if outside.all():
            words = f"{piece.id}: pitch {int(notes['pitch'][0])} lies outside the registers"
            raise Unencodable("pitch out of range", words)
        left_out = len(piece.notes) - len(notes) - unchosen
        notes = notes[~outside]
        check_notes(piece, notes, *FULL)
        stepped, moved = to_steps(notes, piece.ticks_per_quarter, self.steps_per_quarter)
        stepped, doubled = end_at_repeats(stepped)
        too_long = stepped["duration"] > self.layout.longest
        stepped["duration"] = np.minimum(stepped["duration"], self.layout.longest)
        stepped["velocity"] = self.velocity
        late = missing_steps(piece, self.steps_per_quarter, self._bar_steps)
        stepped["onset"] += late
        changes = meters_in_steps(piece, self.steps_per_quarter, late)
        quantized = rebuild(
            piece,
            stepped,
            ticks_per_quarter=self.steps_per_quarter,
            tracks=self._tracks(),
            meters=meters_on_bar_lines(changes, end_of(stepped), self._bar_steps),
            tempos=(Tempo(0, self.qpm),),
        )
        reasons = {
            "struck twice at once in its role": doubled,
            "cut at the longest bar": int(too_long.sum()),
            "outside the register of its role": int(outside.sum()),
            "in another track of its role": unchosen,
            "in none of the roles": left_out,
        }
        return Quantized(quantized, moved, {name: n for name, n in reasons.items() if n})

    def encode(self, piece: Piece) -> Tokens:
        """Tokens of shape (T, 1) with the end token."""
        return self.write(self.quantize(piece).piece)

    def write(self, quantized: Piece, bars: int | None = None) -> Tokens:
        """Tokens of shape (T, 1), with the end token, of a piece as `quantize` gives it.

        bars: how many; None: as many as sound.
        """
        tokens = self._write(quantized, count=bars)
        return np.append(tokens, np.zeros((1, 1), np.int32), axis=0)

    def decode(self, tokens: Tokens) -> Piece:
        """The music of a sequence, complete or not; a note without its duration is left out."""
        layout, numbers = self.layout, tokens[:, 0]
        kinds, values = layout.kinds[numbers], layout.values[numbers]
        bars = np.flatnonzero(kinds == BAR)
        steps = layout.bar_steps[values[bars]]
        starts = np.cumsum(steps) - steps
        bar_of = np.cumsum(kinds == BAR) - 1
        places = latest(kinds == POSITION, values)
        found = np.flatnonzero(kinds == PITCH)
        found = found[(found + 1 < len(kinds)) & (np.append(kinds, -1)[found + 1] == DURATION)]
        notes = np.zeros(len(found), dtype=NOTE)
        track = np.array([self.roles.index(role) for role in self.parts])
        notes["track"] = track[layout.owners[numbers[found]]]
        notes["onset"] = starts[bar_of[found]] + places[found]
        notes["duration"], notes["pitch"] = values[found + 1], values[found]
        notes["velocity"] = self.velocity
        meters = [read_meter(self.meters[i]) for i in values[bars].tolist()]
        changes = [Meter(at, *m) for at, m in zip(starts.tolist(), meters, strict=True)]
        changes = changes or [Meter(0, *read_meter(self.meters[0]))]
        return Piece(
            id="",
            ticks_per_quarter=self.steps_per_quarter,
            notes=sort_notes(notes),
            tracks=self._tracks(),
            meters=meters_on_bar_lines(changes, end_of(notes), self._bar_steps),
            tempos=(Tempo(0, self.qpm),),
        )

    def shift(self, semitones: int) -> npt.NDArray[np.int32]:
        """Transposition of every token; all but pitches stay, those of drums too."""
        layout = self.layout
        table = np.arange(len(layout.names), dtype=np.int32)
        for number, role in enumerate(self.parts):
            if role == DRUMS:
                continue
            low, high = layout.registers[number]
            pitches = np.arange(low, high + 1)
            moved = pitches + semitones
            inside = (moved >= low) & (moved <= high)
            first = layout.pitches[number]
            table[first + pitches] = np.where(inside, first + moved, -1)
        return table

    def timing(self) -> dict[str, list[int]]:
        """What every token does to the time, in steps: see protocol.Timed."""
        layout = self.layout
        bar, place = layout.kinds == BAR, np.full(len(layout.kinds), -1)
        place[bar | (layout.kinds == OPEN)] = 0
        position = layout.kinds == POSITION
        place[position] = layout.values[position]
        meter = np.where(bar, layout.bar_steps[np.where(bar, layout.values, 0)], 0)
        nothing = [0] * len(bar)
        columns = {"bar": bar.astype(int), "meter": meter, "place": place}
        return {"shift": nothing} | {name: column.tolist() for name, column in columns.items()}

    def grammar(self, extent: Extent, prompts: Sequence[Tokens]) -> RolesGrammar:
        """Ends after a bar in which something sounds, when every role has played."""
        if extent.pickup is not None:
            raise ValueError(
                f"pickup={extent.pickup}: roles and bars say a pickup with rests; leave it out, or "
                "take a grid with bars: true"
            )
        if extent.meter is not None and extent.meter not in self.meters:
            raise ValueError(f"meter={extent.meter} is none of {', '.join(self.meters)}")
        fixed = None if extent.meter is None else self.meters.index(extent.meter)
        choir = set(self.roles) <= set(VOICES)  # the bass of a band may play chords
        return RolesGrammar(self.layout, extent, prompts, meter=fixed, single=choir)

    def bar_starts(self, tokens: Tokens) -> dict[int, int]:
        """By number of bar, from 1, the token that begins it."""
        bars = np.flatnonzero(self.layout.kinds[tokens[:, 0]] == BAR)
        return {1 + number: at for number, at in enumerate(bars.tolist())}

    def prefix(self, piece: Piece, quarters: float) -> Tokens:
        """Whole bars up to a cut, without the end: the last bar line at or before it.

        Notes that sound there end there. Roles that come in later are named at the beginning, as in
        the whole piece.
        """
        whole = self.quantize(piece).piece
        steps = quarters * self.steps_per_quarter
        lines = [0, *np.cumsum(steps_of_bars(self.layout, self._write(whole))).tolist()]
        at = lines[-1] if steps >= whole.length else max(line for line in lines if line <= steps)
        if at == 0:
            return np.zeros((0, 1), np.int32)
        return self._write(cut(whole, 0, at), self._playing(whole), lines.index(at))

    def playing(self, tokens: Tokens) -> list[str]:
        """The roles that a sequence names, in the order of their parts."""
        named = self.layout.owners[tokens[:, 0]][self.layout.kinds[tokens[:, 0]] == WITH]
        return [self.parts[role] for role in named.tolist()]

    def _write(
        self, quantized: Piece, playing: Mask | None = None, count: int | None = None
    ) -> Tokens:
        """Tokens without the end.

        playing: the roles that are named. count: bars; None: as many as sound.
        """
        playing = self._playing(quantized) if playing is None else playing
        number = {read_meter(meter): i for i, meter in enumerate(self.meters)}
        meters = [(m.onset, number[m.numerator, m.denominator]) for m in quantized.meters]
        part_of = part_of_tracks(self.roles, self.parts)
        return write_roles(self.layout, quantized.notes, part_of, meters, playing, count)

    def _as_played(self, piece: Piece) -> tuple[Piece, int]:
        """The piece with our roles in place of its own, and how many notes are of tracks that were
        not chosen.
        """
        ours = {source: role for role in self.roles for source in self._played_by(role)}
        named = [ours.get(DRUMS if track.is_drum else track.role, "") for track in piece.tracks]
        counts = np.bincount(piece.notes["track"], minlength=len(named))
        unchosen = 0
        if self.several == "busiest":
            for role in self.roles:
                mine = [i for i, name in enumerate(named) if name == role]
                others = sorted(mine, key=lambda i: (-counts[i], i))[1:]
                unchosen += int(counts[others].sum()) if others else 0
                named = ["" if i in others else name for i, name in enumerate(named)]
        tracks = [
            replace(track, role=role) for track, role in zip(piece.tracks, named, strict=True)
        ]
        return replace(piece, tracks=tuple(tracks)), unchosen

    @property
    def heard_roles(self) -> tuple[str, ...]:
        """Roles of tracks that play one of ours."""
        return tuple(source for role in self.roles for source in self._played_by(role))

    def _played_by(self, role: str) -> list[str]:
        return list(self.sources.get(role, [role]))

    def _register(self, role: str) -> tuple[int, int]:
        low, high = self.registers.get(role, FULL)
        return int(low), int(high)

    def _playing(self, quantized: Piece) -> Mask:
        """Which roles have notes, in the order of their parts."""
        tracks = np.unique(quantized.notes["track"]).tolist()
        found = {self.roles[track] for track in tracks}
        return np.array([role in found for role in self.parts])

    def _bar_steps(self, meter: Meter) -> int:
        name = f"{meter.numerator}/{meter.denominator}"
        if name not in self.meters:
            raise Unencodable(
                "meter not in the vocabulary", f"meter {name} is none of {', '.join(self.meters)}"
            )
        return int(self.layout.bar_steps[self.meters.index(name)])

    def _tracks(self) -> tuple[Track, ...]:
        return voice_tracks(self.roles, 0, self.programs)


def build(options: Mapping[str, Any]) -> Roles:
    """Roles from plain settings; raises ValueError for an unknown option."""
    return options_from("roles", Roles, options)
