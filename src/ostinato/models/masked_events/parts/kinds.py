"""Which token of a REMI vocabulary is what: ends, bars, meters, positions, voices, pitches,
durations.

A model knows what tokens do to musical time (ArraySpec.timing), and with it where the blocks of the
vocabulary lie: end, voices, meters, bar, positions, pitches, durations, in this order. Only how
many pitches there are it must be told.
"""

# V vocabulary

from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.models.spec import ArraySpec

END, BAR, METER, POSITION, VOICE, PITCH, DURATION = range(7)
NAMES = ("end", "bar", "meter", "position", "voice", "pitch", "duration")
VALUES = (POSITION, VOICE, PITCH, DURATION)  # what is hidden and filled
OUTSIDE = 7  # of padding
MOST_VOICES = 16


class Kinds(NamedTuple):
    """kind_V: of every token. first_K: the first token of each kind, by its number. count_K."""

    kind_V: Tensor
    first_K: tuple[int, ...]
    count_K: tuple[int, ...]

    def block(self, kind: int) -> slice:
        """The tokens of a kind."""
        return slice(self.first_K[kind], self.first_K[kind] + self.count_K[kind])


def kinds_of(spec: ArraySpec, pitches: int) -> Kinds:
    """The kinds of an encoding's tokens.

    Raises:
        ValueError: an encoding that is no REMI of several voices, or has fewer tokens than pitches.
    """
    wanted = "family absorbing_events fills REMI events of several voices"
    timing = spec.timing
    if spec.kind != "tokens" or timing is None or spec.width != 1 or 1 not in timing.bar:
        raise ValueError(f"{wanted}; choose an encoding such as bach-remi (encoding=…)")
    meters = [number for number, steps in enumerate(timing.meter) if steps]
    bar = timing.bar.index(1)
    positions = [n for n, place in enumerate(timing.place) if place >= 0 and n != bar]
    voices, durations = meters[0] - 1, spec.vocabulary - 1 - positions[-1] - pitches
    if not 2 <= voices <= MOST_VOICES:
        raise ValueError(
            f"{wanted}, from 2 to {MOST_VOICES}, and this encoding names {voices}; choose another "
            "(encoding=bach-remi)"
        )
    if pitches < 1 or durations < 1:
        raise ValueError(
            f"model.pitch_count={pitches} must be from 1 to {spec.vocabulary - 2 - positions[-1]}: "
            "as many as the encoding has"
        )
    first = (0, bar, meters[0], positions[0], 1, positions[-1] + 1, positions[-1] + 1 + pitches)
    count = (1, 1, len(meters), len(positions), voices, pitches, durations)
    kind_V = torch.full((spec.vocabulary,), END)
    for kind, (start, size) in enumerate(zip(first, count, strict=True)):
        kind_V[start : start + size] = kind
    return Kinds(kind_V, first, count)


def check_names(kinds: Kinds, names: tuple[str, ...], encoding: str) -> None:
    """Raise ValueError where a vocabulary is not laid out so; it names the setting and the value
    that it needs.
    """
    there = [name for name in names if name.startswith(f"{NAMES[PITCH]}_")]
    if len(there) != kinds.count_K[PITCH]:
        raise ValueError(
            f"model.pitch_count={kinds.count_K[PITCH]}, and encoding {encoding} has {len(there)} "
            f"pitches: give model.pitch_count={len(there)}"
        )
    for name, kind in zip(names, kinds.kind_V.tolist(), strict=True):
        if name.split("_")[0] != NAMES[kind]:
            raise ValueError(
                f"encoding {encoding} has the token {name}, which family absorbing_events does not "
                "know: it fills REMI events of a choir's voices (encoding=bach-remi)"
            )
