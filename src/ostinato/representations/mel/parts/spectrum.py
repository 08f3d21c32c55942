"""Mel spectrograms of sounds, and sounds of mel spectrograms.

Mel bands are triangles that overlap by half, evenly spaced on HTK's scale, m = 2595 log10(1 + f /
700): unlike Slaney's scale it stays near 10 Hz a band below 1 kHz, where the notes of a choir lie.
"""

# T frames, F frequencies, M bands, N samples; all numbers have 32 bits

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.sparse

Array = npt.NDArray[np.float32]
MOMENTUM = 0.99  # of the fast Griffin-Lim algorithm
NNLS_STEPS = 50
SEED = 0  # of the phases that an inversion begins with
TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """sample_rate, lowest, highest: in Hz. window, hop: in samples. bands: M."""

    sample_rate: int
    window: int
    hop: int
    bands: int
    lowest: float
    highest: float

    @cached_property
    def taper(self) -> Array:
        """A Hann window; a full-scale sine has magnitude 1 at its peak."""
        window = np.hanning(self.window + 1)[:-1]
        return np.asarray(window / (window.sum() / 2), np.float32)

    def stft(self, sound: Array) -> npt.NDArray[np.complex64]:
        """Fourier transforms (T, F) of windows around every `hop`-th sample, silence outside."""
        padded = np.pad(np.asarray(sound, np.float32), self.window // 2)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop]
        return np.asarray(scipy.fft.rfft(windows * self.taper, axis=1))

    def istft(self, spectra_TF: npt.NDArray[np.complex64]) -> Array:
        """The sound whose transforms come closest to these (Griffin & Lim 1984, eq. 6)."""
        parts, count = self.window // self.hop, len(spectra_TF)
        windows = scipy.fft.irfft(spectra_TF, n=self.window, axis=1) * self.taper
        blocks = windows.reshape(count, parts, self.hop)
        squares = np.square(self.taper).reshape(parts, self.hop)
        sound = np.zeros((count + parts - 1, self.hop), np.float32)
        weight = np.zeros_like(sound)
        for part in range(parts):
            sound[part : part + count] += blocks[:, part]
            weight[part : part + count] += squares[part]
        half = self.window // 2
        whole = (sound / np.maximum(weight, TINY)).ravel()
        return np.asarray(whole[half : half + self.samples_of(count)])

    @cached_property
    def filters(self) -> scipy.sparse.csr_array:
        """Weights (M, F) of the frequencies in every band; the largest is at most 1."""
        edges = np.linspace(_mel(self.lowest), _mel(self.highest), self.bands + 2)
        edges = 700 * (10 ** (edges / 2595) - 1)
        low, peak, high = (edges[n : n + self.bands, None] for n in range(3))
        hertz = np.arange(self.window // 2 + 1) * self.sample_rate / self.window
        rising, falling = (hertz - low) / (peak - low), (high - hertz) / (high - peak)
        weights = np.clip(np.minimum(rising, falling), 0, None)
        return scipy.sparse.csr_array(weights.astype(np.float32))

    def samples_of(self, frames: int) -> int:
        """N of the shortest sound that has so many frames."""
        return (frames - 1) * self.hop

    def mel(self, sound: Array) -> Array:
        """Magnitudes (T, M) of the bands of a sound (N,)."""
        return np.asarray((self.filters @ np.abs(self.stft(sound)).T).T)

    def linear(self, mel: Array) -> Array:
        """Non-negative magnitudes (F, T) whose bands come closest to these, (T, M).

        Multiplicative steps of non-negative least squares (Lee & Seung 2001, theorem 1).
        """
        gram, wanted = self.filters.T @ self.filters, self.filters.T @ mel.T
        found = wanted / np.maximum(gram.sum(axis=1)[:, None], TINY)
        for _ in range(NNLS_STEPS):
            found *= wanted / np.maximum(gram @ found, TINY)
        return np.asarray(found)

    def invert(self, mel: Array, iterations: int) -> Array:
        """A sound (N,) of mel magnitudes (T, M), the same every time.

        Phases are found by alternating projections, accelerated with momentum: Griffin & Lim 1984;
        Perraudin, Balazs & Søndergaard 2013.
        """
        magnitudes = np.asarray(self.linear(mel).T, np.float32)
        angles = np.random.default_rng(SEED).random(magnitudes.shape, np.float32) * (2 * np.pi)
        phases = np.exp(1j * angles).astype(np.complex64)
        before = np.zeros_like(phases)
        for _ in range(iterations):
            now = self.stft(self.istft(magnitudes * phases))
            phases = now + MOMENTUM * (now - before)
            phases /= np.maximum(np.abs(phases), TINY)
            before = now
        return self.istft(magnitudes * phases)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))
