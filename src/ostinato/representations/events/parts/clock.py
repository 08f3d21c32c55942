"""Times, meters and open notes of a finished sequence of events, computed without a loop."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.representations.events.parts.vocabulary import Vocabulary
from ostinato.representations.protocol import Tokens

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clock:
    """Where a sequence of events ends.

    time: the current step. bar_start: onset of the current bar, remi only. meters: changes as
    (onset in steps, number of the meter in the vocabulary), as they were written.
    """

    time: int
    bar_start: int
    meters: list[tuple[int, int]]


def read_clock(vocabulary: Vocabulary, tokens: Tokens) -> Clock:
    """The clock after all tokens."""
    kinds, values = _columns(vocabulary, tokens)
    if "bar" in vocabulary.blocks:
        starts, places = _bar_starts(vocabulary, kinds, values), _latest_place(kinds, values)
        times = starts + places
    else:
        starts = np.zeros(len(kinds), dtype=np.int64)
        times = np.cumsum(np.where(kinds == "time_shift", values, 0))
    named = np.flatnonzero(kinds == "meter")
    onsets = (starts if "bar" in vocabulary.blocks else times)[named]
    return Clock(
        time=int(times[-1]) if len(times) else 0,
        bar_start=int(starts[-1]) if len(starts) else 0,
        meters=list(zip(onsets.tolist(), values[named].tolist(), strict=True)),
    )


def bar_starts(vocabulary: Vocabulary, tokens: Tokens) -> dict[int, int]:
    """By number of bar, from 1: the bar tokens; in midi_like the first token at or after its line.

    A bar in which no token lies is left out.
    """
    kinds, values = _columns(vocabulary, tokens)
    if "bar" in vocabulary.blocks:
        return {1 + i: at for i, at in enumerate(np.flatnonzero(kinds == "bar").tolist())}
    before = np.cumsum(np.where(kinds == "time_shift", values, 0))
    before = np.concatenate([[0], before])[: len(before)]
    changes = read_clock(vocabulary, tokens).meters
    if not changes:
        return {}
    numbers: dict[int, int] = {}  # by place: of bars in which no token lies the last
    number, ends = 1, [onset for onset, _ in changes[1:]] + [int(before.max(initial=0)) + 1]
    for (onset, meter), end in zip(changes, ends, strict=True):
        lines = range(onset, end, vocabulary.bar_steps[meter])
        places = np.searchsorted(before, lines).tolist()
        numbers |= {place: number + line for line, place in enumerate(places)}
        number += len(lines)
    return {number: place for place, number in numbers.items()}


def open_notes(vocabulary: Vocabulary, tokens: Tokens) -> list[tuple[int, int]]:
    """(voice, pitch) by index of every note of midi_like that began earlier and has not ended."""
    kinds, values = _columns(vocabulary, tokens)
    times = np.cumsum(np.where(kinds == "time_shift", values, 0))
    voices = _forward_fill(kinds == "voice", values)
    begun: dict[tuple[int, int], int] = {}
    for place in np.flatnonzero((kinds == "note_on") | (kinds == "note_off")).tolist():
        note = (int(voices[place]), int(values[place]))
        if kinds[place] == "note_on":
            begun[note] = int(times[place])
        else:
            begun.pop(note, None)
    return sorted(note for note, onset in begun.items() if onset < times[-1])


def _columns(vocabulary: Vocabulary, tokens: Tokens) -> tuple[npt.NDArray[np.str_], Ints]:
    numbers = tokens[:, 0]
    return np.array(vocabulary.kinds)[numbers], np.array(vocabulary.values)[numbers]


def _bar_starts(vocabulary: Vocabulary, kinds: npt.NDArray[np.str_], values: Ints) -> Ints:
    """At every token, the onset of its bar: a bar begins where the one before it ends."""
    meters = _forward_fill(kinds == "meter", values, nothing=-1)
    lengths = np.where(meters >= 0, np.array(vocabulary.bar_steps)[meters], 0)
    return np.cumsum(np.where(kinds == "bar", lengths, 0))


def _latest_place(kinds: npt.NDArray[np.str_], values: Ints) -> Ints:
    """At every token, the position within its bar."""
    moves = (kinds == "position") | (kinds == "bar")
    return _forward_fill(moves, np.where(kinds == "bar", 0, values))


def _forward_fill(where: npt.NDArray[np.bool_], values: Ints, nothing: int = 0) -> Ints:
    """At every place, the value of the latest place that `where` marks; `nothing` before."""
    if not len(values):
        return values
    latest = np.maximum.accumulate(np.where(where, np.arange(len(where)), -1))
    return np.where(latest >= 0, values[latest], nothing)
