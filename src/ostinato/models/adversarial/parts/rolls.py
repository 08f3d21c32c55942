"""Rows of a grid ⇄ a piano roll for each voice, in frames of one bar each.

A frame has `bar_steps` steps, of which those that the bar does not have are left out: the first
ones of a pickup, the last ones of a 3/4 bar among frames of 4/4. A bar that a repeat sign splits is
one frame. So a step's place in its frame is its place in the bar, whatever the meter.

All pieces are moved to one key: by the semitones that put most of their notes on the white keys.
The move is kept beside the roll, so the conversion is exact; a roll has six pitches more on both
sides of the grid's. What a roll cannot hold is refused, never changed.
"""

# B batch, N bars, S steps of a frame, T positions, V voices, P pitches of the grid, C symbols

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.models.spec import PAD, ArraySpec, Structure, Voices

REST = 0  # in rows
MARGIN = 6  # pitches of a roll beyond the grid's, on each side
WHITE = (0, 2, 4, 5, 7, 9, 11)
CLASSES = 12


@dataclass(frozen=True)
class Form:
    """How rows hold voices: those of a grid with a bar column.

    pitches: of a roll, MARGIN more on both sides than the grid has; the symbol after them is a
    rest, so a voice has C = pitches + 1 symbols.
    """

    voices: Voices
    structure: Structure
    bar_steps: int

    @property
    def count(self) -> int:
        """V."""
        return self.voices.end - self.voices.first

    @property
    def pitches(self) -> int:
        """Of a roll."""
        return self.voices.pitches + 2 * MARGIN

    @property
    def rest(self) -> int:
        """The symbol of a voice that rests."""
        return self.pitches

    @property
    def holds(self) -> bool:
        """Whether the grid tells repeated notes from held ones."""
        return self.voices.hold >= 0


def form_of(spec: ArraySpec, bar_steps: int) -> Form:
    """The form of an encoding.

    Raises:
        ValueError: it is not a grid of several voices with bar lines.
    """
    if spec.voices is None or spec.structure is None or not spec.structure.meters:
        raise ValueError(
            "family gan learns grids of several voices with bar lines (a representation of form "
            "grid with bars: true and two or more voices); choose such an encoding (encoding=…)"
        )
    return Form(spec.voices, spec.structure, bar_steps)


@dataclass(frozen=True)
class Roll:
    """Voices of one piece or of a batch, (…, T, V).

    symbols: pitch from 0, or `rest`, or PAD. onsets: whether a note begins, or a rest after a note.
    """

    symbols: Tensor
    onsets: Tensor


def roll_of(rows_TW: Tensor, form: Form, shift: int = 0) -> Roll:
    """The roll of the rows of a piece, without an end, moved by `shift` semitones.

    Raises:
        ValueError: symbols that are no music in a voice's column, or a hold without a note.
    """
    voices = form.voices
    cells_TV = rows_TW[:, voices.first : voices.end]
    holds_TV = cells_TV == voices.hold if form.holds else torch.zeros_like(cells_TV).bool()
    steps_TV = torch.arange(len(cells_TV))[:, None].expand_as(cells_TV)
    begun_TV = torch.where(holds_TV, -1, steps_TV).cummax(dim=0).values
    if (begun_TV < 0).any():
        raise ValueError("a voice holds a note that has not begun: give the piece from its start")
    sounding_TV = cells_TV.gather(0, begun_TV)
    pitch_TV = sounding_TV - voices.lowest
    rests_TV = sounding_TV == REST
    if not (rests_TV | ((pitch_TV >= 0) & (pitch_TV < voices.pitches))).all():
        raise ValueError("a voice's column holds a symbol that is neither pitch, hold nor rest")
    symbols_TV = torch.where(rests_TV, form.rest, pitch_TV + MARGIN + shift)
    changes_TV = symbols_TV.diff(dim=0, prepend=torch.full_like(symbols_TV[:1], PAD)) != 0
    again_TV = ~holds_TV & ~rests_TV if form.holds else torch.zeros_like(holds_TV)
    return Roll(symbols_TV, changes_TV | again_TV)


def rows_of(roll: Roll, form: Form, shift: int = 0) -> Tensor:
    """The voices' cells of rows, (T, V): undoes `roll_of` for the same shift."""
    pitch_TV = roll.symbols - MARGIN - shift
    cells_TV = torch.where(roll.symbols == form.rest, REST, pitch_TV + form.voices.lowest)
    if not form.holds:
        return cells_TV
    held_TV = ~roll.onsets & (roll.symbols != form.rest)
    return torch.where(held_TV, form.voices.hold, cells_TV)


def key_shift(rows_TW: Tensor, form: Form) -> int:
    """Semitones, -6 to 5, that put most of a piece on the white keys; 0 for one without notes."""
    roll = roll_of(rows_TW, form)
    pitches = roll.symbols[roll.symbols != form.rest]
    if not len(pitches):
        return 0
    counts_C = torch.bincount(pitches % CLASSES, minlength=CLASSES)
    white = torch.tensor(WHITE)
    fit = [int(counts_C[(white - shift) % CLASSES].sum()) for shift in range(-MARGIN, MARGIN)]
    return fit.index(max(fit)) - MARGIN


def planes_of(symbols: Tensor, onsets: Tensor, form: Form) -> Tensor:
    """What a critic sees, (…, V, C + 1): one plane for each symbol, and one of onsets; 0 at PAD."""
    there = symbols != PAD
    hot = F.one_hot(symbols.clamp(min=0), form.pitches + 1)
    return torch.cat([hot * there[..., None], (onsets & there)[..., None]], dim=-1).float()


def frames_of(column_T: Tensor, form: Form) -> Tensor | None:
    """The rows of every frame of a piece, (N, S), PAD where its bar has no such step.

    column_T: the bar column, without an end. None where a bar is longer than a frame.
    """
    lines = (column_T != form.structure.inside).nonzero()[:, 0].tolist()
    if not lines or lines[0]:
        lines = [0, *lines]
    spans = list(zip(lines, [*lines[1:], len(column_T)], strict=True))
    full = max(end - start for start, end in spans)
    if full > form.bar_steps:
        return None
    joined = spans[:2]
    for start, end in spans[2:]:
        if end - joined[-1][0] <= full:  # two parts of a bar
            start = joined.pop()[0]
        joined.append((start, end))
    frames_NS = torch.full((len(joined), form.bar_steps), PAD)
    for number, (start, end) in enumerate(joined):
        late = 0
        if number == 0 and len(joined) > 1:  # a pickup ends where a bar does
            late = max(0, joined[1][1] - joined[1][0] - (end - start))
        frames_NS[number, late : late + end - start] = torch.arange(start, end)
    return frames_NS
