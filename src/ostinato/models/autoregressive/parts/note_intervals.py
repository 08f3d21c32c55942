"""What a note's pitch gains by intervals, in a stream of events: tables as those of intervals.py.

Where the pitch of a note of voice v comes next, a candidate c gets the sum of
- melody[v, c - the voice's last pitch],
- for every other voice u that sounds: pair[v, u, c - u] + motion[v, u, interval before mod 12,
  direction of u, c - u], which tells parallel fifths and octaves from others,
- chord[v, a, the two voices after a and c, each above a, mod 12], where a is the first other voice
  that sounds.
A voice's pitch before is that of the note before the one that begins now, or of the one that goes
on. The values are the same in every key. Tables begin at zero and are stored divided by `speed`.
"""

# B batch, T positions, K voices, P pitches, N places where a pitch comes next

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.musical_time import Clock, TimeState
from ostinato.models.spec import Notes, Timing

OCTAVE = 12
UNKNOWN = OCTAVE  # class of an interval that is not known
CLASSES = (OCTAVE + 1) * 3  # interval before, direction of the other voice
CHORD_NOTES = 2  # voices after the first that tell the chord


@dataclass
class HeardNotes:
    """State of a batch of sequences. By voice, (B, K): the pitch of its latest note, when it began
    and ends, and the pitch of the note before; -1 for none.

    symbol_B: the latest. now_B: musical time. opened_B: the voice whose pitch the latest symbol is,
    or -1.
    """

    time: TimeState
    symbol_B: Tensor
    now_B: Tensor
    opened_B: Tensor
    pitch_BK: Tensor
    onset_BK: Tensor
    end_BK: Tensor
    earlier_BK: Tensor

    def select(self, index_B: Tensor) -> None:
        """Keep these sequences, in this order."""
        self.time.select(index_B)
        for field in fields(self)[1:]:
            setattr(self, field.name, getattr(self, field.name).index_select(0, index_B))


class NoteIntervals(nn.Module):
    """The tables of K voices."""

    def __init__(self, notes: Notes, timing: Timing, speed: float) -> None:
        super().__init__()
        self.notes, self.speed, self.clock = notes, speed, Clock(timing)
        count, span = notes.voices, 2 * notes.pitches - 1
        chords = count * count * (OCTAVE + 1) ** CHORD_NOTES
        self.melody = nn.Parameter(torch.zeros(count, span))
        self.pair = nn.Parameter(torch.zeros(count * count, span))
        self.motion = nn.Parameter(torch.zeros(count * count * CLASSES, span))
        self.chord = nn.Parameter(torch.zeros(chords, OCTAVE))

    def forward(self, logits_BTWV: Tensor, previous_BTW: Tensor, targets_BTW: Tensor) -> Tensor:
        """The logits with the values of the tables; previous_BTW: the symbols before."""
        symbols_BT = previous_BTW[..., 0]
        voice_BT = self._number(symbols_BT, self.notes.voice, self.notes.voices)
        at_N = (voice_BT >= 0).flatten().nonzero()[:, 0]
        pitch, onset, end, earlier = (x.flatten(0, 1)[at_N] for x in self._latest(symbols_BT))
        now_N = self.clock(symbols_BT).flatten()[at_N]
        values_NP = self._values(voice_BT.flatten()[at_N], now_N, pitch, onset, end, earlier)
        B, T, W, V = logits_BTWV.shape
        gained = logits_BTWV.new_zeros(B * T, self.notes.pitches)
        gained = gained.index_copy(0, at_N, values_NP.to(gained.dtype))
        rest = V - self.notes.lowest - self.notes.pitches
        return logits_BTWV + F.pad(gained, (self.notes.lowest, rest)).view(B, T, W, V)

    def begin(self, blank_BW: Tensor) -> HeardNotes:
        """The state before the first symbol; blank_BW: what means so."""
        none_B = torch.full_like(blank_BW[:, 0], -1)
        none_BK = none_B[:, None].repeat(1, self.notes.voices)
        return HeardNotes(
            self.clock.begin(len(blank_BW)),
            blank_BW[:, 0].clone(),
            torch.zeros_like(none_B),
            none_B,
            none_BK,
            none_BK.clone(),
            none_BK.clone(),
            none_BK.clone(),
        )

    def push(self, row_BW: Tensor, heard: HeardNotes) -> None:
        """Move the state by one symbol."""
        notes, symbol_B = self.notes, row_BW[:, 0]
        heard.now_B = self.clock.step(symbol_B, heard.time)
        voice_B = self._number(heard.symbol_B, notes.voice, notes.voices)
        pitch_B = self._number(symbol_B, notes.lowest, notes.pitches)
        steps_B = self._number(symbol_B, notes.duration, notes.longest) + 1
        numbers_K = torch.arange(notes.voices, device=symbol_B.device)
        ends_BK = (numbers_K == heard.opened_B[:, None]) & (steps_B > 0)[:, None]
        heard.end_BK = torch.where(ends_BK, heard.onset_BK + steps_B[:, None], heard.end_BK)
        opened_B = torch.where(pitch_B >= 0, voice_B, -1)
        begins_BK = numbers_K == opened_B[:, None]
        heard.earlier_BK = torch.where(begins_BK, heard.pitch_BK, heard.earlier_BK)
        heard.pitch_BK = torch.where(begins_BK, pitch_B[:, None], heard.pitch_BK)
        heard.onset_BK = torch.where(begins_BK, heard.now_B[:, None], heard.onset_BK)
        heard.end_BK = torch.where(begins_BK, heard.now_B[:, None], heard.end_BK)
        heard.symbol_B, heard.opened_B = symbol_B.clone(), opened_B

    def step(self, logits_BV: Tensor, column: int, row_BW: Tensor, heard: HeardNotes) -> Tensor:
        """The same as `forward` for the next symbol."""
        notes = self.notes
        voice_B = self._number(heard.symbol_B, notes.voice, notes.voices)
        values_BP = self._values(
            voice_B.clamp(min=0),
            heard.now_B,
            heard.pitch_BK,
            heard.onset_BK,
            heard.end_BK,
            heard.earlier_BK,
        )
        values_BP = torch.where(voice_B[:, None] >= 0, values_BP, 0.0).to(logits_BV.dtype)
        rest = logits_BV.shape[1] - notes.lowest - notes.pitches
        return logits_BV + F.pad(values_BP, (notes.lowest, rest))

    def _number(self, symbols: Tensor, first: int, count: int) -> Tensor:
        """The numbers of symbols of a kind; -1 for others."""
        inside = (symbols >= first) & (symbols < first + count)
        return torch.where(inside, symbols - first, -1)

    def _latest(self, symbols_BT: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of the latest note of each voice up to each symbol: its pitch, when it began and ends,
        and the pitch of the note before, (B, T, K) each; -1 for none.
        """
        notes, time_BT = self.notes, self.clock(symbols_BT)
        voice_BT = self._number(symbols_BT, notes.voice, notes.voices)
        of_BT = F.pad(voice_BT[:, :-1], (1, 0), value=-1)
        pitch_BT = self._number(symbols_BT, notes.lowest, notes.pitches)
        of_BT = torch.where(pitch_BT >= 0, of_BT, -1)
        steps_BT = self._number(symbols_BT, notes.duration, notes.longest) + 1
        steps_BT = F.pad(steps_BT[:, 1:], (0, 1))  # of the note whose pitch this is
        places = torch.arange(symbols_BT.shape[1], device=symbols_BT.device)
        is_note_BTK = of_BT[..., None] == torch.arange(notes.voices, device=symbols_BT.device)
        last_BTK = torch.where(is_note_BTK, places[:, None], -1).cummax(dim=1).values
        told_BTK = last_BTK < places[:, None]  # the duration follows the pitch
        before_BTK = F.pad(last_BTK[:, :-1], (0, 0, 1, 0), value=-1)

        def at(values_BT: Tensor, place_BTK: Tensor) -> Tensor:
            values_BTK = values_BT[..., None].expand(place_BTK.shape)
            return torch.where(place_BTK < 0, -1, values_BTK.gather(1, place_BTK.clamp(min=0)))

        onset_BTK = at(time_BT, last_BTK)
        end_BTK = at(time_BT + steps_BT, last_BTK)
        second_BTK = torch.where(last_BTK < 0, -1, before_BTK.gather(1, last_BTK.clamp(min=0)))
        return (
            at(pitch_BT, last_BTK),
            onset_BTK,
            torch.where(told_BTK, end_BTK, onset_BTK),
            at(pitch_BT, second_BTK),
        )

    def _values(
        self,
        voice_N: Tensor,
        now_N: Tensor,
        pitch_NK: Tensor,
        onset_NK: Tensor,
        end_NK: Tensor,
        earlier_NK: Tensor,
    ) -> Tensor:
        """What every pitch gets as the next one of a voice, (N, P)."""
        K, P, device = self.notes.voices, self.notes.pitches, voice_N.device
        span, numbers_K = 2 * P - 1, torch.arange(K, device=device)
        up_P = torch.arange(P, device=device) + P - 1
        mine_N1 = pitch_NK.gather(1, voice_N[:, None])
        values_NP = torch.where(
            mine_N1 >= 0,
            _at(self.melody, voice_N[:, None] * span + up_P - mine_N1.clamp(min=0)),
            0.0,
        )
        others_NK = numbers_K != voice_N[:, None]
        sounds_NK = (pitch_NK >= 0) & (end_NK > now_N[:, None]) & others_NK
        before_NK = torch.where(onset_NK == now_N[:, None], earlier_NK, pitch_NK)
        both_NK = (before_NK >= 0) & (mine_N1 >= 0)
        interval_NK = torch.where(both_NK, (mine_N1 - before_NK) % OCTAVE, UNKNOWN)
        moved_NK = torch.where(before_NK >= 0, torch.sign(pitch_NK - before_NK), 0)
        pair_NK = voice_N[:, None] * K + numbers_K
        class_NK = pair_NK * CLASSES + interval_NK * 3 + moved_NK + 1
        apart_NKP = up_P - pitch_NK.clamp(min=0)[..., None]
        by_pair_NKP = _at(self.pair, pair_NK[..., None] * span + apart_NKP)
        by_pair_NKP = by_pair_NKP + _at(self.motion, class_NK[..., None] * span + apart_NKP)
        values_NP = values_NP + torch.where(sounds_NK[..., None], by_pair_NKP, 0.0).sum(dim=1)
        chord_NP = self._chord(voice_N, torch.where(sounds_NK, pitch_NK, -1), others_NK)
        return (values_NP + chord_NP) * self.speed

    def _chord(self, voice_N: Tensor, sounding_NK: Tensor, others_NK: Tensor) -> Tensor:
        """What every pitch gets by the chord, (N, P); sounding_NK: -1 where nothing sounds."""
        K, P, device = self.notes.voices, self.notes.pitches, voice_N.device
        there_NK = sounding_NK >= 0
        first_N1 = there_NK.int().argmax(dim=1, keepdim=True)  # the first of equal ones
        base_N1 = sounding_NK.gather(1, first_N1)
        after_NK = others_NK & (torch.arange(K, device=device) > first_N1)
        rank_NK = after_NK.int().cumsum(dim=1)
        class_NK = torch.where(there_NK, (sounding_NK - base_N1) % OCTAVE, UNKNOWN)
        number_N1 = voice_N[:, None] * K + first_N1
        for rank in range(1, CHORD_NOTES + 1):
            is_it_NK = after_NK & (rank_NK == rank)
            found_N1 = torch.where(is_it_NK, class_NK, 0).sum(dim=1, keepdim=True)
            found_N1 = torch.where(is_it_NK.any(dim=1, keepdim=True), found_N1, UNKNOWN)
            number_N1 = number_N1 * (OCTAVE + 1) + found_N1
        above_NP = (torch.arange(P, device=device) - base_N1) % OCTAVE
        values_NP = _at(self.chord, number_N1 * OCTAVE + above_NP)
        return torch.where(there_NK.any(dim=1, keepdim=True), values_NP, 0.0)


def _at(table: Tensor, index: Tensor) -> Tensor:
    """Values of a table by their numbers, row by row."""
    return F.embedding(index, table.reshape(-1, 1))[..., 0]
