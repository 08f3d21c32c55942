"""Reads music files into pieces, with the reader for the kind of file.

Most files hold one piece, with the key ""; others hold several, whose keys `keys_in` lists.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ostinato.execution.guard import Failure
from ostinato.execution.guarded_child import is_memory_error
from ostinato.files import DamagedFile
from ostinato.music.piece import Piece
from ostinato.readers import (
    abc,
    kern,
    midi,
    musicxml,
    roll_mat,
    through_muspy,
    voices_json,
    wjazzd,
)
from ostinato.readers.base import MIDI_SUFFIXES, Reading, ReadOptions

__all__ = [
    "MIDI_SUFFIXES", "SUFFIXES", "XML_SUFFIXES", "ReadOptions", "Reading", "is_container",
    "keys_in", "keys_or_failure", "read", "read_piece",
]  # fmt: skip

XML_SUFFIXES = musicxml.SUFFIXES
SUFFIXES = MIDI_SUFFIXES + XML_SUFFIXES + kern.SUFFIXES + abc.SUFFIXES
Result = TypeVar("Result")
Read = Callable[[Path, str, ReadOptions], Reading]
_KEYS: dict[str, Callable[[Path], list[str]]] = {
    "abc": abc.abc_keys,
    "voices_json": voices_json.voices_keys,
    "roll_mat": roll_mat.roll_keys,
}
_READ: dict[str, Read] = {
    "midi": lambda path, _, options: midi.read_midi(path, options),
    "musicxml": lambda path, _, options: musicxml.read_musicxml(path, options),
    "kern": lambda path, _, options: kern.read_kern(path, options),
    "abc": abc.read_abc,
    "muspy": lambda path, _, options: through_muspy.read_muspy(path, options),
    "voices_json": voices_json.read_voices,
    "roll_mat": roll_mat.read_roll,
    "wjazzd": lambda path, _, options: wjazzd.read_wjazzd(path, options),
}
_BY_SUFFIX = (
    dict.fromkeys(MIDI_SUFFIXES, "midi")
    | dict.fromkeys(XML_SUFFIXES, "musicxml")
    | dict.fromkeys(kern.SUFFIXES, "kern")
    | dict.fromkeys(abc.SUFFIXES, "abc")
)


def is_container(path: Path, options: ReadOptions) -> bool:
    """Whether a file can hold several pieces, so that `keys_in` has to read all of it."""
    return (options.reader or _BY_SUFFIX.get(path.suffix.lower(), "")) in _KEYS


def keys_in(path: Path, options: ReadOptions | None = None) -> list[str]:
    """Sorted keys of the pieces in a file: [""] for one, else such as `train/000` or `0001`.

    Raises: as `read`.
    """
    kind = _kind(path, options or ReadOptions())
    if kind not in _KEYS:
        return [""]
    keys = _guarded(path, lambda: _KEYS[kind](path))
    if not keys:
        raise DamagedFile(f"{path} cannot be read: it holds no piece")
    return keys


def keys_or_failure(options: ReadOptions, path: Path) -> list[str] | Failure:
    """As `keys_in`, but returns an error as Failure; for guarded processes."""
    try:
        return keys_in(path, options)
    except (DamagedFile, ValueError) as error:
        return Failure("error", str(error))


def read(path: Path, key: str = "", options: ReadOptions | None = None) -> Reading:
    """Read one piece of a file.

    Raises:
        DamagedFile: the file cannot be read; contains the reader's message.
        ValueError: no reader for this kind of file, or the key is not in the file.
    """
    options = options or ReadOptions()
    kind = _kind(path, options)
    keys = _guarded(path, lambda: _KEYS[kind](path)) if kind in _KEYS else [""]
    if key not in keys:
        shown = ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
        raise ValueError(f"{path} holds no piece {key!r}; it holds {len(keys)}: {shown}")
    return _guarded(path, lambda: _READ[kind](path, key, options))


def read_piece(path: Path, options: ReadOptions | None = None) -> Piece:
    """The only piece of a file; raises as `read`, and ValueError if it holds several."""
    return read(path, "", options).piece


def _kind(path: Path, options: ReadOptions) -> str:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    kind = options.reader or _BY_SUFFIX.get(path.suffix.lower(), "")
    if not kind:
        known = ", ".join(SUFFIXES)
        raise ValueError(f"{path} is of an unknown kind {path.suffix.lower()!r}; known are {known}")
    return kind


def _guarded(path: Path, reading: Callable[[], Result]) -> Result:
    try:
        return reading()
    except Exception as error:  # readers raise any kind of error on a broken file
        if is_memory_error(error):
            raise MemoryError from error  # not the file's fault alone; a guard reports it
        words = str(error) if isinstance(error, DamagedFile) else f"{type(error).__name__}: {error}"
        raise DamagedFile(f"{path} cannot be read: {words}") from error
