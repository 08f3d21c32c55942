"""The tracks of a piece: one for each MIDI track, channel and program that has notes."""

import re

import numpy as np

from ostinato.music.piece import Track
from ostinato.music.roles import role_of
from ostinato.readers.midi_events import NUM_CHANNELS, Ints
from ostinato.readers.midi_notes import RawNotes

DRUM_CHANNEL = 9  # counted from 0
_NUM_PROGRAMS = 128
_DRUM_NAME = re.compile(
    r"(?<![a-z])(drums?|drum ?(kit|set)s?|kit|perc|percussion|batter(ie|ia)|bateria|schlagzeug"
    r"|slagverk)(?![a-z])"
)
_PITCHED_DRUM = re.compile("steel|taiko|synth|melodic|timpani|tuned|mallet")
_KIT = (27, 87)  # keys of a General MIDI 2 drum kit
_PERCUSSION = 112


def number_tracks(notes: RawNotes) -> tuple[Ints, Ints]:
    """The number of every note's track, and an index to one note of each track.

    Tracks are ordered by MIDI track, channel and program.
    """
    part = (notes.track * NUM_CHANNELS + notes.channel) * _NUM_PROGRAMS + notes.program
    _, example, number = np.unique(part, return_index=True, return_inverse=True)
    return number, example


def name_tracks(
    notes: RawNotes, number: Ints, example: Ints, names: dict[int, str]
) -> tuple[tuple[Track, ...], list[str]]:
    """The piece's tracks and, where a drum kit was found off channel 10, a warning."""
    is_key = (notes.pitch >= _KIT[0]) & (notes.pitch <= _KIT[1])
    shares = np.bincount(number, is_key) / np.bincount(number)
    tracks, num_kits = [], 0
    for note, share in zip(example.tolist(), shares.tolist(), strict=True):
        name = names.get(int(notes.track[note]), "")
        program = int(notes.program[note])
        is_drum = int(notes.channel[note]) == DRUM_CHANNEL
        if not is_drum and is_kit(name, program, share):
            is_drum, num_kits = True, num_kits + 1
        tracks.append(Track(name, role_of(name, program, is_drum), program, is_drum))
    warnings = [f"drums off channel 10, told by their name: {num_kits}"] if num_kits else []
    return tuple(tracks), warnings


def is_kit(name: str, program: int, share: float) -> bool:
    """Whether a track off channel 10 is a drum kit all the same.

    It is if its name says drums, kit or percussion and no pitched drum (steel drums, taiko); its
    program is 0, as where none was set, or percussion or an effect (112-127); and a share of nine
    tenths of its notes are keys of a kit (27-87).
    """
    name = name.lower()
    if not _DRUM_NAME.search(name) or _PITCHED_DRUM.search(name):
        return False
    return (program == 0 or program >= _PERCUSSION) and share >= 0.9
