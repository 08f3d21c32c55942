"""What all symbolic representations share: voices, the time grid, single lines, option checks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Notes, Piece, Track, sort_notes
from ostinato.representations.protocol import Unencodable

Options = TypeVar("Options")


def options_from(cls: type[Options], settings: Mapping[str, Any]) -> Options:
    """Build a frozen dataclass of options from plain settings, naming what it does not know."""
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(
            f"{cls.__name__} has no option {', '.join(unknown)}; its options are {', '.join(known)}"
        )
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})


def settings_of(kind: str, options: Any) -> dict[str, Any]:
    """Kind and options as plain settings, from which `protocol.build` makes an equal object."""
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(options).items()}
    return {"kind": kind, **plain}


def voice_notes(piece: Piece, voices: Sequence[str]) -> list[Notes]:
    """The notes of every voice asked for, whatever order the piece's tracks have.

    Raises:
        Unencodable: a voice is not in the piece.
    """
    roles = {track.role for track in piece.tracks}
    missing = [voice for voice in voices if voice not in roles]
    if missing:
        found = ", ".join(sorted(roles - {""})) or "none"
        raise Unencodable(f"{piece.id}: no {', '.join(missing)}; roles in the piece: {found}")
    return [piece.voice(voice) for voice in voices]


def voice_tracks(voices: Sequence[str], program: int) -> tuple[Track, ...]:
    """One track for each voice."""
    return tuple(Track(name=voice.capitalize(), role=voice, program=program) for voice in voices)


def to_steps(notes: Notes, ticks_per_quarter: int, steps_per_quarter: int) -> tuple[Notes, float]:
    """Notes on the nearest steps, at least one step long, and the mean change of onsets (quarters).

    Halves round up, so that a piece moved by whole steps is quantized alike.
    """
    out = notes.copy()
    starts = round_half_up(notes["onset"], steps_per_quarter, ticks_per_quarter)
    ends = round_half_up(notes["onset"] + notes["duration"], steps_per_quarter, ticks_per_quarter)
    out["onset"] = starts
    out["duration"] = np.maximum(1, ends - starts)
    if not len(notes):
        return out, 0.0
    moved = np.abs(starts / steps_per_quarter - notes["onset"] / ticks_per_quarter)
    return out, float(moved.mean())


def round_half_up(ticks: npt.NDArray[Any], multiply: int, divide: int) -> npt.NDArray[np.int64]:
    """The ticks * multiply / divide as the nearest whole numbers, halves up."""
    return (2 * ticks.astype(np.int64) * multiply + divide) // (2 * divide)


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


def check_range(piece: Piece, notes: Notes, lowest: int, highest: int) -> None:
    """Raise Unencodable, with the first such pitch, where a note lies outside lowest to highest."""
    outside = notes["pitch"][(notes["pitch"] < lowest) | (notes["pitch"] > highest)]
    if len(outside):
        raise Unencodable(f"{piece.id}: pitch {int(outside[0])} lies outside {lowest} to {highest}")


def rebuild(piece: Piece, notes: Notes, **changes: Any) -> Piece:
    """A copy of a piece with other notes and only what a representation keeps."""
    kept: dict[str, Any] = {"tempos": (), "keys": (), "annotations": (), "warnings": ()}
    return replace(piece, notes=sort_notes(notes), **(kept | changes))
