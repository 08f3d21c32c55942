"""Assigns the notes of any piece to the voices of a representation."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ostinato.music.piece import Piece, Track, sort_notes


def with_voices(piece: Piece, voices: Sequence[str]) -> Piece:
    """Assign voices by the tracks' names, else by their mean pitch, else note by note.

    Monophonic tracks that all bear names of voices, each another, become these. Otherwise fewer
    tracks than voices stay whole if each is monophonic: the highest becomes the first voice, the
    lowest the last, the others follow the first. Remaining voices are silent. A single monophonic
    track becomes the first voice. Notes of chords are assigned from the highest to the lowest, at
    most one per voice at an onset.

    Raises:
        ValueError: more tracks or simultaneous notes than voices.
    """
    if {track.role for track in piece.tracks} >= set(voices):
        return piece
    sounding = [n for n in range(len(piece.tracks)) if (piece.notes["track"] == n).any()]
    pitched = [n for n in sounding if not piece.tracks[n].is_drum]
    if len(pitched) > len(voices):
        raise ValueError(
            f"{piece.source or piece.id} has {len(pitched)} sounding tracks, the model has "
            f"{len(voices)} voices ({', '.join(voices)}); name or remove tracks"
        )
    notes = piece.notes[np.isin(piece.notes["track"], pitched)].copy()
    lines = len(np.unique(notes[["track", "onset"]])) == len(notes)
    roles = [piece.tracks[n].role for n in pitched]
    if lines and set(roles) <= set(voices) and len(set(roles)) == len(roles):
        place = {n: voices.index(piece.tracks[n].role) for n in pitched}
        notes["track"] = [place[n] for n in notes["track"]]
    elif len(pitched) == len(voices) or (lines and len(pitched) > 1):
        height = {n: notes["pitch"][notes["track"] == n].mean() for n in pitched}
        order = sorted(pitched, key=lambda n: -height[n])
        place = {n: rank for rank, n in enumerate(order)} | {order[-1]: len(voices) - 1}
        notes["track"] = [place[n] for n in notes["track"]]
    else:
        notes["track"] = _deal(piece, notes, len(voices))
    tracks = tuple(Track(name=voice.capitalize(), role=voice) for voice in voices)
    return replace(piece, notes=sort_notes(notes), tracks=tracks)


def _deal(piece: Piece, notes: np.ndarray, count: int) -> np.ndarray:
    """Voice of every note: at each onset from the highest to the lowest."""
    voice = np.zeros(len(notes), np.int32)
    for onset in np.unique(notes["onset"]):
        here = np.flatnonzero(notes["onset"] == onset)
        if len(here) > count:
            raise ValueError(
                f"{piece.source or piece.id} has {len(here)} notes at once, "
                f"the model has {count} voices"
            )
        voice[here[np.argsort(-notes["pitch"][here], kind="stable")]] = np.arange(len(here))
    return voice
