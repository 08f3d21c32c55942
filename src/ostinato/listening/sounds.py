"""Makes sounds comparable: one length, one loudness, one SoundFont; and damages them on purpose.

Loudness is that of ITU-R BS.1770-4 (pyloudnorm). The anchor is the reference through a low-pass of
3.5 kHz (ITU-R BS.1534-3).
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ostinato.audio.render import synthesize
from ostinato.listening.sources import Recording
from ostinato.listening.study import Sound
from ostinato.music.piece import Piece, Tempo, cut
from ostinato.music.timing import duration_seconds, numbered_bars, seconds_at

Array = npt.NDArray[np.float32]
PEAK = 0.89  # -1 dBFS
FADE_SECONDS = 0.3
ATTACK_SECONDS = 0.005
ANCHOR_HZ = 3500.0
BLOCK_SECONDS = 0.2  # of scrambled sound
SHORT_SECONDS = 0.5  # music may end so much before its excerpt


class Unusable(ValueError):
    """A piece cannot become a stimulus; the message is the reason."""


def sound_of(music: Piece | Recording, settings: Sound) -> Array:
    """An excerpt of exactly `seconds`, (samples, channels), not yet of equal loudness.

    Raises:
        Unusable: the music is too short, silent, or cannot be rendered.
    """
    if isinstance(music, Recording):
        sound = _resampled(music, settings.rate)
    else:
        prepared = prepare(music, settings)
        try:
            sound = synthesize(prepared, sample_rate=settings.rate)
        except RuntimeError as error:
            raise Unusable(str(error)) from error
    return _edges(_channels(sound, settings.channels), settings)


def prepare(piece: Piece, settings: Sound) -> Piece:
    """The excerpt's notes with the study's tempo, program and velocity, from its first note on.

    Raises:
        Unusable: no notes, or the music ends too early.
    """
    start = next((at for at, bar in numbered_bars(piece) if bar >= settings.start_bar), None)
    later = piece.notes["onset"][piece.notes["onset"] >= (start if start is not None else 1 << 30)]
    if start is None or not len(later):
        raise Unusable(f"no notes from bar {settings.start_bar} on")
    piece = cut(piece, int(later.min()), piece.length + 1)
    if settings.qpm is not None:
        piece = replace(piece, tempos=(Tempo(0, settings.qpm),))
    if settings.program is not None:
        tracks = (t if t.is_drum else replace(t, program=settings.program) for t in piece.tracks)
        piece = replace(piece, tracks=tuple(tracks))
    if settings.velocity is not None:
        notes = piece.notes.copy()
        notes["velocity"] = settings.velocity
        piece = replace(piece, notes=notes)
    length = duration_seconds(piece)
    if length < settings.seconds - SHORT_SECONDS:
        raise Unusable(f"{length:.1f} s of music, sound.seconds={settings.seconds:g} needs more")
    onsets = seconds_at(piece, piece.notes["onset"])
    return replace(piece, notes=piece.notes[onsets < settings.seconds])


def _resampled(recording: Recording, rate: int) -> Array:
    from math import gcd

    from scipy.signal import resample_poly

    if recording.rate == rate:
        return recording.sound
    shared = gcd(recording.rate, rate)
    sound = resample_poly(recording.sound, rate // shared, recording.rate // shared, axis=0)
    return np.asarray(sound, dtype=np.float32)


def _channels(sound: Array, channels: int) -> Array:
    if sound.shape[1] == channels:
        return sound
    mono = sound.mean(axis=1, keepdims=True, dtype=np.float32)
    return np.repeat(mono, channels, axis=1)


def _edges(sound: Array, settings: Sound) -> Array:
    """Exactly the wanted length, with a short attack and a fade at the end."""
    wanted = round(settings.seconds * settings.rate)
    needed = round((settings.seconds - SHORT_SECONDS) * settings.rate)
    if len(sound) < needed:
        found = len(sound) / settings.rate
        raise Unusable(f"{found:.1f} s of sound, sound.seconds={settings.seconds:g} needs more")
    result = np.zeros((wanted, sound.shape[1]), dtype=np.float32)
    result[: min(wanted, len(sound))] = sound[:wanted]
    attack, fade = (round(s * settings.rate) for s in (ATTACK_SECONDS, FADE_SECONDS))
    result[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)[:, None]
    result[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
    return result


def loudness(sound: Array, rate: int) -> float:
    """Integrated loudness in LUFS; minus infinity for silence."""
    import warnings

    import pyloudnorm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyloudnorm warns of silence, which we refuse ourselves
        return float(pyloudnorm.Meter(rate).integrated_loudness(sound.astype(np.float64)))


def headroom_lufs(sound: Array, rate: int) -> float:
    """The highest loudness at which the peak stays at -1 dBFS.

    Raises:
        Unusable: silence.
    """
    peak, level = float(np.abs(sound).max(initial=0.0)), loudness(sound, rate)
    if peak <= 0 or not np.isfinite(level):
        raise Unusable("the sound is silent")
    return level + 20 * float(np.log10(PEAK / peak))


def at_loudness(sound: Array, rate: int, lufs: float) -> Array:
    """The sound at a loudness; the caller has checked that it does not clip."""
    gain = 10 ** ((lufs - loudness(sound, rate)) / 20)
    return np.asarray(sound * np.float32(gain), dtype=np.float32)


def anchor(sound: Array, rate: int) -> Array:
    """Low-passed at 3.5 kHz, in both directions so that no delay tells it apart."""
    from scipy.signal import butter, sosfiltfilt

    sos = butter(8, ANCHOR_HZ, fs=rate, output="sos")
    return np.asarray(sosfiltfilt(sos, sound, axis=0), dtype=np.float32)


def scrambled(sound: Array, rate: int, seed: int) -> Array:
    """Blocks of 0.2 s in random order: no listener who pays attention takes it for music."""
    block = round(BLOCK_SECONDS * rate)
    count = len(sound) // block
    order = np.random.default_rng(seed).permutation(count)
    edge = round(ATTACK_SECONDS * rate)
    window = np.ones((block, 1), dtype=np.float32)
    window[:edge, 0] = np.linspace(0, 1, edge)
    window[-edge:, 0] = np.linspace(1, 0, edge)
    parts = [sound[i * block : (i + 1) * block] * window for i in order]
    rest = np.zeros((len(sound) - count * block, sound.shape[1]), dtype=np.float32)
    return np.concatenate([*parts, rest])


def sixteen_bits(sound: Array, seed: int) -> npt.NDArray[np.int16]:
    """16-bit samples with triangular dither; another seed gives other bytes of the same music."""
    rng = np.random.default_rng(seed)
    noise = rng.random(sound.shape) - rng.random(sound.shape)
    return np.asarray(np.clip(np.rint(sound * 32767 + noise), -32768, 32767), dtype=np.int16)
