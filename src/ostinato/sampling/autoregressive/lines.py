"""What the voices of a grid did last, for decoding that tells holding from moving.

Temperature and truncation of whole cells change how often a voice moves: where holding has 95 % of
the probability, `top_p=0.95` keeps a note for ever. Split decoding draws whether a cell changes
with the model's own probability, and sharpens only which other symbol follows.
"""

# B batch, W sub-tokens of a position, K voices, V vocabulary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ostinato.models.spec import Voices
from ostinato.representations.protocol import Mask, Tokens
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.draw import draw

NONE = -1  # before the first row
PERFECT = (0, 7)  # unison or octave, fifth, modulo 12


class Lines:
    """Follows the voices of B sequences. before_BW: the last row, with pitches for holds."""

    def __init__(self, voices: Voices, batch: int, width: int) -> None:
        self.voices = voices
        self.before_BW: Tokens = np.full((batch, width), NONE, np.int32)

    def has(self, column: int) -> bool:
        """Whether a column is a voice."""
        return self.voices.first <= column < self.voices.end

    def push(self, row_BW: Tokens) -> None:
        """Append a whole row."""
        holds_BW = row_BW == self.voices.hold
        self.before_BW = np.where(holds_BW, self.before_BW, row_BW)

    def select(self, index: npt.NDArray[np.int64]) -> None:
        """Keep the sequences at these indices, in this order."""
        self.before_BW = self.before_BW[index]

    def unchanged(self, column: int) -> npt.NDArray[np.int64]:
        """The symbol that lets each voice stay as it is, (B,); NONE at the beginning."""
        before_B = self.before_BW[:, column].astype(np.int64)
        if self.voices.hold < 0:
            return before_B
        return np.where(self._is_pitch(before_B), self.voices.hold, before_B)

    def parallels(self, row_BW: Tokens, column: int, chosen: list[int], size: int) -> Mask:
        """Mask (B, V): pitches by which this voice and one of those chosen both move and keep a
        fifth or an octave between them.

        chosen: columns of the row that are filled. size: V.
        """
        voices, mask_BV = self.voices, np.zeros((len(row_BW), size), dtype=bool)
        candidates = np.arange(voices.lowest, voices.lowest + voices.pitches)
        mine_B1 = self.before_BW[:, column, None]
        for other in chosen:
            was_B1, now_B1 = self.before_BW[:, other, None], row_BW[:, other, None]
            moves_B1 = self._is_pitch(was_B1) & self._is_pitch(now_B1) & (was_B1 != now_B1)
            interval_B1 = np.abs(mine_B1 - was_B1) % 12
            moves_B1 &= self._is_pitch(mine_B1) & np.isin(interval_B1, PERFECT)
            kept_BP = np.abs(candidates - now_B1) % 12 == interval_B1
            found_BP = moves_B1 & kept_BP & (candidates != mine_B1)
            mask_BV[:, candidates] |= found_BP
        return mask_BV

    def _is_pitch(self, symbols: npt.NDArray[np.integer]) -> Mask:
        pitch = symbols - self.voices.lowest
        inside: Mask = (pitch >= 0) & (pitch < self.voices.pitches)
        return inside


def draw_split(
    logits_BV: Tensor,
    uniform_B: Tensor,
    unchanged_B: Tensor,
    avoided_BV: Tensor | None,
    decoding: Decoding,
) -> Tensor:
    """Stay with the model's probability of staying, sharpened by `motion`, else draw another symbol
    by `decoding`.

    unchanged_B: the symbol that changes nothing, NONE for none. avoided_BV: what is not drawn
    unless nothing else is left. One uniform number decides both.
    """
    place_B1 = unchanged_B.clamp(min=0)[:, None]
    probs_BV = torch.softmax(logits_BV.float(), dim=1)
    stays_B = probs_BV.gather(1, place_B1)[:, 0] * (unchanged_B >= 0)
    if decoding.motion != 1:  # log-odds of staying, divided by a temperature
        stays_B = torch.sigmoid(torch.logit(stays_B.double()) / decoding.motion).float()
    uniform_B = uniform_B.float()
    stay_B = uniform_B < stays_B
    if stay_B.all():  # most cells of a single piece
        return unchanged_B
    is_unchanged_BV = torch.zeros_like(logits_BV, dtype=torch.bool)
    is_unchanged_BV.scatter_(1, place_B1, (unchanged_B >= 0)[:, None])
    others_BV = logits_BV.masked_fill(is_unchanged_BV, -torch.inf)
    if avoided_BV is not None:
        better_BV = others_BV.masked_fill(avoided_BV, -torch.inf)
        left_B1 = ~better_BV.isneginf().all(dim=1, keepdim=True)
        others_BV = torch.where(left_B1, better_BV, others_BV)
    nothing_B = others_BV.isneginf().all(dim=1)  # staying is all that is allowed
    others_BV = torch.where(nothing_B[:, None], logits_BV, others_BV)
    rest_B = (uniform_B - stays_B) / (1 - stays_B).clamp(min=1e-12)
    moved_B = draw(others_BV, rest_B.clamp(min=0, max=1), decoding)
    return torch.where(stay_B | nothing_B & (unchanged_B >= 0), unchanged_B, moved_B)
