"""Where every token of a stream of roles and bars is: its bar, the time, and the notes so far."""

# B batch, T positions, I bars of a row, R roles, S steps, P pitches, L notes of all rows

from dataclasses import dataclass

import torch
from torch import Tensor

from ostinato.models.autoregressive.parts.musical_time import latest
from ostinato.models.ensemble.parts.layout import (
    BAR,
    DURATION,
    OPEN,
    PITCH,
    POSITION,
    WITH,
    Layout,
)
from ostinato.models.spec import PAD


@dataclass(frozen=True)
class Notes:
    """Notes of all rows: their row, role, bar, place in the bar, pitch of the register, duration,
    and onset in steps; (L,) each.
    """

    row: Tensor
    role: Tensor
    bar: Tensor
    place: Tensor
    pitch: Tensor
    duration: Tensor
    onset: Tensor


@dataclass(frozen=True)
class Reading:
    """Tokens of rows, (B, T), what they are, and where.

    bars: number of the bar; 0 is what comes before the first bar line, which is the naming of the
    roles, or the rest of a bar in a crop. now: the step at which what follows a token may begin: a
    position's, or where a note ends. starts, ends: steps of every bar, (B, I). meters: their
    numbers, PAD for bar 0. present: which roles have tokens in a bar, (B, I, R).
    """

    tokens: Tensor
    kinds: Tensor
    roles: Tensor
    bars: Tensor
    now: Tensor
    starts: Tensor
    ends: Tensor
    meters: Tensor
    present: Tensor
    notes: Notes


def read(layout: Layout, tokens_BT: Tensor) -> Reading:
    """Reads rows that begin anywhere in their pieces; PAD is no token."""
    tokens = torch.where(tokens_BT == PAD, layout.vocabulary, tokens_BT)
    kinds, roles, values = layout.kinds[tokens], layout.roles[tokens], layout.values[tokens]
    begins = kinds == BAR
    bars = begins.cumsum(dim=1)
    size = (len(tokens), int(bars.max()) + 1)
    meters = tokens.new_full(size, PAD)
    rows, places = begins.nonzero(as_tuple=True)
    meters[rows, bars[rows, places]] = values[rows, places]
    lengths = torch.where(meters == PAD, layout.longest, layout.meters_M[meters.clamp(min=0)])
    ends = lengths.cumsum(dim=1)
    starts = ends - lengths
    moves = (kinds == OPEN) | (kinds == POSITION) | begins
    place = latest(torch.where(kinds == POSITION, values, 0), moves, 0)
    held = torch.where(kinds == DURATION, values, 0)
    start = starts.gather(1, bars)
    present = torch.zeros(*size, len(layout.blocks), dtype=torch.bool, device=tokens.device)
    rows, places = (roles >= 0).nonzero(as_tuple=True)
    present[rows, bars[rows, places], roles[rows, places]] = True
    struck = (kinds[:, :-1] == PITCH) & (kinds[:, 1:] == DURATION)
    rows, places = struck.nonzero(as_tuple=True)
    at = (rows, places)
    notes = Notes(
        row=rows,
        role=roles[at],
        bar=bars[at],
        place=place[at],
        pitch=values[at],
        duration=values[rows, places + 1],
        onset=(start + place)[at],
    )
    return Reading(
        tokens, kinds, roles, bars, start + place + held, starts, ends, meters, present, notes
    )


def header(kinds: Tensor) -> Tensor:
    """Where what follows may still name a role: before a piece, and after another such name."""
    return (kinds == WITH) | (kinds > PITCH)
