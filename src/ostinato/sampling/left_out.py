"""Names the notes of a prompt that a model's encoding does not hold."""

from bisect import bisect_right
from typing import Any

import numpy as np

from ostinato.music.piece import Piece
from ostinato.music.timing import numbered_bars
from ostinato.representations.protocol import Representation

SHOWN = 6  # notes that are named
NEAR = 0.25  # quarters by which a grid may move an onset
KEYS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def outside(piece: Piece, representation: Representation) -> str:
    """Notes below or above the pitches of a representation; empty where it states none."""
    known: Any = representation
    lowest, highest = getattr(known, "lowest", 0), getattr(known, "highest", 127)
    pitches = piece.notes["pitch"]
    return _named(piece, (pitches < lowest) | (pitches > highest))


def not_held(piece: Piece, held: Piece) -> str:
    """Notes of a piece that do not sound in `held`, which is the piece in a representation.

    A note sounds there if its key is down at its onset, in its role where `held` has that role.
    """
    roles = {track.role for track in held.tracks}
    sounding: dict[tuple[str | None, int], list[tuple[float, float]]] = {}
    for note in held.notes:
        begin = note["onset"] / held.ticks_per_quarter
        end = begin + note["duration"] / held.ticks_per_quarter
        for role in (held.tracks[note["track"]].role, None):
            sounding.setdefault((role, int(note["pitch"])), []).append((begin, end))

    def is_lost(note: Any, shift: float) -> bool:
        role = piece.tracks[note["track"]].role
        at = note["onset"] / piece.ticks_per_quarter + shift
        spans = sounding.get((role if role in roles else None, int(note["pitch"])), [])
        return not any(begin - NEAR <= at < end for begin, end in spans)

    first = [
        float(min(one.notes["onset"], default=0)) / one.ticks_per_quarter for one in (held, piece)
    ]
    lost = min(
        ([is_lost(note, shift) for note in piece.notes] for shift in (0.0, first[0] - first[1])),
        key=sum,
    )  # a pickup may be written as rests of a whole bar
    return _named(piece, np.array(lost, dtype=bool))


def _named(piece: Piece, chosen: np.ndarray) -> str:
    """Such as: soprano C7 in bar 3, alto D4 in bar 5."""
    bars = numbered_bars(piece)
    onsets = [onset for onset, _ in bars]
    names = []
    for note in piece.notes[chosen][:SHOWN]:
        track, pitch = piece.tracks[note["track"]], int(note["pitch"])
        bar = bars[max(0, bisect_right(onsets, int(note["onset"])) - 1)][1] if bars else 1
        who = track.role or track.name or f"track {note['track'] + 1}"
        names.append(f"{who} {KEYS[pitch % 12]}{pitch // 12 - 1} in bar {bar}")
    more = int(chosen.sum()) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
