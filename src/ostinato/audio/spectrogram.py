"""Draws spectrograms: time to the right, bands upward, loud is bright."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.audio.pianoroll import COLORS, voice_number
from ostinato.files import atomic_file
from ostinato.music.piece import Piece
from ostinato.music.recording import Recording
from ostinato.music.timing import seconds_at

MAP = "magma"
LEVELS = 32
LOUDEST, DYNAMICS = 2.5, 3.5  # of log-mel frames: brightest, and how far below it is black


def draw(recording: Recording, path: Path) -> None:
    """Write the frames of a recording as PNG, with its seconds and its title."""
    figure = _figure(3.6)
    axes = figure.add_subplot()
    _show(axes, recording)
    if recording.title or recording.id:
        axes.set_title(recording.title or recording.id, loc="left", fontsize=11, color="#222222")
    _save(figure, path)


def draw_beside(piece: Piece, recordings: Mapping[str, Recording], path: Path) -> None:
    """Write the piano roll of a piece above recordings by title, all with one axis of seconds, as
    PNG: what is written beside what is heard.
    """
    figure = _figure(2.0 * (1 + len(recordings)))
    roll, *others = figure.subplots(1 + len(recordings), sharex=True)
    starts = seconds_at(piece, piece.notes["onset"])
    ends = seconds_at(piece, piece.notes["onset"] + piece.notes["duration"])
    colors = [
        COLORS[voice_number(piece, track) % len(COLORS)] for track in piece.notes["track"].tolist()
    ]
    roll.barh(piece.notes["pitch"], ends - starts, left=starts, height=0.8, color=colors)
    roll.set_title(piece.title or piece.id, loc="left", fontsize=10, color="#222222")
    roll.set_ylabel("MIDI pitch", fontsize=9, color="#555555")
    roll.tick_params(labelsize=8, length=0, colors="#555555")
    for axes, (title, recording) in zip(others, recordings.items(), strict=True):
        _show(axes, recording)
        axes.set_title(title, loc="left", fontsize=10, color="#222222")
        axes.label_outer()
    roll.set_xlim(0, max(recording.seconds for recording in recordings.values()))
    _save(figure, path)


def _figure(height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _show(axes: Any, recording: Recording) -> None:
    axes.imshow(
        recording.frames.T,
        origin="lower",
        aspect="auto",
        cmap=MAP,
        vmin=LOUDEST - DYNAMICS,
        vmax=LOUDEST,
        extent=(0, recording.seconds, 0, recording.frames.shape[1]),
        interpolation="nearest",
    )
    axes.set_xlabel("Seconds", fontsize=9, color="#555555")
    axes.set_ylabel("Mel band", fontsize=9, color="#555555")
    axes.tick_params(labelsize=8, length=0, colors="#555555")


def _save(figure: Any, path: Path) -> None:
    with atomic_file(path) as partial:
        # without Software, which changes with every version of matplotlib
        figure.savefig(partial, format="png", metadata={"Software": None}, facecolor="white")


def picture(recording: Recording) -> bytes:
    """The frames as PNG alone, a pixel for each value, in LEVELS colours: a page holds dozens."""
    from matplotlib import colormaps
    from PIL import Image

    shares = (recording.frames.T[::-1] - (LOUDEST - DYNAMICS)) / DYNAMICS
    levels = np.clip(np.rint(shares * (LEVELS - 1)), 0, LEVELS - 1).astype(np.uint8)
    image = Image.fromarray(levels, mode="P")
    colors = colormaps[MAP](np.linspace(0, 1, LEVELS))[:, :3]
    image.putpalette(np.rint(colors * 255).astype(np.uint8).ravel().tolist())
    file = io.BytesIO()
    image.save(file, format="PNG", bits=5)
    return file.getvalue()
