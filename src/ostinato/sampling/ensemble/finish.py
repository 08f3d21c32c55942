"""What makes a decoded piece the one that was asked for: its tempo, its key, symbols for chords."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ostinato.music.chords import ROLE, chords_as_annotations
from ostinato.music.keys import key_of_piece, parse_key
from ostinato.music.piece import Piece, Tempo, sort_notes, tonic_of
from ostinato.representations.events.roles import Roles
from ostinato.representations.voice_lines import DRUMS
from ostinato.sampling.ensemble.asked import TEMPO, tempo_of_prompt
from ostinato.sampling.ensemble.decoding import BandDecoding
from ostinato.sampling.request import Request

HALF = 6  # semitones: the farthest that a piece is moved to its key
OCTAVE, PITCHES = 12, 128


def finished(
    piece: Piece,
    request: Request,
    asked: BandDecoding,
    conditions: Mapping[str, str | float],
    known: Roles,
    programs: Mapping[str, int],
) -> Piece:
    """A decoded piece with its tempo, key and instruments, chord symbols in place of the chord
    role, and without the tracks of roles that do not play where the representation needs only some.
    """
    tracks = tuple(replace(t, program=programs.get(t.role, t.program)) for t in piece.tracks)
    piece = replace(piece, tracks=tracks)
    tempo = asked.tempo or tempo_of_prompt(request)
    if not tempo and isinstance(conditions.get(TEMPO), (int, float)):
        tempo = float(conditions[TEMPO])
    if tempo:
        piece = replace(piece, tempos=(Tempo(0, tempo),))
    if asked.key:
        piece = in_key(piece, asked.key)
    piece = chords_as_annotations(piece)
    return _without_silent(piece) if known.needed == "any" else piece


def programs_of(prompt: Piece, known: Roles) -> dict[str, int]:
    """By role, the General MIDI program of a prompt, where it is not the representation's own: of
    the track that plays the role, or of several of the one with the most notes (of equals the
    first).
    """
    own = dict(zip(known.roles, known.programs or [0] * len(known.roles), strict=True))
    counts = np.bincount(prompt.notes["track"], minlength=len(prompt.tracks))
    found: dict[str, int] = {}
    for role in known.roles:
        played_by = known.sources.get(role, [role])
        mine = [
            number
            for number, track in enumerate(prompt.tracks)
            if (DRUMS if track.is_drum else track.role) in played_by and counts[number]
        ]
        if mine and role != ROLE:
            program = prompt.tracks[max(mine, key=lambda number: counts[number])].program
            if program != own[role]:
                found[role] = program
    return found


def in_key(piece: Piece, name: str) -> Piece:
    """A piece moved to a key by at most half an octave; drums stay.

    The key that it has is estimated; see music/keys.py.
    """
    key = parse_key(name)
    found = key_of_piece(piece, key.mode)
    moved = 0 if found is None else (tonic_of(key) - found[0] + HALF) % OCTAVE - HALF
    pitched = np.array([not track.is_drum for track in piece.tracks], dtype=bool)
    notes = piece.notes.copy()
    notes["pitch"] += np.where(pitched[notes["track"]], moved, 0).astype(notes["pitch"].dtype)
    notes["pitch"] += OCTAVE * ((notes["pitch"] < 0).astype(int) - (notes["pitch"] >= PITCHES))
    return replace(piece, notes=sort_notes(notes), keys=(key,))


def _without_silent(piece: Piece) -> Piece:
    """A piece without tracks that have no note, if any has one."""
    kept = np.unique(piece.notes["track"]).tolist()
    if not kept:
        return piece
    place = np.zeros(len(piece.tracks), dtype=np.int32)
    place[kept] = np.arange(len(kept))
    notes = piece.notes.copy()
    notes["track"] = place[notes["track"]]
    return replace(piece, notes=notes, tracks=tuple(piece.tracks[i] for i in kept))
