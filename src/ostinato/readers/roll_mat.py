"""Reads piano rolls in MATLAB files (the four sets of Boulanger-Lewandowski et al. 2012).

`traindata`, `validdata` and `testdata` are cell arrays of binary rolls [T frames, 88 keys]; column
0 is MIDI pitch 21. A frame is read as a quarter note: the sets have different frame
lengths, which the files do not state, and figures are per frame. A key that is on in consecutive
frames is one held note, because the format does not distinguish repeated notes.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ostinato.files import DamagedFile
from ostinato.music.piece import DEFAULT_VELOCITY, NOTE, Piece, Track, sort_notes
from ostinato.readers.base import Reading, ReadOptions

SPLITS = {"train": "traindata", "valid": "validdata", "test": "testdata"}
NUM_KEYS = 88
LOWEST = 21


def roll_keys(path: Path) -> list[str]:
    """Keys of all pieces: split and number in it, such as `train/000`."""
    return sorted(
        f"{split}/{n:03d}" for split, rolls in _load(path).items() for n in range(len(rolls))
    )


def read_roll(path: Path, key: str, options: ReadOptions) -> Reading:
    """Read one roll as a piano track."""
    split, _, number = key.rpartition("/")
    roll_TP = np.asarray(_load(path)[split][int(number)])
    if roll_TP.ndim != 2 or roll_TP.shape[1] != NUM_KEYS:
        raise DamagedFile(f"{key}: shape {roll_TP.shape} is not (frames, {NUM_KEYS})")
    if not np.isin(roll_TP, (0, 1)).all():
        raise DamagedFile(f"{key}: a cell is neither 0 nor 1")
    edges_TP = np.diff(roll_TP.astype(np.int8), axis=0, prepend=0, append=0)
    pitches, starts = np.nonzero(edges_TP.T == 1)  # by pitch, then time: the ends match
    _, ends = np.nonzero(edges_TP.T == -1)
    notes = np.zeros(len(pitches), dtype=NOTE)
    notes["onset"] = starts * options.ticks_per_quarter
    notes["duration"] = (ends - starts) * options.ticks_per_quarter
    notes["pitch"] = pitches + LOWEST
    notes["velocity"] = DEFAULT_VELOCITY
    piece = Piece(
        id=key,
        ticks_per_quarter=options.ticks_per_quarter,
        notes=sort_notes(notes),
        tracks=(Track("Piano", "piano"),),
        source=path.name,
    )
    return Reading(piece)


def _load(path: Path) -> dict[str, list[npt.NDArray[np.generic]]]:
    state = path.stat()
    return _parsed(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _parsed(path: Path, _changed: int, _size: int) -> dict[str, list[npt.NDArray[np.generic]]]:
    from scipy.io import loadmat

    content = loadmat(path, variable_names=list(SPLITS.values()))
    missing = [name for name in SPLITS.values() if name not in content]
    if missing:
        raise DamagedFile(f"the file has no {', '.join(missing)}")
    return {split: list(content[name].ravel()) for split, name in SPLITS.items()}
