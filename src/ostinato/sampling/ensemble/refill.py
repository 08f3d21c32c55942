"""Makes some parts of a piece anew, role by role and bar by bar, and keeps all others as they are.

In every bar the kept roles come first, so that the free ones hear them. What comes later is heard
through a particle filter: N fillings are made side by side, each weighed by the probability of the
kept parts that follow, and those that fit go on (see sampling/autoregressive/infill.py).
"""

# N particles, V vocabulary of a role

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.models.ensemble.band import Model
from ostinato.models.ensemble.parts.layout import CLOSE
from ostinato.models.ensemble.parts.steps import Line
from ostinato.representations.events.parts.layout import BAR, OPEN, WITH
from ostinato.representations.events.parts.roles_grammar import RolesGrammar
from ostinato.representations.events.roles import Roles
from ostinato.representations.protocol import Extent, Tokens
from ostinato.sampling.autoregressive.draw import Uniforms, draw
from ostinato.sampling.autoregressive.infill import systematic
from ostinato.sampling.ensemble.bounded import clipped
from ostinato.sampling.ensemble.decoding import BandDecoding
from ostinato.sampling.ensemble.guidance import GuidedLine, line_of
from ostinato.sampling.ensemble.levels import SteeredLine, steered
from ostinato.sampling.sampler import Made

ENOUGH = 0.5  # share of the particles: with a smaller effective sample they are resampled
Parts = dict[tuple[int, int], list[int]]  # own symbols of a role, by bar and place of the role


@dataclass(frozen=True)
class Score:
    """A piece as parts. playing: places of the roles that play. meters: of every bar.

    parts: what is kept, by (bar from 0, place of the role). free: what is to be made.
    """

    playing: list[int]
    meters: list[int]
    parts: Parts
    free: set[tuple[int, int]]

    def order(self, roles: int) -> list[int]:
        """The roles in the order in which they are made: those of which nothing is free first."""
        made = {role for _, role in self.free}
        return sorted(range(roles), key=lambda role: (role in made, role))

    def room(self, bar: int, role: int) -> int:
        """How many bars from this one on are free in a role, one after the other."""
        end = bar
        while (end, role) in self.free:
            end += 1
        return end - bar


def score_of(
    representation: Roles,
    tokens: Tokens,
    span: tuple[int, int],
    roles: Sequence[str],
    only: set[tuple[int, int]] | None = None,
) -> Score:
    """The parts of a piece's bars, but for those of some roles in bars [first, end), from 1.

    These roles play in the result, even if the piece is without them. only: of these parts, those
    that are free; None: all.
    """
    layout = representation.layout
    numbers = tokens[:, 0]
    kinds, owners = layout.kinds[numbers], layout.owners[numbers]
    bars = np.cumsum(kinds == BAR) - 1
    meters = layout.values[numbers[kinds == BAR]].tolist()
    made = {representation.parts.index(role) for role in roles}
    playing = sorted(made | set(owners[kinds == WITH].tolist()))
    count = len(meters)
    free = {(bar, role) for bar in range(count) for role in made if span[0] <= bar + 1 < span[1]}
    free = free if only is None else free & only
    parts: Parts = {(bar, role): [] for bar in range(count) for role in playing}
    own = (owners >= 0) & (kinds != WITH) & (kinds != OPEN)
    for number, owner, bar in zip(numbers[own], owners[own], bars[own], strict=True):
        parts[int(bar), int(owner)].append(int(number - layout.opens[owner]))
    return Score(playing, meters, {k: v for k, v in parts.items() if k not in free}, free)


@dataclass
class Particle:
    """One filling so far. costs: nats of every symbol and of the end of its part."""

    line: Line | GuidedLine | SteeredLine
    grammar: RolesGrammar
    parts: Parts = field(default_factory=dict)
    costs: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    weight: float = 0.0

    def copy(self) -> "Particle":
        """An independent filling with the same past."""
        grammar = type(self.grammar).__new__(type(self.grammar))
        grammar.__dict__.update(self.grammar.__dict__)
        grammar.select(np.zeros(1, dtype=np.int64))
        return replace(
            self,
            line=self.line.copy(),
            grammar=grammar,
            parts=dict(self.parts),
            costs=dict(self.costs),
        )


@torch.inference_mode()
def refill(
    model: Model,
    representation: Roles,
    score: Score,
    condition_D: Tensor,
    seed: int,
    how: BandDecoding,
    conditions: Mapping[str, Any] | None = None,
) -> Made:
    """The piece with its free parts made anew.

    conditions: those of condition_D by name, for the levels to which free parts are steered.
    """
    model.eval()
    order = score.order(len(representation.parts))
    particles = []
    for _ in range(how.particles):
        guided = line_of(model, condition_D, order, how.guidance)
        line = steered(guided, representation, conditions or {}, how.levels)
        line.playing = [role in score.playing for role in range(len(representation.parts))]
        line.begin()
        extent = Extent(bars=len(score.meters), least=len(score.meters))
        named = np.array([1 + role for role in score.playing], np.int32)[:, None]
        particles.append(Particle(line, representation.grammar(extent, [named])))
    streams = [Uniforms([(seed, number)]) for number in range(how.particles)]
    lots = Uniforms([(seed, how.particles)])
    first = min(score.free)[0] if score.free else 0
    for bar, meter in enumerate(score.meters):
        for particle, stream in zip(particles, streams, strict=True):
            _make_bar(particle, representation, score, (bar, meter), stream, how)
            if bar <= first:  # nothing made is before what is kept here
                particle.weight = 0.0
        weights = _shares(particles)
        if 1 / float(np.square(weights).sum()) < ENOUGH * len(particles):
            chosen = systematic(weights, float(lots.next(np.ones(1, bool))[0]))
            particles = [particles[number].copy() for number in chosen.tolist()]
            for particle in particles:
                particle.weight = 0.0
    lot = float(lots.next(np.ones(1, bool))[0])
    cumulative = _shares(particles).cumsum()
    rank = int(np.searchsorted(cumulative, lot * cumulative[-1], side="right"))
    return _written(representation, score, particles[min(rank, len(particles) - 1)])


def _make_bar(
    particle: Particle,
    representation: Roles,
    score: Score,
    at: tuple[int, int],
    stream: Uniforms,
    how: BandDecoding,
) -> None:
    """One bar of a filling: kept parts are read and weighed, free ones are drawn."""
    (bar, meter), line, grammar = at, particle.line, particle.grammar
    layout, everyone = representation.layout, np.ones(1, dtype=bool)
    line.open_bar(meter)
    grammar.advance(np.array([layout.first_bar + meter]), everyone)
    for role in line.order:
        if role not in score.playing:
            continue
        place = (bar, role)
        line.open_part(role)
        grammar.advance(layout.opens[[role]], everyone)
        kept = score.parts.get(place)
        particle.parts[place], particle.costs[place] = [], []
        if kept is None:
            bars = score.meters[bar : bar + score.room(bar, role)]
            grammar.end_within(int(layout.bar_steps[bars].sum()))
        while True:
            logs_V = line.symbol_log_probabilities()
            drawn_V = line.drawn_log_probabilities() if isinstance(line, SteeredLine) else logs_V
            if kept is not None:
                done = len(particle.parts[place])
                symbol = kept[done] if done < len(kept) else CLOSE
                particle.weight += float(logs_V[symbol])
            else:
                allowed = grammar.part(role)
                first, longest = 1 + layout.longest, layout.longest  # of the durations
                if room := int(allowed[first : first + longest].sum()):
                    drawn_V = clipped(drawn_V, first, longest, room)
                forbidden = torch.from_numpy(~allowed).to(logs_V.device)
                masked = drawn_V.masked_fill(forbidden, -torch.inf)
                lot = torch.from_numpy(stream.next(everyone)).to(logs_V.device)
                symbol = int(draw(masked[None], lot, how)[0])
            particle.costs[place].append(-float(logs_V[symbol]))
            if symbol == CLOSE:
                break
            particle.parts[place].append(symbol)
            line.push_symbol(symbol)
            grammar.advance(layout.opens[[role]] + symbol, everyone)
        line.close_part()
    line.close_bar()


def _shares(particles: Sequence[Particle]) -> np.ndarray:
    logs = np.array([particle.weight for particle in particles])
    shares = np.exp(logs - logs.max())
    found: np.ndarray = shares / shares.sum()
    return found


def _written(representation: Roles, score: Score, made: Particle) -> Made:
    """The stream of the encoding, with the nats of every part; what ends one costs at the next."""
    layout = representation.layout
    tokens = [1 + role for role in score.playing]
    nats = [0.0] * len(tokens)
    carried = 0.0
    for bar, meter in enumerate(score.meters):
        tokens.append(layout.first_bar + meter)
        nats.append(carried)
        carried = 0.0
        for role in score.playing:
            symbols, costs = made.parts[bar, role], made.costs[bar, role]
            tokens += [int(layout.opens[role]), *(int(layout.opens[role]) + s for s in symbols)]
            nats += [carried, *costs[:-1]]
            carried = costs[-1]
    tokens.append(0)
    nats.append(carried)
    return Made(np.array(tokens, np.int32)[:, None], np.array(nats, np.float32)[:, None])
