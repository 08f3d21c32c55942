"""Draws piano rolls: a rectangle for every note, a colour for every voice."""

from pathlib import Path
from typing import TYPE_CHECKING

from ostinato.files import atomic_file
from ostinato.music.piece import VOICES, Piece
from ostinato.music.timing import numbered_bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, distinguishable with every kind of colour vision
COLORS = ("#D55E00", "#E69F00", "#009E73", "#0072B2", "#CC79A7", "#56B4E9", "#8C6D31", "#555555")
BLACK_KEYS = (1, 3, 6, 8, 10)
INCHES_PER_BAR = 0.55
WIDTH_INCHES = (8.0, 26.0)
LABELLED_BARS = 32


def voice_number(piece: Piece, track: int) -> int:
    """Index of the colour of a track: fixed where all are voices of a choir, else in order."""
    roles = [found.role for found in piece.tracks]
    return VOICES.index(roles[track]) if set(roles) <= set(VOICES) else track


def voice_name(piece: Piece, track: int) -> str:
    """Name of a track in the legend."""
    named = piece.tracks[track]
    return named.name or named.role.capitalize() or f"Track {track + 1}"


def draw(piece: Piece, path: Path) -> None:
    """Write the piano roll of a piece as PNG: pitch over bars, voices in colours with a legend."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bars = numbered_bars(piece)
    width = min(max(INCHES_PER_BAR * len(bars), WIDTH_INCHES[0]), WIDTH_INCHES[1])
    figure = Figure(figsize=(width, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lowest, highest = _pitch_range(piece)
    _draw_grid(axes, piece, bars, lowest, highest)
    _draw_notes(axes, piece)
    axes.set_xlim(0, max(piece.length, 1))
    axes.set_ylim(lowest - 0.5, highest + 0.5)
    if piece.title or piece.id:
        axes.set_title(piece.title or piece.id, loc="left", fontsize=11, color="#222222")
    if len(piece.tracks):
        figure.legend(loc="outside upper right", ncols=8, frameon=False, fontsize=9)
    with atomic_file(path) as partial:
        # without Software, which changes with every version of matplotlib
        figure.savefig(partial, format="png", metadata={"Software": None}, facecolor="white")


def _pitch_range(piece: Piece) -> tuple[int, int]:
    if not len(piece.notes):
        return 48, 72
    return int(piece.notes["pitch"].min()) - 2, int(piece.notes["pitch"].max()) + 2


def _draw_grid(
    axes: "Axes", piece: Piece, bars: list[tuple[int, int]], lowest: int, highest: int
) -> None:
    for pitch in range(lowest, highest + 1):
        if pitch % 12 in BLACK_KEYS:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color="#F3F3F0", linewidth=0, zorder=0)
    for onset, _ in bars:
        axes.axvline(onset, color="#D5D5D0", linewidth=0.7, zorder=1)
    every = -(-len(bars) // LABELLED_BARS) or 1
    shown = bars[::every]
    axes.set_xticks([onset for onset, _ in shown], [str(number) for _, number in shown])
    octaves = [pitch for pitch in range(lowest, highest + 1) if pitch % 12 == 0]
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.set_xlabel("Bar", fontsize=9, color="#555555")
    axes.tick_params(labelsize=8, length=0, colors="#555555")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_notes(axes: "Axes", piece: Piece) -> None:
    gap = piece.ticks_per_quarter / 24  # keeps repeated notes apart
    for track in range(len(piece.tracks)):
        notes = piece.notes[piece.notes["track"] == track]
        axes.barh(
            y=notes["pitch"],
            left=notes["onset"],
            width=[max(float(duration) - gap, gap) for duration in notes["duration"]],
            height=0.8,
            color=COLORS[voice_number(piece, track) % len(COLORS)],
            label=voice_name(piece, track),
            zorder=2,
        )
