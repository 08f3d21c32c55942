"""Reads chorales as voices on a grid of sixteenths, in JSON (the JSB benchmark's format).

    {"train": [[[74, 70, 65, 58], …], …], "valid": …, "test": …}

A row is a sixteenth, a cell a MIDI pitch or -1 for a rest. The format does not distinguish held
and repeated notes: equal neighbours are read as one held note.
"""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ostinato.files import DamagedFile
from ostinato.music.piece import DEFAULT_VELOCITY, VOICES, Piece, Track, make_notes
from ostinato.music.roles import role_of
from ostinato.readers.base import Reading, ReadOptions

REST = -1
STEPS_PER_QUARTER = 4
MOST_VOICES = 8


def voices_keys(path: Path) -> list[str]:
    """Keys of all pieces: split and number in it, such as `train/000`."""
    return sorted(
        f"{split}/{n:03d}" for split, pieces in _load(path).items() for n in range(len(pieces))
    )


def read_voices(path: Path, key: str, options: ReadOptions) -> Reading:
    """Read one piece, with a track for each voice from the highest to the lowest.

    Four voices are soprano, alto, tenor and bass; otherwise voice 1, voice 2 ….

    Raises:
        ValueError: a sixteenth is not a whole number of ticks.
    """
    if options.ticks_per_quarter % STEPS_PER_QUARTER:
        raise ValueError(
            f"ticks_per_quarter={options.ticks_per_quarter} must be a multiple of "
            f"{STEPS_PER_QUARTER}: the file is a grid of sixteenths"
        )
    split, _, number = key.rpartition("/")
    cells_TV = _cells(_load(path)[split][int(number)], key)
    num_voices = cells_TV.shape[1]
    names = [v.capitalize() for v in VOICES]
    if num_voices != len(VOICES):
        names = [f"voice {n + 1}" for n in range(num_voices)]
    step = options.ticks_per_quarter // STEPS_PER_QUARTER
    rows = [
        (voice, start * step, (end - start) * step, pitch, DEFAULT_VELOCITY)
        for voice in range(num_voices)
        for start, end, pitch in held(cells_TV[:, voice])
        if pitch != REST
    ]
    piece = Piece(
        id=key,
        ticks_per_quarter=options.ticks_per_quarter,
        notes=make_notes(rows),
        tracks=tuple(Track(name, role_of(name)) for name in names),
        source=path.name,
    )
    return Reading(piece)


def held(cells: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Runs of equal values as (first step, step after the last, value)."""
    if not len(cells):
        return []
    starts = np.concatenate([[0], np.flatnonzero(np.diff(cells)) + 1])
    ends = np.concatenate([starts[1:], [len(cells)]])
    return list(zip(starts.tolist(), ends.tolist(), cells[starts].tolist(), strict=True))


def _cells(rows: object, key: str) -> npt.NDArray[np.int64]:
    try:
        cells = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DamagedFile(
            f"{key}: rows of different lengths or cells that are no numbers"
        ) from error
    if cells.ndim != 2 or not 1 <= cells.shape[1] <= MOST_VOICES:
        raise DamagedFile(f"{key}: shape {cells.shape} is not (steps, 1 to {MOST_VOICES} voices)")
    if not ((cells == np.round(cells)) & (cells >= REST) & (cells < 128)).all():
        raise DamagedFile(f"{key}: a cell is neither a MIDI pitch nor {REST}")
    return cells.astype(np.int64)


def _load(path: Path) -> dict[str, list[object]]:
    state = path.stat()
    return _parsed(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _parsed(path: Path, _changed: int, _size: int) -> dict[str, list[object]]:
    splits = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(splits, dict) or not all(isinstance(p, list) for p in splits.values()):
        raise DamagedFile("the file is not an object of splits with a list of pieces each")
    return splits
