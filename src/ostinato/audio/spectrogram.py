"""Draws spectrograms: time to the right, bands upward, loud is bright."""

import io
from pathlib import Path

import numpy as np

from ostinato.files import atomic_file
from ostinato.music.recording import Recording

MAP = "magma"
LEVELS = 32
LOUDEST, DYNAMICS = 2.5, 3.5  # of log-mel frames: brightest, and how far below it is black


def draw(recording: Recording, path: Path) -> None:
    """Write the frames of a recording as PNG, with its seconds and its title."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
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
    if recording.title or recording.id:
        axes.set_title(recording.title or recording.id, loc="left", fontsize=11, color="#222222")
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
