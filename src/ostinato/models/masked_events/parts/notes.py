"""What is known of notes, as a table of onsets and voices, and what follows for every token.

Tokens of one voice lie far apart in a stream. Here they are side by side: the nearest known pitches
of every voice around an onset, whether a voice's note ends there, and how long it is until the
voice begins its next one.
"""

# B batch, T positions, G onsets, U voices, N notes

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.models.masked.parts.neighbors import Neighbors, nearest
from ostinato.models.masked_events.parts.kinds import (
    DURATION,
    METER,
    PITCH,
    POSITION,
    VALUES,
    VOICE,
    Kinds,
)
from ostinato.models.masked_events.parts.outline import latest

LONGEST = 64  # steps; longer gaps look alike
UNKNOWN = -1
EARLIER, NOW, LATER = 1, 2, 3  # when a voice's last note ends, seen from an onset; 0: unknown


class Notes(NamedTuple):
    """onset_BT: the number of every token's onset, 0 before the first. voice_BT: of its note,
    UNKNOWN for a hidden voice and for tokens of none. pitches_BGU: pitches from the lowest, as many
    as there are where none is known. around: their nearest ones. dues_BGU: see EARLIER. next_BG:
    steps from the bar line to the next known end of a note. room_BGU: steps to the next known note
    of the voice.
    """

    onset_BT: Tensor
    voice_BT: Tensor
    pitches_BGU: Tensor
    around: Neighbors
    dues_BGU: Tensor
    next_BG: Tensor
    room_BGU: Tensor

    def at_tokens(self, values_BG: Tensor) -> Tensor:
        """Of every token's onset, (B, T, …)."""
        rows_B1 = torch.arange(len(values_BG), device=values_BG.device)[:, None]
        return values_BG[rows_B1, self.onset_BT]

    def own(self, values_BGU: Tensor, nothing: int) -> Tensor:
        """Of the voice of every token's note, (B, T); `nothing` where that is not known."""
        found_BTU = self.at_tokens(values_BGU)
        found_BT = found_BTU.gather(2, self.voice_BT.clamp(min=0)[..., None])[..., 0]
        return found_BT.masked_fill(self.voice_BT < 0, nothing)


def notes_of(kinds: Kinds, shown_BT: Tensor, kinds_BT: Tensor, bar_steps_V: Tensor) -> Notes:
    """What is known of pieces whose outline is known.

    shown_BT: tokens, UNKNOWN where hidden. bar_steps_V: length of a bar by the token of its meter.
    """
    voices, pitches = kinds.count_K[VOICE], kinds.count_K[PITCH]
    onset_BT = (kinds_BT == POSITION).cumsum(dim=1)
    count = int(onset_BT.max()) + 1
    line_BT = _bar_lines(shown_BT, kinds_BT, bar_steps_V)
    voice_BT = _voices(kinds, shown_BT, kinds_BT)
    sounds_BT = (kinds_BT == PITCH) & (voice_BT >= 0)
    shape = (len(shown_BT), count, voices)
    there = _placed(sounds_BT, onset_BT, voice_BT, torch.ones_like(shown_BT), shape, 0) > 0
    known_BT = sounds_BT & (shown_BT >= 0)
    pitch_BT = shown_BT - kinds.first_K[PITCH]
    pitches_BGU = _placed(known_BT, onset_BT, voice_BT, pitch_BT, shape, pitches)
    lasts_BT = (kinds_BT == DURATION) & (voice_BT >= 0) & (shown_BT >= 0)
    steps_BT = shown_BT - kinds.first_K[DURATION] + 1
    lasts_BGU = _placed(lasts_BT, onset_BT, voice_BT, steps_BT, shape, UNKNOWN)
    placed_BT = (kinds_BT == POSITION) & (shown_BT >= 0)
    time_BT = line_BT + shown_BT - kinds.first_K[POSITION]
    none_BT = torch.zeros_like(voice_BT)
    times_BG = _placed(placed_BT, onset_BT, none_BT, time_BT, (*shape[:2], 1), _NEVER)[..., 0]
    lines_BG = _placed(kinds_BT == POSITION, onset_BT, none_BT, line_BT, (*shape[:2], 1), 0)[..., 0]
    dues_BGU, next_BG = _ends(times_BG, lasts_BGU, there, lines_BG)
    return Notes(
        onset_BT,
        voice_BT,
        pitches_BGU,
        nearest(pitches_BGU, pitches_BGU < pitches, pitches),
        dues_BGU,
        next_BG,
        _room(times_BG, there),
    )


_NEVER = -(1 << 20)  # a time that is not known


def _bar_lines(shown_BT: Tensor, kinds_BT: Tensor, bar_steps_V: Tensor) -> Tensor:
    """When the bar of every token begins; a bar that a crop breaks into is as long as the first."""
    steps_BT = bar_steps_V[shown_BT.clamp(min=0)] * (kinds_BT == METER)
    named_BT = kinds_BT == METER
    first_B1 = steps_BT.gather(1, named_BT.int().argmax(dim=1, keepdim=True))
    current_BT = latest(steps_BT, named_BT, UNKNOWN)
    current_BT = torch.where(current_BT < 0, first_B1, current_BT)
    return steps_BT.cumsum(dim=1) - current_BT


def _voices(kinds: Kinds, shown_BT: Tensor, kinds_BT: Tensor) -> Tensor:
    """The voice of the note that every token belongs to, UNKNOWN where it is hidden or cut off."""
    told_BT = (shown_BT - kinds.first_K[VOICE]).where(
        (kinds_BT == VOICE) & (shown_BT >= 0), UNKNOWN
    )
    found_BT = latest(told_BT, (kinds_BT == VOICE) | (kinds_BT == POSITION), UNKNOWN)
    of_note_BT = (kinds_BT == VOICE) | (kinds_BT == PITCH) | (kinds_BT == DURATION)
    return found_BT.where(of_note_BT, UNKNOWN)


def _placed(
    where_BT: Tensor,
    onset_BT: Tensor,
    voice_BT: Tensor,
    values_BT: Tensor,
    shape: tuple[int, ...],
    nothing: int,
) -> Tensor:
    """Values of tokens at their onsets and voices; `nothing` elsewhere."""
    out = torch.full(shape, nothing, device=values_BT.device)
    piece_N, place_N = where_BT.nonzero(as_tuple=True)
    index = (piece_N, onset_BT[piece_N, place_N], voice_BT[piece_N, place_N])
    out[index] = values_BT[piece_N, place_N]
    return out


def _ends(
    times_BG: Tensor, lasts_BGU: Tensor, there_BGU: Tensor, lines_BG: Tensor
) -> tuple[Tensor, Tensor]:
    """When the note before each onset ends in every voice, and the first known end after the onset
    before, in steps from the bar line.
    """
    ends_BGU = (times_BG[..., None] + lasts_BGU).where(
        (lasts_BGU > 0) & (times_BG > _NEVER)[..., None], _NEVER
    )
    steps_G1 = torch.arange(times_BG.shape[1], device=times_BG.device)[:, None]
    last_BGU = torch.where(there_BGU, steps_G1, -1).cummax(dim=1).values
    last_BGU = F.pad(last_BGU, (0, 0, 1, 0), value=-1)[:, :-1]
    found_BGU = ends_BGU.gather(1, last_BGU.clamp(min=0)).masked_fill(last_BGU < 0, _NEVER)
    now_BG1 = times_BG[..., None]
    dues_BGU = torch.where(
        found_BGU < now_BG1, EARLIER, torch.where(found_BGU == now_BG1, NOW, LATER)
    )
    dues_BGU = dues_BGU.masked_fill((found_BGU == _NEVER) | (now_BG1 == _NEVER), 0)
    before_BG = F.pad(times_BG, (1, 0), value=_NEVER)[:, :-1].cummax(dim=1).values
    coming_BGU = found_BGU.masked_fill(
        (found_BGU == _NEVER) | (found_BGU <= before_BG[..., None]), 1 << 20
    )
    next_BG = coming_BGU.amin(dim=2) - lines_BG
    return dues_BGU, next_BG.clamp(0, LONGEST)


def _room(times_BG: Tensor, there_BGU: Tensor) -> Tensor:
    """Steps from every onset to the next known note of each voice, LONGEST where there is none;
    LONGEST + 1 where a time is not known.
    """
    length = times_BG.shape[1]
    steps_G1 = torch.arange(length, device=times_BG.device)[:, None]
    coming_BGU = torch.where(there_BGU, steps_G1, length).flip(1).cummin(dim=1).values.flip(1)
    coming_BGU = F.pad(coming_BGU, (0, 0, 0, 1), value=length)[:, 1:]
    padded_BG1 = F.pad(times_BG, (0, 1), value=_NEVER)[..., None].expand(-1, -1, there_BGU.shape[2])
    then_BGU = padded_BG1.gather(1, coming_BGU)
    room_BGU = (then_BGU - times_BG[..., None]).clamp(0, LONGEST)
    unknown = ((then_BGU == _NEVER) & (coming_BGU < length)) | (times_BG == _NEVER)[..., None]
    return room_BGU.masked_fill(coming_BGU == length, LONGEST).masked_fill(unknown, LONGEST + 1)


def around_of(kinds_BT: Tensor, shown_BT: Tensor, vocabulary: int) -> list[Tensor]:
    """Of every kind of value the nearest known tokens before and after every token, (B, T) each;
    `vocabulary` where there is none.
    """
    kind_K = torch.tensor(VALUES, device=kinds_BT.device)
    known_BTK = (kinds_BT[..., None] == kind_K) & (shown_BT >= 0)[..., None]
    found = nearest(shown_BT[..., None].expand_as(known_BTK), known_BTK, vocabulary)
    return [*found.before.unbind(2), *found.after.unbind(2)]
