"""Makes the voices of a whole piece at once, from one draw of its latent vectors."""

# T positions, N bars, S steps of a frame, V voices, W columns, C symbols

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.models.adversarial.gan import Model
from ostinato.models.adversarial.parts.generator import EDGE, Strip
from ostinato.models.adversarial.parts.rolls import (
    MARGIN,
    REST,
    Form,
    Roll,
    frames_of,
    key_shift,
    planes_of,
    roll_of,
    rows_of,
)
from ostinato.models.adversarial.parts.statistics import roll_from
from ostinato.models.adversarial.parts.strips import framed_of
from ostinato.models.spec import PAD
from ostinato.representations.protocol import Tokens
from ostinato.sampling.adversarial.canvas import Canvas, canvas_of
from ostinato.sampling.adversarial.decoding import MISSING, TASKS, Decoding
from ostinato.sampling.grids.opening import Random
from ostinato.sampling.grids.whole import Batch, Whole
from ostinato.sampling.sampler import Job


class Sampler(Whole[Decoding]):
    """Pieces from nothing, after a prompt, and in the gaps of a piece."""

    tasks = TASKS
    missing = MISSING
    session_error = "adversarial families make whole pieces, not bar by bar: sample them"
    decoding = Decoding

    def _plan(self, job: Job, random: Random) -> Canvas:
        return canvas_of(job, self.model, self.representation, random)

    def _draw(self, batch: Batch, decoding: Decoding) -> list[Tokens]:
        """One piece after the other; the candidates of each are a batch."""
        seeds = [int(random.integers(1 << 62)) for random in batch.randoms]
        return [
            np.concatenate([fill(self.model, canvas, decoding, seed), canvas.end])
            for canvas, seed in zip(batch.plans, seeds, strict=True)
        ]


@torch.inference_mode()
def fill(model: Model, canvas: Canvas, decoding: Decoding, seed: int) -> Tokens:
    """The rows of a canvas with its free cells made; all others stay as they are.

    Raises:
        ValueError: a bar that is longer than those that the model learned.
    """
    model.eval()
    form, random = model.form, torch.Generator().manual_seed(seed)
    rows_TW = torch.from_numpy(canvas.rows.astype(np.int64))
    voices = slice(form.voices.first, form.voices.end)
    free_TV = torch.from_numpy(canvas.free[:, voices].copy())
    shown_TW = rows_TW.clone()
    shown_TW[:, voices] = torch.where(free_TV, REST, rows_TW[:, voices])
    frames_NS = frames_of(shown_TW[:, form.structure.bar_column], form)
    if frames_NS is None:
        raise ValueError(
            f"a bar has more than {form.bar_steps} steps, the longest that this model makes: give "
            "a prompt in a shorter meter, or take a model with a larger model.bar_steps"
        )
    if free_TV.all():
        shift = int(torch.multinomial(model.shifts, 1, generator=random)) - MARGIN
    else:
        shift = key_shift(shown_TW, form)
    made = _made(model, canvas, shown_TW, frames_NS, shift, decoding, random)
    there_T = (frames_NS != PAD).flatten()
    roll = Roll(made.symbols[there_T], made.onsets[there_T])
    cells_TV = rows_of(roll, form, shift)
    if form.holds:
        cells_TV = _with_notes_to_hold(cells_TV, rows_TW, free_TV, form)
    out: Tokens = canvas.rows.copy()
    out[:, voices] = torch.where(free_TV, cells_TV, rows_TW[:, voices]).numpy()
    return out


def _made(
    model: Model, canvas: Canvas, rows_TW: Tensor, frames_NS: Tensor, shift: int,
    decoding: Decoding, random: torch.Generator,
) -> Roll:  # fmt: skip
    """The frames of the candidate that the critic rates highest, one after the other."""
    form, count, device = model.form, decoding.candidates, model.shifts.device
    framed = framed_of(rows_TW, frames_NS, shift, form, rows_TW[:, 0])
    there_NS = frames_NS != PAD
    outside = torch.zeros_like(there_NS[:1])
    after = outside if canvas.ended else there_NS[-1:]  # music would go on
    edges_N2 = torch.zeros(len(there_NS) + 2 * EDGE, 2, dtype=torch.bool)
    edges_N2[EDGE, 0], edges_N2[-1 - EDGE, 1] = True, canvas.ended
    strip = Strip(
        torch.cat([outside, there_NS, after]).expand(count, -1, -1).to(device),
        edges_N2.expand(count, -1, -1).to(device),
        torch.full((count,), shift, device=device),
    )
    voices = slice(form.voices.first, form.voices.end)
    known_NSV = torch.from_numpy(~canvas.free[:, voices])[frames_NS.clamp(min=0)]
    known_TV = (known_NSV & there_NS[..., None]).flatten(0, 1).to(device)
    planes = planes_of(framed.symbols_NSV, framed.onsets_NSV, form).flatten(0, 1).to(device)
    given = (planes * known_TV[..., None]).expand(count, -1, -1, -1)
    latent = model.latent(strip, random)
    latent = replace(
        latent,
        piece_BZ=latent.piece_BZ * decoding.truncation,
        bars_BNZ=latent.bars_BNZ * decoding.truncation,
    )
    made = model.generator(latent, strip, given, known_TV.expand(count, -1, -1), model.hard)
    best = int(model.critic(made, strip).argmax())
    return roll_from(made[best].cpu(), form)


def _with_notes_to_hold(cells_TV: Tensor, rows_TW: Tensor, free_TV: Tensor, form: Form) -> Tensor:
    """Where a kept cell holds and the made one before it rests, that one gets the note back."""
    held_TV = ~free_TV & (rows_TW[:, form.voices.first : form.voices.end] == form.voices.hold)
    before_TV = F.pad(held_TV[1:], (0, 0, 0, 1)) & free_TV & (cells_TV == REST)
    notes = roll_of(rows_TW, form)
    pitches_TV = rows_of(Roll(notes.symbols, torch.ones_like(notes.onsets)), form)
    return torch.where(before_TV, pitches_TV, cells_TV)
