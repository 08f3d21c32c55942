"""Pieces as JSON for the page, and back without a change."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ostinato.music.piece import (
    NOTE,
    Annotation,
    Key,
    Meter,
    Piece,
    Tempo,
    Track,
    sort_notes,
)
from ostinato.music.timing import numbered_bars

NOTES = 50_000  # of a piece at most
TRACKS = 64
MOST_TICKS = 10_000_000
MOST_FIFTHS = 14
SLOWEST = 3.6  # quarters a minute; MIDI holds no less
MOST_PER_QUARTER = 32_767  # ticks; MIDI holds no more
BAR = "bar"
UNITS = (1, 2, 4, 8, 16, 32, 64, 128)


def to_json(piece: Piece) -> dict[str, Any]:
    """Times are ticks; `bars` has the onset and the printed number of every bar.

    A note is [onset, duration, pitch, velocity]. signs: chord symbols and other annotations,
    [onset, kind, value].
    """
    tracks = [
        {
            "role": track.role or track.name or f"track {number + 1}",
            "name": track.name,
            "program": track.program,
            "drum": track.is_drum,
            "notes": [
                [int(row[key]) for key in ("onset", "duration", "pitch", "velocity")]
                for row in piece.notes[piece.notes["track"] == number]
            ],
        }
        for number, track in enumerate(piece.tracks)
    ]
    return {
        "ticks": piece.ticks_per_quarter,
        "length": piece.length,
        "tracks": tracks,
        "tempos": [[x.onset, x.qpm] for x in piece.tempos],
        "meters": [[x.onset, x.numerator, x.denominator] for x in piece.meters],
        "keys": [[x.onset, x.fifths, x.mode] for x in piece.keys],
        "lines": [x.onset for x in piece.annotations if x.kind == BAR],
        "signs": [[x.onset, x.kind, x.value] for x in piece.annotations if x.kind != BAR],
        "bars": [list(bar) for bar in numbered_bars(piece)],
    }


def from_json(data: Mapping[str, Any]) -> Piece:
    """The piece of `to_json`.

    Raises:
        ValueError: what is missing or outside its range.
    """
    try:
        tracks = data["tracks"]
        if not isinstance(tracks, Sequence) or not 1 <= len(tracks) <= TRACKS:
            raise ValueError(f"a piece has 1 to {TRACKS} tracks, this one {len(tracks)}")
        rows = [
            (number, *map(_whole, note))
            for number, track in enumerate(tracks)
            for note in track["notes"]
        ]
        if len(rows) > NOTES:
            raise ValueError(f"a piece has at most {NOTES} notes, this one {len(rows)}")
        columns = [(row[0], row[1], row[2], row[3], row[4]) for row in rows]
        notes = np.array(columns, dtype=np.int64).reshape(-1, 5)
        if not 1 <= (ticks := int(data["ticks"])) <= MOST_PER_QUARTER:
            raise ValueError(f"a quarter has {ticks} ticks; it has 1 to {MOST_PER_QUARTER}")
        _check(notes)
        _check_signs(data)
        return Piece(
            id=str(data.get("id", "studio")),
            ticks_per_quarter=ticks,
            notes=sort_notes(np.array([tuple(row) for row in notes], dtype=NOTE)),
            tracks=tuple(
                Track(
                    name=str(track.get("name", "")),
                    role=str(track.get("role", "")),
                    program=min(127, max(0, int(track.get("program", 0)))),
                    is_drum=bool(track.get("drum", False)),
                )
                for track in tracks
            ),
            tempos=tuple(Tempo(int(x[0]), float(x[1])) for x in data.get("tempos", ())),
            meters=tuple(Meter(int(x[0]), int(x[1]), int(x[2])) for x in data.get("meters", ())),
            keys=tuple(Key(int(x[0]), int(x[1]), str(x[2])) for x in data.get("keys", ())),
            annotations=_annotations(data),
            source="the piece",
        )
    except (KeyError, TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"this is not a piece of the studio: {error!r}") from error


def _annotations(data: Mapping[str, Any]) -> tuple[Annotation, ...]:
    found = [Annotation(int(onset), BAR) for onset in data.get("lines", ())]
    signs = data.get("signs", ())
    found += [Annotation(int(onset), str(kind), str(value)) for onset, kind, value in signs]
    return tuple(sorted(found, key=lambda sign: sign.onset))


def _check_signs(data: Mapping[str, Any]) -> None:
    for _, qpm in data.get("tempos", ()):
        if not SLOWEST <= float(qpm) < math.inf:
            raise ValueError(f"a tempo is {qpm}; it must be at least {SLOWEST}")
    for _, beats, unit in data.get("meters", ()):
        if int(beats) < 1 or int(unit) not in UNITS:
            raise ValueError(f"a meter is {beats}/{unit}; the second is one of {UNITS}")
    for _, fifths, _ in data.get("keys", ()):
        if abs(int(fifths)) > MOST_FIFTHS:
            raise ValueError(f"a key has {fifths} sharps; it has {MOST_FIFTHS} at most, or flats")


def _whole(value: Any) -> int:
    if isinstance(value, str) or value != value:  # not a number
        raise ValueError(f"a note has {value!r} where a whole number is expected")
    return int(value)


def _check(notes: np.ndarray) -> None:
    if not len(notes):
        return
    onset, duration, pitch, velocity = notes.T[1:]
    wrong = (
        (onset < 0)
        | (duration < 1)
        | (onset + duration > MOST_TICKS)
        | (pitch < 0)
        | (pitch > 127)
        | (velocity < 1)
        | (velocity > 127)
    )
    if wrong.any():
        first = notes[int(np.flatnonzero(wrong)[0])]
        raise ValueError(
            f"a note has onset {first[1]}, duration {first[2]}, pitch {first[3]}, velocity "
            f"{first[4]}; pitch lies in 0 to 127, velocity in 1 to 127, a duration is 1 or more"
        )
