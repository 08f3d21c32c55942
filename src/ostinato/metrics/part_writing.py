"""Part-writing of pieces with several voices, counted on sixteenth steps (`metrics.steps`).

No figure has a best value; the corpus is the referee. Bach writes a few parallel fifths, too.
Definitions with formulas and traps: docs/metrics.md.
"""

from collections.abc import Mapping

import numpy as np

from ostinato.metrics.counts import Count, Counted
from ostinato.metrics.sonorities import IS_CHORD, IS_CONSONANT_TRIAD
from ostinato.metrics.steps import CLASSES, REST, Mask, Steps, steps_of
from ostinato.music.piece import Piece

FIFTH, OCTAVE = 7, 12
# by semitones modulo 12: seconds, tritones and sevenths
IS_DISSONANT = np.isin(np.arange(CLASSES), (1, 2, 6, 10, 11))

PART_WRITING: Mapping[str, Counted] = {
    "parallel_fifths": Counted("Parallel fifths", "per 1,000 pairs", 1000.0),
    "parallel_octaves": Counted("Parallel octaves", "per 1,000 pairs", 1000.0),
    "similar_motion": Counted("Pairs of voices that move in one direction"),
    "crossing": Counted("Steps with crossed voices"),
    "wide_spacing": Counted("Upper neighbours more than an octave apart"),
    "overlap": Counted("Steps of a voice with more than one note"),
    "stepwise": Counted("Melodic moves of at most two semitones"),
    "leaps": Counted("Melodic moves of more than a fifth"),
    "dissonant_pairs": Counted("Dissonant pairs of voices"),
    "triads": Counted("Major or minor triads on beats"),
    "no_chord": Counted("Beats that are no chord"),
    "held": Counted("Held cells"),
    "onsets": Counted("Onsets a step", "onsets"),
    "notes_per_bar": Counted("Notes a bar", "notes"),
}


def part_writing(piece: Piece) -> dict[str, Count]:
    """Counts of PART_WRITING for one piece; figures of pairs are undefined for a single voice."""
    steps = steps_of(piece)
    return {**_pairs(steps), **_lines(steps), **_sonorities(steps), **_texture(steps, piece)}


def voice_ranges(piece: Piece) -> dict[str, Count]:
    """Highest minus lowest pitch of the notes of each role, in semitones; only roles with notes.

    Tracks of one role are one voice.
    """
    steps = steps_of(piece)
    found = {}
    role_N = np.array(steps.roles, dtype=np.str_)[steps.voice_N]
    for role in dict.fromkeys(steps.roles):
        pitches = steps.note_N[role_N == role]
        if len(pitches):
            found[role] = Count(float(np.ptp(pitches)), 1.0)
    return found


def _pairs(steps: Steps) -> dict[str, Count]:
    """What every two voices do together."""
    pitch = steps.pitch_VT[steps.by_register()]
    upper, lower = np.triu_indices(len(pitch), 1)
    both = (pitch[upper] != REST) & (pitch[lower] != REST)
    apart = pitch[upper] - pitch[lower]
    neighbours = lower - upper == 1
    crossed = (both & (apart < 0)).any(axis=0)
    upper_neighbours = neighbours & (lower < len(pitch) - 1)
    goes_on = both[:, 1:] & both[:, :-1]
    move = np.sign(np.diff(pitch, axis=1))
    similar = goes_on & (move[upper] == move[lower]) & (move[upper] != 0)
    size = np.abs(apart) % CLASSES
    keeps = similar & (size[:, 1:] == size[:, :-1])
    fifths, octaves = (_sum(keeps & (size[:, 1:] == kept)) for kept in (FIFTH, 0))
    wide = both & (apart > OCTAVE)
    return {
        "parallel_fifths": Count(fifths, _sum(similar)),
        "parallel_octaves": Count(octaves, _sum(similar)),
        "similar_motion": Count(_sum(similar), _sum(goes_on)),
        "crossing": Count(_sum(crossed), _sum(both.any(axis=0))),
        "wide_spacing": Count(_sum(wide[upper_neighbours]), _sum(both[upper_neighbours])),
        "dissonant_pairs": Count(_sum(both & IS_DISSONANT[size]), _sum(both)),
    }


def _lines(steps: Steps) -> dict[str, Count]:
    """What each voice does from one note to the next."""
    order = np.argsort(steps.voice_N, kind="stable")
    voice, pitch = steps.voice_N[order], steps.note_N[order]
    moves = np.abs(np.diff(pitch))[np.diff(voice) == 0]
    moves = moves[moves > 0]
    return {
        "stepwise": Count(_sum(moves <= 2), len(moves)),
        "leaps": Count(_sum(moves > FIFTH), len(moves)),
    }


def _sonorities(steps: Steps) -> dict[str, Count]:
    """What sounds on the beats on which anything does."""
    classes = steps.classes_T[steps.on_beat()]
    classes = classes[classes > 0]
    return {
        "triads": Count(_sum(IS_CONSONANT_TRIAD[classes]), len(classes)),
        "no_chord": Count(_sum(~IS_CHORD[classes]), len(classes)),
    }


def _texture(steps: Steps, piece: Piece) -> dict[str, Count]:
    sounding = steps.sounding
    bar = float(piece.first_meter().bar_quarters()) * 4
    return {
        "overlap": Count(_sum(steps.overlap_VT), _sum(sounding)),
        "held": Count(_sum(sounding & ~steps.onset_VT), _sum(sounding)),
        "onsets": Count(_sum(steps.onset_VT), steps.length),
        "notes_per_bar": Count(float(len(steps.note_N)), steps.length / bar),
    }


def _sum(mask: Mask) -> float:
    return float(np.count_nonzero(mask))
