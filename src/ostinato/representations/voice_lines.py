"""What all symbolic representations share: voices, the time grid, single lines, option checks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Notes, Piece, Track
from ostinato.music.timing import round_half_up
from ostinato.representations.protocol import LONGEST_QUARTERS, Unencodable
from ostinato.settings import checked

Options = TypeVar("Options")
DRUMS = "drums"
PITCHES = 128


def options_from(kind: str, cls: type[Options], settings: Mapping[str, Any]) -> Options:
    """The options of a kind as a frozen dataclass; raises ValueError, see `checked`."""
    return checked(cls, kind, settings)


def settings_of(kind: str, options: Any, unsaid: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Kind and options as plain settings, from which `registry.build` makes an equal object.

    Args:
        unsaid: options left out where they have these values: a later option must not change a
            codec that a model was trained on.
    """
    said = {k: v for k, v in asdict(options).items() if (unsaid or {}).get(k, _NEVER) != v}
    return {"kind": kind} | {k: list(v) if isinstance(v, tuple) else v for k, v in said.items()}


_NEVER = object()


def voice_notes(piece: Piece, voices: Sequence[str]) -> list[Notes]:
    """The notes of every voice asked for, whatever order the piece's tracks have.

    Raises:
        Unencodable: a voice is not in the piece.
    """
    numbers = voice_numbers(piece, voices)
    return [piece.notes[numbers == voice] for voice in range(len(voices))]


def voice_numbers(
    piece: Piece, voices: Sequence[str], *, needed: bool = True
) -> npt.NDArray[np.int64]:
    """The number of every note's voice, -1 where its role is none of the voices.

    Raises:
        Unencodable: a voice is needed and not in the piece.
    """
    roles = [track.role for track in piece.tracks]
    missing = [voice for voice in voices if voice not in roles]
    if needed and missing:
        found = ", ".join(sorted(set(roles) - {""})) or "none"
        words = f"{piece.id}: no {', '.join(missing)}; roles in the piece: {found}"
        raise Unencodable("voice missing", words)
    number = {voice: i for i, voice in enumerate(voices)}
    by_track = np.array([number.get(role, -1) for role in roles], dtype=np.int64)
    return by_track[piece.notes["track"]]


def voice_tracks(
    voices: Sequence[str], program: int, programs: Sequence[int] = ()
) -> tuple[Track, ...]:
    """One track for each voice, with its own program where they are given."""
    return tuple(
        Track(name=voice.capitalize(), role=voice, program=number, is_drum=voice == DRUMS)
        for voice, number in zip(voices, programs or [program] * len(voices), strict=True)
    )


def to_steps(notes: Notes, ticks_per_quarter: int, steps_per_quarter: int) -> tuple[Notes, float]:
    """Notes on the nearest steps, at least one step long, and the mean change of onsets (quarters).

    Halves round up, so that a piece moved by whole steps is quantized alike.
    """
    out = notes.copy()
    onsets = notes["onset"].astype(np.int64)
    starts = round_half_up(onsets, steps_per_quarter, ticks_per_quarter)
    ends = round_half_up(onsets + notes["duration"], steps_per_quarter, ticks_per_quarter)
    out["onset"] = starts
    out["duration"] = np.maximum(1, ends - starts)
    if not len(notes):
        return out, 0.0
    moved = np.abs(starts / steps_per_quarter - onsets / ticks_per_quarter)
    return out, float(moved.mean())


def one_line(notes: Notes, keep_highest: bool) -> tuple[Notes, int]:
    """A line of one note at a time, and how many notes were left out of it.

    Of notes that begin together the highest (or lowest) stays; a note ends where the next begins.
    """
    sign = -1 if keep_highest else 1
    ordered = notes[np.lexsort((sign * notes["pitch"], notes["onset"]))]
    first = np.diff(ordered["onset"], prepend=-1) != 0
    line = ordered[first].copy()
    gaps = np.diff(line["onset"], append=np.iinfo(np.int32).max)
    line["duration"] = np.minimum(line["duration"], gaps)
    return line, len(notes) - len(line)


def check_notes(piece: Piece, notes: Notes, lowest: int, highest: int) -> None:
    """Raise Unencodable where a note lies outside lowest to highest, or outside all reason."""
    pitches = notes["pitch"]
    outside = pitches[(pitches < lowest) | (pitches > highest)]
    if len(outside):
        words = f"{piece.id}: pitch {int(outside[0])} lies outside {lowest} to {highest}"
        raise Unencodable("pitch out of range", words)
    ends = notes["onset"].astype(np.int64) + notes["duration"]
    if notes["onset"].min(initial=0) < 0 or ends.max(initial=0) > (
        LONGEST_QUARTERS * piece.ticks_per_quarter
    ):
        words = f"{piece.id}: not all of it lies within quarter notes 0 to {LONGEST_QUARTERS}"
        raise Unencodable("too long", words)


def rebuild(piece: Piece, notes: Notes, **changes: Any) -> Piece:
    """A copy of a piece with other notes and only what a representation keeps.

    No two notes begin together with one pitch in one track: their order needs no more columns.
    """
    # one number a note sorts many times as fast as the columns of a structured array
    tracks = int(notes["track"].max(initial=0)) + 1
    key = (notes["onset"].astype(np.int64) * tracks + notes["track"]) * PITCHES + notes["pitch"]
    kept: dict[str, Any] = {"tempos": (), "keys": (), "annotations": (), "warnings": ()}
    return replace(piece, notes=notes[np.argsort(key, kind="stable")], **(kept | changes))
