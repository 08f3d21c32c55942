"""How far made music is from real music in what can be counted: chords, intervals, moves, rhythm.

The figure of a training's validation. It has no part in the loss, so it says honestly whether the
game between generator and critic leads anywhere, and which weights to keep.
"""

# B batch, T positions, V voices, S steps of a frame

import math

import torch
from torch import Tensor

from ostinato.models.adversarial.parts.rolls import CLASSES, Form, Roll
from ostinato.models.spec import PAD

LARGEST = 12  # semitones of a move; larger ones are counted as one
NAMES = ("chords", "intervals", "moves", "rhythm", "pitches")
UPPER = 3  # voices above the lowest one that make a chord


def counted(roll: Roll, form: Form) -> dict[str, Tensor]:
    """How often everything occurs in rolls (B, T, V) of whole frames, one vector for each of NAMES.

    chords: intervals of up to three voices above the lowest one on the first step of every quarter
    of a frame. intervals: of every pair of voices at every step, modulo an octave. moves: of every
    voice from one step to the next, where it changes. rhythm: onsets by place in the frame.
    pitches: of every voice.
    """
    symbols, voices, size = roll.symbols, roll.symbols.shape[-1], form.pitches + 1
    there = symbols != PAD
    sounds = there & (symbols != form.rest)
    beats = torch.arange(symbols.shape[1], device=symbols.device) % (form.bar_steps // 4) == 0
    upper, lowest = symbols[:, beats, :-1][..., -UPPER:], symbols[:, beats, -1:]
    above = torch.where(sounds[:, beats, :-1][..., -UPPER:], (upper - lowest) % CLASSES, CLASSES)
    code = (above * (CLASSES + 1) ** torch.arange(above.shape[-1], device=above.device)).sum(-1)
    chords = code[sounds[:, beats, -1]]
    first, second = torch.triu_indices(voices, voices, 1)
    pair = torch.arange(len(first), device=symbols.device)
    both = sounds[..., first] & sounds[..., second]
    intervals = (symbols[..., first] - symbols[..., second]) % CLASSES + CLASSES * pair
    voice = torch.arange(voices, device=symbols.device)
    goes_on = sounds[:, 1:] & sounds[:, :-1] & (symbols[:, 1:] != symbols[:, :-1])
    moves = symbols.diff(dim=1).clamp(-LARGEST - 1, LARGEST + 1) + LARGEST + 1
    moves = moves + (2 * LARGEST + 3) * voice
    place = torch.arange(symbols.shape[1], device=symbols.device)[:, None] % form.bar_steps
    places = (place + form.bar_steps * voice).expand_as(symbols)
    begins = roll.onsets & sounds
    sizes = (
        (CLASSES + 1) ** UPPER,
        CLASSES * len(pair),
        (2 * LARGEST + 3) * voices,
        2 * form.bar_steps * voices,
        size * voices,
    )
    goes = sounds & ~roll.onsets
    rhythm = torch.cat([places[begins], places[goes] + form.bar_steps * voices])
    found = (chords, intervals[both], moves[goes_on], rhythm, (symbols + size * voice)[there])
    return {
        name: torch.bincount(codes, minlength=length).double()
        for name, codes, length in zip(NAMES, found, sizes, strict=True)
    }


def distances(real: dict[str, Tensor], made: dict[str, Tensor]) -> dict[str, Tensor]:
    """Jensen-Shannon divergence of each, in nats: 0 for equal shares, ln 2 for none in common."""
    return {name: _divergence(real[name], made[name]) for name in NAMES}


def _divergence(a: Tensor, b: Tensor) -> Tensor:
    if not a.sum() or not b.sum():
        return a.new_tensor(math.log(2))
    p, q = a / a.sum(), b / b.sum()
    middle = (p + q) / 2
    return (
        torch.special.entr(middle).sum() * 2
        - torch.special.entr(p).sum()
        - torch.special.entr(q).sum()
    ) / 2


def roll_from(planes_BTVC: Tensor, form: Form) -> Roll:
    """The roll of planes of whole numbers; PAD where all of a voice's are 0."""
    symbols = planes_BTVC[..., :-1].argmax(dim=-1)
    there = planes_BTVC[..., :-1].sum(dim=-1) > 0
    return Roll(torch.where(there, symbols, PAD), planes_BTVC[..., -1] > 0.5)
