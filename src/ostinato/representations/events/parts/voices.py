"""Which notes of a piece are which voice of the event representations."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Notes, Piece
from ostinato.representations.protocol import Unencodable
from ostinato.representations.voice_lines import voice_numbers

MOST_TRACKS = 16


def notes_of_roles(piece: Piece, voices: Sequence[str], *, needed: bool) -> Notes:
    """The notes of the roles that are voices, voice by voice, with its number as their track.

    Raises:
        Unencodable: no notes, or not every role is there though all are needed.
    """
    notes = _by_voice(piece, voice_numbers(piece, voices, needed=needed))
    if not len(notes):
        raise Unencodable("no notes", f"{piece.id}: no notes in {', '.join(voices)}")
    return notes


def notes_by_place(piece: Piece, *, merged: bool) -> Notes:
    """The notes of all tracks but drums, with the track's place as their track, 0 when merged.

    Silent tracks have a place too, unless there are more than 16 tracks.

    Raises:
        Unencodable: no notes, or more than 16 tracks sound.
    """
    tracks = [number for number, track in enumerate(piece.tracks) if not track.is_drum]
    if len(tracks) > MOST_TRACKS and not merged:
        tracks = sorted(set(tracks) & set(np.unique(piece.notes["track"]).tolist()))
        if len(tracks) > MOST_TRACKS:
            words = f"{piece.id}: {len(tracks)} tracks, more than {MOST_TRACKS}"
            raise Unencodable("too many tracks", words)
    by_track = np.full(len(piece.tracks), -1, dtype=np.int64)
    by_track[tracks] = 0 if merged else np.arange(len(tracks))
    notes = _by_voice(piece, by_track[piece.notes["track"]])
    if not len(notes):
        raise Unencodable("no notes", f"{piece.id}: no notes")
    return notes


def check_played(piece: Piece, played: Piece, sources: Mapping[str, Sequence[str]]) -> None:
    """Raise Unencodable, with the mapping that was tried, where no track plays a role.

    played: the piece with the roles that its tracks play. sources: by role, what plays it.
    """
    if not len(piece.notes) or any(track.role for track in played.tracks):
        return
    tracks = ", ".join(f"{t.name or 'unnamed'} ({t.role or 'no role'})" for t in piece.tracks)
    known = "; ".join(f"{role} by {', '.join(names)}" for role, names in sources.items())
    raise Unencodable(
        "no notes", f"{piece.id}: no track plays a role. Tracks: {tracks}. Played: {known}"
    )


def _by_voice(piece: Piece, numbers: npt.NDArray[np.int64]) -> Notes:
    order = np.argsort(numbers, kind="stable")[np.count_nonzero(numbers < 0) :]
    notes = piece.notes[order]
    notes["track"] = numbers[order]
    return notes
