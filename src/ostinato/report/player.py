"""Data of the page's player: notes and voices of a sample, recorded notes of instruments."""

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from ostinato.audio.pianoroll import voice_name, voice_number
from ostinato.audio.spectrogram import picture
from ostinato.music.piece import VOICES, Piece
from ostinato.music.timing import bar_onsets, duration_seconds, numbered_bars, seconds_at
from ostinato.player.recorded import instruments, mp3, recordings
from ostinato.report.data import StoredSample

NUM_COLORS = 8
DRUMS = 8  # colour number of drums, after those of the voices


def recorded(samples: Iterable[StoredSample]) -> Markup:
    """Recorded notes of all instruments that samples sound with, as JSON."""
    return as_json(recordings(instruments(sample.piece for sample in samples if sample.piece)))


def sound(sample: StoredSample) -> str:
    """The sound of a sample that has no notes, as MP3 in base64."""
    assert sample.recording is not None
    return mp3(sample.recording.sound, sample.recording.sample_rate)


def spectrogram(sample: StoredSample) -> str:
    """The frames of a sample that has no notes, as PNG in base64."""
    assert sample.recording is not None
    return base64.b64encode(picture(sample.recording)).decode()


def as_json(value: Any) -> Markup:
    """JSON that is safe inside a script element."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")
    return Markup(text)  # noqa: S704 - no tag can begin without <


def roll(sample: StoredSample) -> Markup:
    """The player's data of a sample."""
    piece = sample.piece
    assert piece is not None
    bars = sample.prompt_bars if sample.prompt else -1
    prompt = next((onset for onset, number in numbered_bars(piece) if number > bars), piece.length)
    colors = [color_of(piece, track) for track in range(len(piece.tracks))]
    names = [voice_name(piece, track) for track in range(len(piece.tracks))]
    rolled = roll_of(piece, colors, names)
    return as_json(rolled | {"prompt": int(milliseconds(piece, prompt))})


def roll_of(piece: Piece, colors: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """Notes and bars of a piece in milliseconds, as the player reads them.

    `notes` is flat: onset, duration, pitch and voice of each note in turn. `lanes`: voices are of
    different instruments and have a lane each at first. colors, names: one for each track; tracks
    are the voices.
    """
    onsets = milliseconds(piece, piece.notes["onset"])
    ends = milliseconds(piece, piece.notes["onset"] + piece.notes["duration"])
    columns = (onsets, ends - onsets, piece.notes["pitch"], piece.notes["track"])
    return {
        "notes": np.stack(columns, axis=1).ravel().tolist(),
        "bars": milliseconds(piece, bar_onsets(piece)).tolist(),
        "length": round(duration_seconds(piece) * 1000),
        "prompt": 0,
        "lanes": len({(track.program, track.is_drum) for track in piece.tracks}) > 1,
        "voices": [
            {"name": name, "color": color, "program": track.program, "drum": track.is_drum}
            for track, name, color in zip(piece.tracks, names, colors, strict=True)
        ],
    }


def color_of(piece: Piece, track: int) -> int:
    """The colour of a track: drums have their own, voices of a choir the same in every piece."""
    return DRUMS if piece.tracks[track].is_drum else _place(piece, track) % NUM_COLORS


def _place(piece: Piece, track: int) -> int:
    """Place in the legend. The bass of a band is no voice of a choir, and comes in its order."""
    choir = all(about.role in VOICES for about in piece.tracks)
    return voice_number(piece, track) if choir else track


def milliseconds(piece: Piece, ticks: Any) -> Any:
    """Ticks as whole milliseconds."""
    return np.rint(seconds_at(piece, ticks) * 1000).astype(int)


def voices(samples: tuple[StoredSample, ...]) -> list[tuple[int, str]]:
    """Colour and name of every voice that occurs, drums last."""
    found: dict[tuple[bool, int], tuple[int, str]] = {}
    for piece in (sample.piece for sample in samples if sample.piece):
        for track, about in enumerate(piece.tracks):
            place = (about.is_drum, _place(piece, track))
            found.setdefault(place, (color_of(piece, track), voice_name(piece, track)))
    return [voice for _, voice in sorted(found.items())]


def describe(sample: StoredSample) -> str:
    """One line about how a sample was made."""
    parts = []
    if sample.prompt:
        parts.append(f"continues {sample.prompt}, {sample.prompt_bars:g} bars given")
    elif sample.task not in ("", "unconditional"):
        parts.append(sample.task)
    if sample.recording is not None:
        parts.append(f"{sample.recording.seconds:.1f} s")
    elif sample.bars:
        parts.append(f"{sample.bars} bars")
    if sample.task:
        parts.append(f"seed {sample.seed}")
    if np.isfinite(sample.nats):
        parts.append(f"{sample.nats:.0f} nats")
    return " · ".join(parts)
