"""Reads a MIDI file that this project wrote.

Stages that read samples reach the MIDI reader alone, so a change of another format's reader does
not re-run them.
"""

from pathlib import Path

from ostinato.files import DamagedFile
from ostinato.music.piece import Piece
from ostinato.readers.base import ReadOptions
from ostinato.readers.midi import read_midi


def read_midi_file(path: Path) -> Piece:
    """The piece of a MIDI file.

    Raises:
        DamagedFile: the file is not MIDI, or cut.
    """
    try:
        return read_midi(path, ReadOptions()).piece
    except (ValueError, IndexError, KeyError, EOFError) as error:  # DamagedFile is a ValueError
        raise DamagedFile(f"{path} cannot be read: {error}") from error
