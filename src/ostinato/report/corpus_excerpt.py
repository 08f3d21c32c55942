"""Excerpts for the player of a corpus page: first seconds, sound and colours."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from ostinato.audio.render import PEAK, RenderError, synthesize
from ostinato.music.piece import Piece, cut
from ostinato.music.timing import bar_onsets, seconds_at
from ostinato.player.recorded import mp3
from ostinato.report.corpus_data import Excerpt
from ostinato.report.player import DRUMS, NUM_COLORS, as_json, roll_of

SAMPLE_RATE = 32000
AUDIBLE = 0.01


@dataclass(frozen=True)
class Recording:
    """An excerpt for the template: data of the player, legend, and the error if any."""

    excerpt: Excerpt
    data: Markup
    legend: tuple[tuple[int, str], ...]
    failed: str = ""


def first_seconds(piece: Piece, seconds: float) -> Piece:
    """At most so many seconds from the bar of the first note (or the note, if the bar is long)."""
    first = int(piece.notes["onset"].min())
    start = max((bar for bar in bar_onsets(piece) if bar <= first), default=first)
    if np.diff(seconds_at(piece, [start, first]))[0] > seconds / 4:
        start = first
    until = float(seconds_at(piece, start)) + seconds
    last = bisect_right(
        range(piece.length + 1), until, key=lambda tick: float(seconds_at(piece, tick))
    )
    return cut(piece, start, max(last - 1, first + 1))


def recordings(excerpts: Sequence[Excerpt]) -> list[Recording]:
    """Sound and roll of every excerpt; a voice keeps its colour over the page where possible."""
    preferred: dict[str, int] = {}
    for excerpt in excerpts:
        for track, name in zip(excerpt.piece.tracks, voice_names(excerpt.piece), strict=True):
            if not track.is_drum:
                preferred.setdefault(name, len(preferred) % NUM_COLORS)
    return [_recording(excerpt, preferred) for excerpt in excerpts]


def voice_names(piece: Piece) -> list[str]:
    """A name for each track: its role, or its own name if all have one role."""
    roles = {track.role for track in piece.tracks if not track.is_drum}
    names = []
    for number, track in enumerate(piece.tracks, start=1):
        by_role, by_name = track.role.capitalize(), track.name.strip()
        first, second = (by_role, by_name) if len(roles) > 1 else (by_name, by_role)
        names.append("Drums" if track.is_drum else first or second or f"Track {number}")
    return names


def colors_of(piece: Piece, preferred: dict[str, int]) -> list[int]:
    """A colour for each track: drums have their own; voices share one only if none is free."""
    taken: dict[str, int] = {}
    for track, name in zip(piece.tracks, voice_names(piece), strict=True):
        if not track.is_drum and name not in taken:
            order = [(preferred[name] + i) % NUM_COLORS for i in range(NUM_COLORS)]
            free = [color for color in order if color not in taken.values()]
            taken[name] = (free or order)[0]
    return [
        DRUMS if track.is_drum else taken[name]
        for track, name in zip(piece.tracks, voice_names(piece), strict=True)
    ]


def _recording(excerpt: Excerpt, preferred: dict[str, int]) -> Recording:
    piece = excerpt.piece
    colors = colors_of(piece, preferred)
    names = voice_names(piece)
    data, failed = roll_of(piece, colors, names), ""
    try:
        data |= _sound(piece)
    except (RenderError, ValueError) as error:  # the page is useful without this sound
        failed = str(error)
    heard = np.unique(piece.notes["track"]).tolist()
    legend = dict.fromkeys((colors[track], names[track]) for track in heard)
    return Recording(excerpt, as_json(data), tuple(legend), failed)


def _sound(piece: Piece) -> dict[str, Any]:
    """An MP3, and the millisecond of its first audible sample, with which the player corrects the
    delay of the encoder.
    """
    sound = synthesize(piece, sample_rate=SAMPLE_RATE).mean(axis=1)
    sound *= PEAK / np.abs(sound).max()
    attack = int(np.argmax(np.abs(sound) > AUDIBLE))
    return {"sound": mp3(sound, SAMPLE_RATE), "attack": round(1000 * attack / SAMPLE_RATE)}
