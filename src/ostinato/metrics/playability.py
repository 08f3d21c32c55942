"""What players of a piece could not play: notes out of range, too many at once, a third hand.

One mistake is a note outside its instrument's range, an onset at which a part sounds more notes
than its player has hands or strings for, or a moment at which drums need three hands. A part is a
track with notes. Tracks are judged by their instruments (`music/instruments.py`).
"""

from collections.abc import Mapping

import numpy as np

from ostinato.metrics.counts import Count, Counted
from ostinato.music.instruments import (
    ANY,
    LEGATO,
    Instrument,
    by_foot,
    drummer_can,
    players_of,
)
from ostinato.music.piece import Notes, Piece

PLAYABILITY: Mapping[str, Counted] = {
    "mistakes": Counted("What cannot be played", "a part", direction="lower"),
    "out_of_range": Counted("Notes out of range", direction="lower"),
    "too_many": Counted("Onsets with too many notes at once", direction="lower"),
    "three_hands": Counted("Drum hits that need three hands", direction="lower"),
    "empty_parts": Counted("Parts without a note", direction="lower"),
}


def playability(piece: Piece) -> dict[str, Count]:
    """Counts of PLAYABILITY.

    mistakes: of a piece / parts that have notes. out_of_range: notes / notes but those of drums.
    too_many: onsets / onsets but those of drums. three_hands: moments / moments at which drums are
    struck. empty_parts: tracks without notes / tracks.
    """
    outside = notes = crowded = onsets = grabbed = struck = parts = 0
    for number, instrument in enumerate(players_of(piece.tracks)):
        mine = piece.notes[piece.notes["track"] == number]
        if not len(mine):
            continue
        parts += 1
        if instrument is None:
            bad, of = too_many_hands(mine)
            grabbed, struck = grabbed + bad, struck + of
            continue
        outside += out_of_range(mine, instrument)
        notes += len(mine)
        bad, of = too_many(mine, instrument, piece.ticks_per_quarter)
        crowded, onsets = crowded + bad, onsets + of
    return {
        "mistakes": Count(float(outside + crowded + grabbed), float(parts)),
        "out_of_range": Count(float(outside), float(notes)),
        "too_many": Count(float(crowded), float(onsets)),
        "three_hands": Count(float(grabbed), float(struck)),
        "empty_parts": Count(float(len(piece.tracks) - parts), float(len(piece.tracks))),
    }


def out_of_range(notes: Notes, instrument: Instrument) -> int:
    """How many notes lie outside an instrument's range."""
    return int((~instrument.reaches(notes["pitch"])).sum())


def too_many(notes: Notes, instrument: Instrument, ticks_per_quarter: int) -> tuple[int, int]:
    """At how many of a track's onsets it sounds more than its player can, and how many there are.

    Notes sound from their onset until 1/8 quarter before their end. Keys are too many if two hands
    of five fingers, each over a tenth, cannot hold them.
    """
    onsets = np.unique(notes["onset"])
    if instrument.most == ANY:
        return 0, len(onsets)
    begins, ends = notes["onset"], notes["onset"] + notes["duration"]
    lasts = ends - ticks_per_quarter / LEGATO
    bad = 0
    for onset in onsets:
        sounding = np.unique(
            notes["pitch"][(begins == onset) | ((begins < onset) & (lasts > onset))]
        )
        bad += not instrument.holds(sounding)
    return bad, len(onsets)


def too_many_hands(notes: Notes) -> tuple[int, int]:
    """At how many moments drums need more than two hands or two feet, and how many there are.

    An instrument struck twice at a moment counts once.
    """
    hits = np.unique(np.stack([notes["onset"], notes["pitch"]]), axis=1)
    moments, number = np.unique(hits[0], return_inverse=True)
    pedals = by_foot(hits[1])
    feet = np.bincount(number, pedals, len(moments))
    hands = np.bincount(number, ~pedals, len(moments))
    return int((~drummer_can(hands, feet)).sum()), len(moments)
