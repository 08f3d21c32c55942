"""Reads MIDI, MusicXML and MusPy's JSON with MusPy, so that notes are those of other MusPy users.

Ten times slower than our readers and without their repairs: files that MusPy refuses are rejected,
and its errors (docs/architecture.md) remain. `reader: muspy` in a dataset's file chooses it. If
symusic reads other notes from a MIDI file, the piece has a warning.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import DamagedFile
from ostinato.music.convert_muspy import from_muspy
from ostinato.readers.base import MIDI_SUFFIXES, Reading, ReadOptions
from ostinato.readers.midi_check import (
    BOTH,
    Opinions,
    music_notes,
    muspy_and_symusic,
    symusic_notes,
)
from ostinato.readers.midi_events import read_events


def read_muspy(path: Path, options: ReadOptions) -> Reading:
    """Read a file with MusPy's reader for its suffix, and adjust its resolution with MusPy.

    Raises:
        Exception: any error of MusPy.
    """
    import muspy

    is_midi = path.suffix.lower() in MIDI_SUFFIXES
    if path.suffix.lower() == ".json":
        music = muspy.load_json(path)
    else:
        music = muspy.read_midi(path) if is_midi else muspy.read_musicxml(path)
    second = _second_opinion(path.read_bytes(), music) if is_midi else Opinions()
    before = [note.time / music.resolution for track in music.tracks for note in track.notes]
    if music.resolution != options.ticks_per_quarter:
        music.adjust_resolution(options.ticks_per_quarter)
    after = [note.time / music.resolution for track in music.tracks for note in track.notes]
    moved = float(np.abs(np.subtract(before, after)).mean()) if before else 0.0
    return _reading(music, path, moved, second)


def _second_opinion(data: bytes, music: Any) -> Opinions:
    """Compare with symusic, which is given undamaged tracks only."""
    try:
        symusics = symusic_notes(data, read_events(data))
    except DamagedFile:
        return Opinions(("not compared with symusic, which may crash on damaged tracks",))
    if isinstance(symusics, str):
        return Opinions((symusics,), {BOTH: True} if "refuses" in symusics else {})
    return muspy_and_symusic(music_notes(music), symusics)


def _reading(music: Any, path: Path, moved: float, second: Opinions) -> Reading:
    dropped = Counter[str]()
    music.tracks = [track for track in music.tracks if track.notes]
    for track in music.tracks:
        dropped["zero length"] += sum(note.duration <= 0 for note in track.notes)
        track.notes = [note for note in track.notes if note.duration > 0]
        for note in track.notes:
            note.velocity = note.velocity or None  # 0 would end the note
    for name in ("tempos", "key_signatures", "time_signatures"):
        setattr(music, name, _last(getattr(music, name)))
    if music.metadata and music.metadata.title == "None":
        music.metadata.title = None
    music.metadata.source_filename = path.name
    piece = replace(from_muspy(music, path.stem), warnings=second.warnings)
    return Reading(piece, dict(+dropped), moved, second.compared)


def _last(changes: list[Any]) -> list[Any]:
    """Changes by onset; of several at one onset the last in MusPy."""
    return [change for _, change in sorted({change.time: change for change in changes}.items())]
