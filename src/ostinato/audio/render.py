"""Renders pieces to sound with a SoundFont, and writes sound files.

The SoundFont is the General MIDI set inside the installed pretty_midi package.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.audio.pianoroll import draw
from ostinato.audio.spectrogram import draw as draw_frames
from ostinato.files import DamagedFile, MissingInput, atomic_file, require
from ostinato.music.piece import Piece, Tempo
from ostinato.music.recording import Recording
from ostinato.music.timing import DEFAULT_QPM, duration_seconds, seconds_at

Sound = npt.NDArray[np.float32]
SAMPLE_RATE = 44100
QUALITY = 4  # symusic 0.5.9 returns silence from 5 on, without an error
PEAK = 0.89  # -1 dBFS: MP3 encoding can exceed the peak
TAIL_SECONDS = 0.5  # some players cut off the end
SILENCE = 1e-4
TOLERANCE_SECONDS = 0.05
FORMATS = {".flac": "FLAC", ".mp3": "MP3", ".wav": "WAV"}


class RenderError(RuntimeError):
    """The synthesized sound is silent or incomplete."""


def soundfont_path() -> Path:
    """The SoundFont inside the installed pretty_midi.

    Raises:
        MissingInput: the package has none.
    """
    from importlib.util import find_spec

    spec = find_spec("pretty_midi")
    folder = Path((spec.origin if spec else None) or "pretty_midi").parent
    path = folder / "TimGM6mb.sf2"
    if not path.exists():
        raise MissingInput(
            f"{path.name} is not in the pretty_midi package; reinstall it: pip install pretty_midi"
        )
    return path


def synthesize(
    piece: Piece, *, sample_rate: int = SAMPLE_RATE, soundfont: Path | None = None
) -> Sound:
    """The sound of a piece, (samples, 2), with peak 0.89, followed by half a second of silence.

    Raises:
        ValueError: the piece has no notes.
        RenderError: the sound is silent or ends before the music does.
    """
    if not len(piece.notes):
        raise ValueError(f"{piece.id or 'the piece'} has no notes to render")
    synthesizer = _synthesizer(str(soundfont or soundfont_path()), sample_rate)
    channels = np.asarray(synthesizer.render(to_score(piece), True), dtype=np.float32)
    sound = np.ascontiguousarray(channels.T)
    check_sound(sound, piece, sample_rate)
    tail = np.zeros((round(TAIL_SECONDS * sample_rate), 2), dtype=np.float32)
    return np.concatenate([sound * np.float32(PEAK / np.abs(sound).max()), tail])


@lru_cache(maxsize=2)
def _synthesizer(soundfont: str, sample_rate: int) -> Any:
    """Cached: loading the SoundFont takes longer than rendering a piece."""
    import symusic

    return symusic.Synthesizer(soundfont, sample_rate, QUALITY)


def to_score(piece: Piece) -> Any:
    """The symusic score of a piece, with its ticks, programs and tempos."""
    import symusic

    score = symusic.Score(piece.ticks_per_quarter)
    for tempo in piece.tempos or (Tempo(0, DEFAULT_QPM),):
        score.tempos.append(symusic.Tempo(tempo.onset, tempo.qpm))
    for number, track in enumerate(piece.tracks):
        part = symusic.Track(track.name, track.program, track.is_drum)
        for note in piece.notes[piece.notes["track"] == number]:
            columns = ("onset", "duration", "pitch", "velocity")
            part.notes.append(symusic.Note(*(int(note[column]) for column in columns)))
        score.tracks.append(part)
    return score


def check_sound(sound: Sound, piece: Piece, sample_rate: int) -> None:
    """Check that sound covers the whole piece.

    Raises:
        RenderError: silent, shorter than the music, or silent from the last note on.
    """
    peak = float(np.abs(sound).max(initial=0.0))
    if not np.isfinite(peak) or peak < SILENCE:
        raise RenderError(
            f"the sound of {piece.id or 'the piece'} is silent: the SoundFont lacks its programs, "
            f"or the installed symusic renders nothing at quality {QUALITY}; install symusic 0.5.9"
        )
    end, length = duration_seconds(piece), len(sound) / sample_rate
    if length < end - TOLERANCE_SECONDS:
        raise RenderError(
            f"the sound of {piece.id or 'the piece'} is {length:.2f} s long, its music {end:.2f} s"
        )
    last = float(seconds_at(piece, int(piece.notes["onset"].max())))
    if np.abs(sound[round(last * sample_rate) :]).max(initial=0.0) < SILENCE * peak:
        raise RenderError(
            f"the sound of {piece.id or 'the piece'} is silent from its last note on, {last:.2f} s"
        )


def write_audio(path: Path, sound: Sound, sample_rate: int) -> None:
    """Write sound, (samples, channels) or (samples,), as .flac, .mp3 or .wav, always the same way.

    Raises:
        ValueError: another suffix; libsndfile's Ogg and Opus bytes differ between runs.
    """
    import soundfile

    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path.name}: use one of {', '.join(FORMATS)}")
    with atomic_file(path) as partial:
        soundfile.write(str(partial), sound, sample_rate, format=FORMATS[suffix])


def read_audio(path: Path, made_by: str) -> tuple[Sound, int]:
    """A sound file of one channel, (samples,), and its samples a second.

    Raises:
        MissingInput, DamagedFile: naming the file and the command that makes it.
    """
    import soundfile

    try:
        sound, rate = soundfile.read(str(require(path, made_by)), dtype="float32")
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise DamagedFile(f"{path} is damaged ({error}); make it again with: {made_by}") from error
    if sound.ndim != 1:
        raise DamagedFile(f"{path} has {sound.shape[1]} channels, not 1; make it with: {made_by}")
    return sound, int(rate)


def sounds(piece: Piece | Recording) -> bool:
    """Whether there is anything to hear: a recording, or at least one note."""
    return isinstance(piece, Recording) or len(piece.notes) > 0


def render(piece: Piece | Recording, folder: Path, name: str) -> tuple[Path, Path]:
    """Write `name`.mp3 and `name`.png, the piano roll or spectrogram, into `folder`; return both
    paths.
    """
    sound, picture = folder / f"{name}.mp3", folder / f"{name}.png"
    if isinstance(piece, Recording):
        write_audio(sound, piece.sound, piece.sample_rate)
        draw_frames(piece, picture)
        return sound, picture
    write_audio(sound, synthesize(piece), SAMPLE_RATE)
    draw(piece, picture)
    return sound, picture
