"""What the network sees and says relative to known pitches, the same in every key.

The tables of parts/intervals.py add up what each known pitch says by itself. Here the network sees
how the nearest known pitches of the voices relate to each other and to the key, and its output is
given relative to them: by how far a candidate lies from the cell's own neighbors, by its interval
to the nearest pitch of every voice, and by its degree in the key. The key follows from all pitches
known around a position, as a posterior over major and minor keys (Temperley 2007, with profiles
that are learned).
"""

# B batch, T positions, W voices, M hidden cells, P pitches, C pitch classes, K keys, H, D widths

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.masked.parts.intervals import CLASSES, classes_around
from ostinato.models.masked.parts.neighbors import FARTHEST, Neighbors
from ostinato.models.spec import Voices

LEAP = 12  # semitones: farther moves look alike
MOVES = 2 * LEAP + 1
CLOSE = 2  # steps: what is known so near is taken to sound together
PAIRS = 2 * CLASSES + 1  # interval, whether it is close; the last one: a pitch is not known
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10, 11))  # major; minor with both sevenths
KEYS = len(SCALES) * CLASSES
OUTSIDE = -1.0  # at first: what a cell outside of a key's scale takes from the log of the key
SPEED = 4.0  # as in parts/intervals.py
UNKNOWN = -1


class Told(NamedTuple):
    """Pitches from the lowest, UNKNOWN where there is none: of the nearest known cell before and
    after, and of the nearer of both; whether that one is close; probabilities of the keys.
    """

    before_BTW: Tensor
    after_BTW: Tensor
    near_BTW: Tensor
    close_BTW: Tensor
    keys_BTK: Tensor


class Relative(nn.Module):
    """Additions to the inputs of trunk and cells, and to the logits of pitches."""

    def __init__(self, voices: Voices, width: int, hidden: int) -> None:
        super().__init__()
        self.count, self.pitches = voices.end - voices.first, voices.pitches
        self.lowest = voices.lowest
        pairs = self.count * (self.count - 1) // 2
        self.to_trunk = _Codes(
            [PAIRS] * pairs + [MOVES + 1] * self.count + [KEYS + 1] * self.count, width
        )
        per_cell = [PAIRS] * (2 * self.count) + [KEYS + 1] * self.count + [MOVES + 1]
        self.to_cells = _Codes(per_cell * self.count, hidden)
        self.moves = nn.Linear(hidden, 2 * MOVES + (self.count + 1) * CLASSES, bias=False)
        self.degrees = nn.Parameter(torch.zeros(self.count, KEYS))
        profile = [[0.0 if c in s else OUTSIDE for c in range(CLASSES)] for s in SCALES]
        self.profile = nn.Parameter(torch.tensor(profile) / SPEED)
        nn.init.zeros_(self.moves.weight)

    def told(self, shown_BTW: Tensor, known_BTW: Tensor, around: Neighbors) -> Told:
        """What is known around every cell; see absorbing.Seen."""
        before_BTW, after_BTW = self._pitch(around.before), self._pitch(around.after)
        earlier_BTW = around.since <= around.until
        distance_BTW = torch.where(earlier_BTW, around.since, around.until)
        near_BTW = torch.where(earlier_BTW, before_BTW, after_BTW)
        near_BTW = near_BTW.where(distance_BTW < FARTHEST, UNKNOWN)
        counts_BTC = classes_around(shown_BTW - self.lowest, known_BTW, self.pitches)
        keys_BTK = (counts_BTC @ _in_every_key(self.profile).T).softmax(dim=-1)
        return Told(before_BTW, after_BTW, near_BTW, distance_BTW <= CLOSE, keys_BTK)

    def trunk_input(self, told: Told) -> Tensor:
        """How the voices' nearest known pitches relate at every position, (B, T, D)."""
        near_BTW, close_BTW = told.near_BTW, told.close_BTW
        first, second = torch.triu_indices(self.count, self.count, 1, device=near_BTW.device)
        close = close_BTW[..., first] & close_BTW[..., second]
        pairs = _pair(near_BTW[..., first], near_BTW[..., second], close)
        own_BTW = _move(told.before_BTW, told.after_BTW)
        degrees_BTW = _degree(near_BTW, told.keys_BTK.argmax(dim=-1)[..., None])
        codes = torch.cat([pairs, own_BTW, degrees_BTW], dim=-1)
        return self.to_trunk(codes.flatten(0, 1)).view(*codes.shape[:2], -1)

    def cell_input(self, told: Told, hidden_BTW: Tensor) -> Tensor:
        """How they relate to a cell's own neighbors and to the key, (M, H)."""
        batch_M, step_M, voice_M = hidden_BTW.nonzero().unbind(1)
        near_MW, close_MW = told.near_BTW[batch_M, step_M], told.close_BTW[batch_M, step_M]
        before_M1, after_M1 = told.before_BTW[hidden_BTW, None], told.after_BTW[hidden_BTW, None]
        pairs = [_pair(near_MW, side_M1, close_MW) for side_M1 in (before_M1, after_M1)]
        key_M1 = told.keys_BTK[batch_M, step_M].argmax(dim=1, keepdim=True)
        codes = torch.cat([*pairs, _degree(near_MW, key_M1), _move(before_M1, after_M1)], dim=1)
        return self.to_cells(codes, voice_M)

    def forward(self, y_MH: Tensor, told: Told, hidden_BTW: Tensor) -> Tensor:
        """Values for each hidden cell and pitch, (M, P)."""
        said_MX = F.pad(self.moves(y_MH).float(), (0, 1))  # the last one: nothing is said
        batch_M, step_M, voice_M = hidden_BTW.nonzero().unbind(1)
        candidates_P = torch.arange(self.pitches, device=y_MH.device)
        keys_MK = told.keys_BTK[batch_M, step_M]
        places, first = [], 0
        for side_BTW in (told.before_BTW, told.after_BTW):
            from_M1 = side_BTW[hidden_BTW][:, None]
            move_MP = candidates_P - from_M1
            there_MP = (from_M1 != UNKNOWN) & (move_MP.abs() <= LEAP)
            places.append(torch.where(there_MP, first + LEAP + move_MP, said_MX.shape[1] - 1))
            first += MOVES
        tonic_M1 = keys_MK.argmax(dim=1, keepdim=True) % CLASSES
        near_WM1 = told.near_BTW[batch_M, step_M].T[..., None]
        for from_M1 in (*near_WM1, tonic_M1):
            class_MP = first + (candidates_P - from_M1) % CLASSES
            places.append(torch.where(from_M1 != UNKNOWN, class_MP, said_MX.shape[1] - 1))
            first += CLASSES
        index = torch.cat(places, dim=1)
        moves_MP = said_MX.gather(1, index).view(len(index), -1, self.pitches).sum(dim=1)
        tables_WKC = _in_every_key(self.degrees.view(self.count, len(SCALES), CLASSES))
        degrees_MC = torch.einsum("mk,mkc->mc", keys_MK, tables_WKC[voice_M])
        return moves_MP + degrees_MC[:, candidates_P % CLASSES]

    def _pitch(self, symbols: Tensor) -> Tensor:
        pitch = symbols - self.lowest
        return pitch.where((pitch >= 0) & (pitch < self.pitches), UNKNOWN)


class _Codes(nn.Module):
    """The sum of a vector for each of several codes; sizes: how many values each code has."""

    first: Tensor

    def __init__(self, sizes: list[int], width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(sizes), width)
        nn.init.normal_(self.table.weight, std=0.05)
        first = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("first", first, persistent=False)

    def forward(self, codes_NX: Tensor, group_N: Tensor | None = None) -> Tensor:
        """Shape (N, width); group_N: which run of X codes these are; None: the only one."""
        first_GX = self.first.view(-1, codes_NX.shape[1])
        first_NX = first_GX if group_N is None else first_GX[group_N]
        return F.embedding_bag(codes_NX + first_NX, self.table.weight, mode="sum")


def _in_every_key(tables: Tensor) -> Tensor:
    """Tables by mode and degree as tables by key and pitch class, (…, K, C)."""
    steps_C = torch.arange(CLASSES, device=tables.device)
    above_CC = (steps_C - steps_C[:, None]) % CLASSES  # at [tonic, class]
    return tables[..., above_CC].flatten(-3, -2) * SPEED


def _pair(upper: Tensor, lower: Tensor, close: Tensor) -> Tensor:
    """Number of the interval of two pitches within an octave."""
    number = (upper - lower) % CLASSES + CLASSES * close.long()
    return number.where((upper != UNKNOWN) & (lower != UNKNOWN), PAIRS - 1)


def _move(before: Tensor, after: Tensor) -> Tensor:
    """Number of the interval from one neighbor to the other."""
    number = (after - before).clamp(-LEAP, LEAP) + LEAP
    return number.where((before != UNKNOWN) & (after != UNKNOWN), MOVES)


def _degree(pitch: Tensor, key: Tensor) -> Tensor:
    """Number of a pitch's place in a key."""
    number = (pitch - key) % CLASSES + CLASSES * (key // CLASSES)
    return number.where(pitch != UNKNOWN, KEYS)
