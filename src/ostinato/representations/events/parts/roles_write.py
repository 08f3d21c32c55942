"""Writes roles and bars from columns of notes, without a loop over notes."""

# R roles, N notes, B bars

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Notes
from ostinato.representations.events.parts.layout import BAR, Layout
from ostinato.representations.events.parts.write import Meters, bars_of
from ostinato.representations.protocol import Mask, Tokens

Ints = npt.NDArray[np.int64]


def write_roles(
    layout: Layout, notes: Notes, part_of: Ints, meters: Meters, playing: Mask, count: int | None
) -> Tokens:
    """Tokens of shape (T, 1) without the end.

    Every token gets the numbers that say its place (bar, part, position, pitch, whether it is a
    duration), and one sort puts all in order.

    Args:
        notes: in steps.
        part_of: by track, the place of its role within a bar.
        meters: (onset in steps, number), the first at 0, later ones on bar lines.
        playing: which parts every bar has, (R,).
        count: how many bars; None: as many as sound.
    """
    steps = layout.bar_steps.tolist()
    bars, places, _ = bars_of(steps, notes["onset"], meters)
    _, _, meter_of_bar = bars_of(steps, notes["onset"] + notes["duration"] - 1, meters)
    count = len(meter_of_bar) if count is None else count
    more = meter_of_bar[-1:].repeat(max(0, count - len(meter_of_bar)))
    meter_of_bar = np.concatenate([meter_of_bar, more])[:count]
    part, pitch = part_of[notes["track"]], notes["pitch"].astype(np.int64)
    struck = np.unique(np.stack([bars, part, places], axis=1), axis=0).T
    roles, every = np.flatnonzero(playing), np.arange(count)
    opened = np.tile(roles, count)
    rows = [
        _rows(-1, -1, -1, roles, 0, 1 + roles),
        _rows(every, -1, -1, -1, 0, layout.first_bar + meter_of_bar),
        _rows(every.repeat(len(roles)), opened, -1, -1, 0, layout.opens[opened]),
        _rows(*struck, -1, 0, layout.positions[struck[1]] + struck[2]),
        _rows(bars, part, places, pitch, 0, layout.pitches[part] + pitch),
        _rows(bars, part, places, pitch, 1, layout.durations[part] + notes["duration"]),
    ]
    table = np.concatenate(rows, axis=1)
    ordered = table[5, np.lexsort(table[4::-1])]
    return ordered.astype(np.int32)[:, None]


def steps_of_bars(layout: Layout, tokens: Tokens) -> Ints:
    """The length of every bar."""
    numbers = tokens[:, 0]
    return layout.bar_steps[layout.values[numbers[layout.kinds[numbers] == BAR]]]


def part_of_tracks(tracks: Sequence[str], parts: Sequence[str]) -> Ints:
    """By track, the place of its role among the parts of a bar."""
    return np.array([parts.index(role) for role in tracks], dtype=np.int64)


def latest(where: Mask, values: Ints) -> Ints:
    """At every place the value of the latest place that `where` marks, 0 before the first."""
    at = np.maximum.accumulate(np.where(where, np.arange(len(where)), -1))
    found: Ints = np.where(at >= 0, values[at], 0)
    return found


def _rows(*columns: Any) -> Ints:
    """Columns of one length, or numbers, as an array of shape (6, N)."""
    return np.stack(np.broadcast_arrays(*columns)).astype(np.int64)
