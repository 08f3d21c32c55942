"""What a player needs: the notes of a sample, and an instrument of a few recorded notes."""

import base64
import io
import json
from functools import lru_cache
from typing import Any

import numpy as np
from markupsafe import Markup

from ostinato.audio.pianoroll import voice_name, voice_number
from ostinato.audio.render import synthesize
from ostinato.audio.timing import bar_onsets, duration_seconds, seconds_at
from ostinato.music.piece import Piece, Tempo, Track, make_notes
from ostinato.report.data import Sample

CHURCH_ORGAN = 19
PITCHES = range(36, 85, 4)
NOTE_SECONDS = 2.5
SAMPLE_RATE = 24000


@lru_cache(maxsize=1)
def instrument() -> Markup:
    """A church organ's note every four semitones: pitch → MP3 in base64, as JSON; about 260 KB.

    It sustains evenly, so that the player can repeat its middle for notes of any length.
    """
    return as_json({str(pitch): _recording(pitch) for pitch in PITCHES})


def _recording(pitch: int) -> str:
    import soundfile

    note = Piece(
        id=f"organ-{pitch}",
        ticks_per_quarter=480,
        notes=make_notes([(0, 0, round(480 * (NOTE_SECONDS + 0.1)), pitch, 90)]),
        tracks=(Track(program=CHURCH_ORGAN),),
        tempos=(Tempo(0, 60.0),),
    )
    sound = synthesize(note, sample_rate=SAMPLE_RATE)[: round(NOTE_SECONDS * SAMPLE_RATE)]
    file = io.BytesIO()
    soundfile.write(file, sound.mean(axis=1), SAMPLE_RATE, format="MP3")
    return base64.b64encode(file.getvalue()).decode()


def as_json(value: Any) -> Markup:
    """JSON that may stand inside a script element."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")
    return Markup(text)  # noqa: S704 - no tag can begin without <


def roll(sample: Sample) -> Markup:
    """Notes and bars of a sample in milliseconds, for the player.

    `notes` is flat: onset, duration, pitch, voice of the first note, then of the next. Drums are
    drawn and not sounded: the instrument has none.
    """
    piece = sample.piece
    assert piece is not None
    onsets = milliseconds(piece, piece.notes["onset"])
    ends = milliseconds(piece, piece.notes["onset"] + piece.notes["duration"])
    voices = np.array([voice_number(piece, track) for track in range(len(piece.tracks))])
    columns = (onsets, ends - onsets, piece.notes["pitch"], voices[piece.notes["track"]])
    prompt = sample.prompt_quarters * piece.ticks_per_quarter if sample.prompt else 0
    return as_json(
        {
            "notes": np.stack(columns, axis=1).ravel().tolist(),
            "bars": milliseconds(piece, bar_onsets(piece)).tolist(),
            "length": round(duration_seconds(piece) * 1000),
            "prompt": int(milliseconds(piece, prompt)),
            "drums": [voice_number(piece, i) for i, t in enumerate(piece.tracks) if t.is_drum],
        }
    )


def milliseconds(piece: Piece, ticks: Any) -> Any:
    """Whole milliseconds of ticks."""
    return np.rint(seconds_at(piece, ticks) * 1000).astype(int)


def voices(samples: tuple[Sample, ...]) -> list[tuple[int, str]]:
    """Colour and name of every voice that occurs, in order of their colours."""
    found: dict[int, str] = {}
    for piece in (sample.piece for sample in samples if sample.piece):
        for track in range(len(piece.tracks)):
            found.setdefault(voice_number(piece, track), voice_name(piece, track))
    return sorted(found.items())


def describe(sample: Sample) -> str:
    """One line on how a sample came about."""
    parts = []
    if sample.prompt:
        parts.append(f"continues {sample.prompt}, {sample.prompt_quarters:g} quarters given")
    elif sample.task != "unconditional":
        parts.append(sample.task)
    if sample.bars:
        parts.append(f"{sample.bars} bars")
    parts.append(f"seed {sample.seed}")
    if np.isfinite(sample.nats):
        parts.append(f"{sample.nats:.0f} nats")
    return " · ".join(parts)
