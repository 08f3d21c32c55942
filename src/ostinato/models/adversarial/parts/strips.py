"""Training strips: some bars of a piece, and what is known of the bar on either side."""

# N bars of a piece or of a strip, M bars that a critic sees, S steps of a bar, V voices

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ostinato.models.adversarial.parts.generator import EDGE
from ostinato.models.adversarial.parts.rolls import (
    MARGIN,
    Form,
    frames_of,
    key_shift,
    roll_of,
)
from ostinato.models.spec import PAD


@dataclass(frozen=True)
class Framed:
    """A piece in frames: symbols_NSV, PAD where a bar has no such step; onsets_NSV.

    shift: semitones by which it was moved. column: its bar column, end included.
    """

    symbols_NSV: Tensor
    onsets_NSV: Tensor
    shift: int
    column: Tensor


def frame_all(pieces: Sequence[Tensor], form: Form, bars: int) -> tuple[list[Framed], Counter[str]]:
    """The rows of pieces in frames, and how many are left out by reason."""
    framed, why = [], Counter[str]()
    for rows_TW in pieces:
        column = rows_TW[:, form.structure.bar_column]
        music = rows_TW if form.structure.end is None else rows_TW[column != form.structure.end]
        frames_NS = frames_of(music[:, form.structure.bar_column], form)
        if frames_NS is None:
            why[f"a bar is longer than bar_steps={form.bar_steps}"] += 1
        elif len(frames_NS) < bars:
            why[f"fewer than {bars} bars"] += 1
        else:
            framed.append(framed_of(music, frames_NS, key_shift(music, form), form, column))
    return framed, why


def framed_of(rows_TW: Tensor, frames_NS: Tensor, shift: int, form: Form, column: Tensor) -> Framed:
    """The rows of a piece without its end in these frames, moved by `shift`."""
    roll = roll_of(rows_TW, form, shift)
    there = (frames_NS != PAD)[..., None]
    at = frames_NS.clamp(min=0)
    symbols_NSV = torch.where(there, roll.symbols[at], PAD)
    return Framed(symbols_NSV, roll.onsets[at] & there, shift, column)


def strips(
    pieces: Sequence[Framed],
    places: Sequence[tuple[int, int]],
    bars: int,
    transposed: Sequence[int] = (),
) -> dict[str, Tensor]:
    """A strip for each place: (number of a piece, first bar), with `bars` bars.

    Returns:
        symbols, onsets (B, T, V); steps (B, N, S) and edges (B, N, 2), with the bars beside them;
        shift (B,). transposed: semitones by which each is moved further; music in one key stays as
        it is, and its shift says where it came from.
    """
    rows = []
    for number, first in places:
        piece = pieces[number]
        count, steps, _ = piece.symbols_NSV.shape
        within = slice(first, first + bars)
        symbols = piece.symbols_NSV[within].flatten(0, 1)
        onsets = piece.onsets_NSV[within].flatten(0, 1)
        start = int((symbols[:, 0] != PAD).nonzero()[0])
        onsets = onsets.index_fill(0, torch.tensor([start]), True)  # a critic sees nothing before
        there = torch.zeros(bars + 2 * EDGE, steps, dtype=torch.bool)
        edges = torch.zeros(bars + 2 * EDGE, 2, dtype=torch.bool)
        for place in range(bars + 2 * EDGE):
            bar = first + place - EDGE
            if 0 <= bar < count:
                there[place] = piece.symbols_NSV[bar, :, 0] != PAD
                edges[place] = torch.tensor([bar == 0, bar == count - 1])
        rows.append((symbols, onsets, there, edges))
    symbols_BTV, onsets_BTV, steps_BNS, edges_BN2 = (
        torch.stack(part) for part in zip(*rows, strict=True)
    )
    shift_B = torch.tensor([pieces[number].shift for number, _ in places])
    if len(transposed):
        shift_B = (shift_B - torch.tensor(transposed)).clamp(-MARGIN, MARGIN - 1)
    return {
        "symbols": symbols_BTV,
        "onsets": onsets_BTV,
        "steps": steps_BNS,
        "edges": edges_BN2,
        "shift": shift_B,
    }
