"""Writes events from columns of notes: the tokens that MidiTok writes, without a loop over notes.

Every token's place follows from how many of each kind come before it, so all of a kind are put in
place at once. Notes are in steps, sorted by onset, track and pitch, their track is the voice;
meters are (onset in steps, number in the vocabulary), the first at 0, later ones on bar lines.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Notes
from ostinato.representations.events.parts.vocabulary import NoteKind, Vocabulary
from ostinato.representations.protocol import Tokens

Ints = npt.NDArray[np.int64]
Meters = Sequence[tuple[int, int]]


def write_remi(vocabulary: Vocabulary, notes: Notes, meters: Meters, lowest: int) -> Tokens:
    """Tokens of shape (T, 1) without the end: a bar and its meter, then positions and notes.

    Bars reach as far as the last onset or change of meter.
    """
    onsets, fresh = notes["onset"], np.diff(notes["onset"], prepend=-1) != 0
    bars, positions, meter_of_bar = bars_of(vocabulary.bar_steps, onsets, meters)
    width = 2 + vocabulary.names_voices
    count, note = len(meter_of_bar), np.arange(len(notes))
    heard = np.cumsum(fresh)  # positions up to and with that of every note
    before = np.searchsorted(bars, np.arange(count))  # notes before each bar
    bar_at = 2 * np.arange(count) + np.append(0, heard)[before] + width * before
    note_at = 2 * (bars + 1) + heard + width * note
    tokens = np.empty(2 * count + int(fresh.sum()) + width * len(notes), dtype=np.int32)
    tokens[bar_at] = vocabulary.token("bar", 0)
    tokens[bar_at + 1] = vocabulary.blocks["meter"].start + meter_of_bar
    tokens[note_at[fresh] - 1] = vocabulary.blocks["position"].start + positions[fresh]
    if vocabulary.names_voices:
        tokens[note_at] = vocabulary.blocks["voice"].start + notes["track"]
    pitches = _first(vocabulary, "pitch")[notes["track"]] + notes["pitch"] - lowest
    tokens[note_at + width - 2] = pitches
    tokens[note_at + width - 1] = vocabulary.token("duration", 1) - 1 + notes["duration"]
    return tokens[:, None]


def write_midi_like(vocabulary: Vocabulary, notes: Notes, meters: Meters, lowest: int) -> Tokens:
    """Tokens of shape (T, 1) without the end: shifts of time, and at each time its events.

    A meter comes first, then voice by voice what ends, then what begins.
    """
    starts, numbers = _columns(meters)
    onsets, ends = notes["onset"], notes["onset"] + notes["duration"]
    voices, pitches = notes["track"].astype(np.int64), notes["pitch"] - lowest
    times = np.concatenate([starts, ends, onsets]).astype(np.int64)
    voice = np.concatenate([np.full(len(starts), -1), voices, voices])
    events = np.concatenate(
        [
            vocabulary.blocks["meter"].start + numbers,
            _first(vocabulary, "note_off")[voices] + pitches,
            _first(vocabulary, "note_on")[voices] + pitches,
        ]
    )
    # stable: ends come before beginnings, and each in the order of the notes
    order = np.argsort(times * (len(vocabulary.drums) + 1) + voice + 1, kind="stable")
    times, voice, events = times[order], voice[order], events[order]
    gaps, longest = np.diff(times, prepend=0), vocabulary.count("time_shift")
    shifts = -(-gaps // longest)
    named = (voice >= 0) & vocabulary.names_voices
    event_at = np.cumsum(shifts + 1 + named) - 1
    # all that is not set below is a shift of a gap that takes several
    tokens = np.full(int(event_at[-1]) + 1, vocabulary.token("time_shift", longest), dtype=np.int32)
    tokens[event_at] = events
    if vocabulary.names_voices:
        tokens[event_at[named] - 1] = vocabulary.blocks["voice"].start + voice[named]
    later = shifts > 0
    rest = (gaps[later] - 1) % longest
    tokens[(event_at - named - 1)[later]] = vocabulary.blocks["time_shift"].start + rest
    return tokens[:, None]


def bars_of(
    bar_steps: Sequence[int], onsets: npt.NDArray[Any], meters: Meters
) -> tuple[Ints, Ints, Ints]:
    """The bar of every onset and the position in it, and the meter of every bar."""
    starts, numbers = _columns(meters)
    steps = np.array(bar_steps)[numbers]
    first = np.append(0, np.cumsum(np.diff(starts) // steps[:-1]))  # bar of every change of meter
    current = np.searchsorted(starts, onsets, side="right") - 1
    bars, positions = np.divmod(onsets - starts[current], steps[current])
    bars += first[current]
    last = max(int(bars.max(initial=0)), int(first[-1]))
    meter_of_bar = numbers[np.searchsorted(first, np.arange(last + 1), side="right") - 1]
    return bars, positions, meter_of_bar


def _columns(meters: Meters) -> tuple[Ints, Ints]:
    starts, numbers = zip(*meters, strict=True)
    return np.array(starts, dtype=np.int64), np.array(numbers, dtype=np.int64)


def _first(vocabulary: Vocabulary, kind: NoteKind) -> Ints:
    """By voice, the token of its lowest pitch."""
    count = len(vocabulary.drums)
    return np.array([vocabulary.pitches(kind, voice).start for voice in range(count)])
