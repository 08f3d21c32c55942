"""Mel spectrograms of pieces, rendered with the SoundFont that the players use.

A piece becomes frames of real numbers, and frames become sound, not notes. The value of a band is
log10 of its magnitude, plus 3: 1 is 20 dB, 3 the loudest possible sine, -1.5 the floor of -90 dB.
Which note sounds when is in the frames only as far as it is heard; tracks, bars and meters are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from ostinato.audio.render import RenderError, synthesize
from ostinato.music.piece import Piece
from ostinato.music.recording import OFFSET, Frames, Recording, Sound
from ostinato.music.timing import seconds_at
from ostinato.representations.mel.parts.spectrum import Spectrum
from ostinato.representations.protocol import Extent, Grammar, Quantized, Tokens, Unencodable
from ostinato.representations.voice_lines import options_from, settings_of

FLOOR = -90.0  # dB
OVERSAMPLED = 2  # pieces are rendered so many times as finely, as the synthesizer's pitches alias
PEAK = 0.89  # of inverted sounds that would be louder, as in audio/render.py
LATE = "begins after the first seconds that are kept"


@dataclass(frozen=True, kw_only=True)
class Mel:
    """sample_rate, lowest, highest: in Hz. window, hop: in samples. bands: values of a frame.

    seconds: what is kept of a piece, from its beginning. iterations: of the inversion to sound;
    nothing in the frames says so.
    """

    sample_rate: int = 8000
    window: int = 1024
    hop: int = 256
    bands: int = 128
    lowest: float = 30.0
    highest: float = 4000.0
    seconds: float = 20.0
    iterations: int = 32

    def __post_init__(self) -> None:
        if not 0 <= self.lowest < self.highest <= self.sample_rate / 2:
            raise ValueError(
                f"lowest={self.lowest} and highest={self.highest} must rise within 0 and half of "
                f"sample_rate={self.sample_rate}"
            )
        if self.hop < 1 or self.window % self.hop or self.window < 2 * self.hop:
            raise ValueError(
                f"window={self.window} must be twice, thrice … hop={self.hop}, or sound gets lost"
            )
        if self.bands < 1 or self.iterations < 1 or self.seconds <= 0:
            raise ValueError(
                f"bands={self.bands}, iterations={self.iterations} and seconds={self.seconds} must "
                "be above 0"
            )
        if empty := int((self.spectrum.filters.sum(axis=1) == 0).sum()):
            raise ValueError(
                f"{empty} of bands={self.bands} hold no frequency of window={self.window}: take "
                "fewer bands or a longer window"
            )

    def codec(self) -> dict[str, Any]:
        """Kind and options as plain settings."""
        return settings_of("mel", self)

    @property
    def kind(self) -> str:
        """As in ArraySpec."""
        return "mel"

    @property
    def width(self) -> int:
        """One value for each band."""
        return self.bands

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """None: values are real numbers."""
        return ()

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop

    @cached_property
    def spectrum(self) -> Spectrum:
        """The transform between sound and magnitudes of bands."""
        return Spectrum(
            sample_rate=self.sample_rate,
            window=self.window,
            hop=self.hop,
            bands=self.bands,
            lowest=self.lowest,
            highest=self.highest,
        )

    def quantize(self, piece: Piece) -> Quantized:
        """The notes that begin within the first `seconds`.

        Raises:
            Unencodable: none does.
        """
        early = seconds_at(piece, piece.notes["onset"]) < self.seconds
        if not early.any():
            words = f"{piece.id}: no note begins in its first {self.seconds:g} seconds"
            raise Unencodable("no notes", words)
        late = int((~early).sum())
        return Quantized(
            replace(piece, notes=piece.notes[early]), 0.0, {LATE: late} if late else {}
        )

    def encode(self, piece: Piece) -> Any:
        """Frames of shape (T, bands)."""
        return self.write(self.quantize(piece).piece)

    def write(self, quantized: Piece) -> Any:
        """Frames (T, bands) of the first `seconds` of a piece's sound, 32 bits.

        Raises:
            Unencodable: the SoundFont makes no sound of it.
        """
        try:
            sound = synthesize(quantized, sample_rate=OVERSAMPLED * self.sample_rate)
        except RenderError as error:
            raise Unencodable("no sound", str(error)) from error
        kept = sound[: round(self.seconds * self.sample_rate) * OVERSAMPLED].mean(axis=1)
        return self.frames(resample_poly(kept, 1, OVERSAMPLED))

    def frames(self, sound: npt.NDArray[Any]) -> Frames:
        """Frames (T, bands) of a sound (N,)."""
        magnitudes = np.maximum(self.spectrum.mel(sound), np.float32(10 ** (FLOOR / 20)))
        return np.asarray(np.log10(magnitudes) + np.float32(OFFSET))

    def sound(self, frames: Frames) -> Sound:
        """A sound (N,) of frames, at most as loud as full scale; the same every time."""
        levels = np.clip(np.asarray(frames, np.float32), FLOOR / 20 + OFFSET, OFFSET)
        sound = self.spectrum.invert(10 ** (levels - np.float32(OFFSET)), self.iterations)
        loudest = float(np.abs(sound).max(initial=0.0))
        return np.asarray(sound * (PEAK / max(loudest, PEAK)), np.float32)

    def decode(self, tokens: npt.NDArray[Any]) -> Any:
        """A `Recording` of frames, in place of a piece."""
        return Recording(
            id="",
            frames=np.asarray(tokens, np.float32),
            rate=self.rate,
            sample_rate=self.sample_rate,
            invert=self.sound,
        )

    def recording(self, sound: npt.NDArray[Any]) -> Recording:
        """A recording that was made elsewhere, by its frames; (N,) at `sample_rate`."""
        found: Recording = self.decode(self.frames(sound))
        return found

    def shift(self, semitones: int) -> npt.NDArray[np.int32]:
        """There are no symbols to transpose."""
        return np.empty(0, np.int32)

    def grammar(self, extent: Extent, prompts: Sequence[Tokens]) -> Grammar:
        """Raises ValueError: any numbers are frames."""
        self._refuse("grammar")

    def bar_starts(self, tokens: Tokens) -> dict[int, int]:
        """Raises ValueError: frames do not say where bars begin."""
        self._refuse("bars")

    def prefix(self, piece: Piece, quarters: float) -> Tokens:
        """Raises ValueError: frames are not counted in quarters."""
        self._refuse("quarters")

    @staticmethod
    def _refuse(what: str) -> NoReturn:
        raise ValueError(f"a spectrogram has no {what}; take an encoding of notes")


def build(options: Mapping[str, Any]) -> Mel:
    """Mel spectrograms from plain settings; raises ValueError for an unknown option."""
    return options_from("mel", Mel, options)
