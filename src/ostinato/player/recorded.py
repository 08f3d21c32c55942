"""Recorded notes of General MIDI instruments, for players that have no synthesizer."""

import base64
import io
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.audio.render import synthesize
from ostinato.music.piece import Piece, Tempo, Track, make_notes

PITCHES = range(36, 85, 4)
NOTE_SECONDS, DRUM_SECONDS, FADE_SECONDS = 2.5, 1.0, 0.1
SAMPLE_RATE = 24000
DRUMS = "drums"
DRUM_KEYS = range(27, 88)  # of General MIDI level 2
# General MIDI programs whose sound lasts while a key is down: organs, bowed strings, ensembles,
# brass, reeds, pipes, synthesizer leads and pads
SUSTAINED = (*range(16, 24), *range(40, 45), *range(48, 55), *range(56, 96))


def sounding() -> str:
    """The script that plays notes, for a page that holds everything itself."""
    return (Path(__file__).parent / "sounding.js").read_text(encoding="utf-8")


def instruments(pieces: Iterable[Piece]) -> dict[str, set[int]]:
    """Instruments that pieces sound with: program, or drums with their keys."""
    found: dict[str, set[int]] = {}
    for piece in pieces:
        for number, track in enumerate(piece.tracks):
            keys = np.unique(piece.notes["pitch"][piece.notes["track"] == number]).tolist()
            if keys:
                found.setdefault(DRUMS if track.is_drum else str(track.program), set()).update(keys)
    return found


def recordings(wanted: Mapping[str, Iterable[int]]) -> dict[str, Any]:
    """MP3s in base64 by instrument and pitch, about 260 KB an instrument.

    Of a program, a note every four semitones; of drums, the wanted keys. `loop`: the player may
    repeat the middle of a note that is held longer than its recording.
    """
    found: dict[str, Any] = {}
    for name in sorted(wanted):
        is_drum = name == DRUMS
        pitches = sorted(set(wanted[name]) & set(DRUM_KEYS)) if is_drum else PITCHES
        loop = not is_drum and int(name) in SUSTAINED
        notes = {str(pitch): _note(name, pitch) for pitch in pitches}
        found[name] = {"loop": loop, "notes": notes}
    return found


@cache
def _note(name: str, pitch: int) -> str:
    is_drum = name == DRUMS
    seconds, begin = (DRUM_SECONDS, DRUM_SECONDS) if is_drum else (NOTE_SECONDS, 0.0)
    rows = [(0, round(480 * begin), round(480 * (seconds + 0.1)), pitch, 90)]
    if is_drum:  # a bass drum before it, so that drums keep their loudness beside one another
        rows.append((0, 0, 240, 36, 90))
    note = Piece(
        id=f"{name}-{pitch}",
        ticks_per_quarter=480,
        notes=make_notes(rows),
        tracks=(Track(program=0 if is_drum else int(name), is_drum=is_drum),),
        tempos=(Tempo(0, 60.0),),
    )
    length, first = round(seconds * SAMPLE_RATE), round(begin * SAMPLE_RATE)
    sound = synthesize(note, sample_rate=SAMPLE_RATE)[first : first + length].mean(axis=1)
    fade = min(len(sound), round(FADE_SECONDS * SAMPLE_RATE))
    sound[len(sound) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return mp3(sound, SAMPLE_RATE)


def mp3(sound: npt.NDArray[np.float32], sample_rate: int) -> str:
    """Sound as MP3 in base64, the same bytes every time."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, sound, sample_rate, format="MP3")
    return base64.b64encode(file.getvalue()).decode()
