"""What General MIDI instruments can play: their range, and how many notes at once.

Ranges are those of professional players, sounding pitch, after Adler, The Study of Orchestration;
keyboards and plucked instruments by their keys, strings and frets. Synthesizers and effects have
the range of MIDI. A choir's part is known by its role, as General MIDI has no solo voices.

These rules serve twice: `metrics/playability.py` counts what breaks them, and bands are made
without it (`sampling/ensemble/playable.py`).
"""

# X sets of pitches, N pitches of each, in rising order

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Track

ANY = 128  # notes at once: as many as there are
HAND, SPAN = 5, 16  # fingers of a hand, and semitones that it spans: a major tenth
KEYS = 2 * HAND
LEGATO = 8  # notes may overlap by 1/8 quarter, as played ones do
DRUM_HANDS, DRUM_FEET = 2, 2
PEDALS = frozenset({35, 36, 44})  # bass drums and the pedal hi-hat, in General MIDI's drum map
VOICES = {"soprano": (57, 84), "alto": (52, 77), "tenor": (45, 72), "bass": (38, 65)}
CHOIR = {"soprano", "alto", "tenor"}  # where one of them sings, a bass is a voice too

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Instrument:
    """low, high: MIDI pitches. most: notes at once."""

    low: int = 0
    high: int = 127
    most: int = ANY

    @property
    def hands(self) -> bool:
        """Its keys are played by two hands."""
        return self.most == KEYS

    def reaches(self, pitches: npt.NDArray[np.integer]) -> Mask:
        """Which pitches lie in its range."""
        return np.asarray((pitches >= self.low) & (pitches <= self.high))

    def holds(self, pitches_XN: npt.NDArray[np.integer]) -> Mask:
        """Which of some sets of different pitches one player can sound at once, (X,).

        Keys need two hands of five fingers that span a tenth each.
        """
        enough: Mask = np.full(pitches_XN.shape[:-1], pitches_XN.shape[-1] <= self.most)
        return enough & in_hands(pitches_XN) if self.hands else enough


# lowest and highest pitch, notes at once, how many programs from the last one on
_ROWS = (
    (21, 108, KEYS, 4),  # pianos
    (28, 103, KEYS, 2),  # electric pianos
    (29, 89, KEYS, 1),  # harpsichord
    (36, 96, KEYS, 1),  # clavinet
    (60, 108, KEYS, 1),  # celesta
    (72, 108, 4, 1),  # glockenspiel; mallets: four
    (48, 96, ANY, 1),  # music box
    (53, 89, 4, 1),  # vibraphone
    (36, 96, 4, 1),  # marimba
    (65, 108, 4, 1),  # xylophone
    (60, 77, 2, 1),  # tubular bells
    (48, 84, 4, 1),  # dulcimer
    (24, 108, KEYS + 2, 4),  # organs: two hands and two feet
    (29, 89, KEYS, 1),  # reed organ
    (29, 96, ANY, 3),  # accordion, harmonica, bandoneon: chords of buttons and reeds
    (40, 88, 6, 8),  # guitars, 24 frets
    (28, 67, 4, 8),  # basses, 24 frets
    (55, 103, 2, 1),  # violin; bowed: two strings at once
    (48, 91, 2, 1),  # viola
    (36, 84, 2, 1),  # cello
    (24, 67, 2, 1),  # contrabass, with the extension to C
    (24, 103, ANY, 2),  # tremolo and pizzicato: sections
    (23, 103, 8, 1),  # harp: four fingers of each hand
    (36, 60, 2, 1),  # timpani
    (24, 103, ANY, 4),  # string ensembles
    (36, 84, ANY, 3),  # choirs
    (0, 127, ANY, 1),  # orchestra hit
    (52, 84, 1, 1),  # trumpet
    (34, 77, 1, 1),  # trombone
    (26, 65, 1, 1),  # tuba
    (52, 84, 1, 1),  # muted trumpet
    (33, 77, 1, 1),  # horn
    (26, 84, ANY, 3),  # brass sections
    (56, 91, 1, 1),  # soprano saxophone
    (49, 85, 1, 1),  # alto saxophone
    (44, 80, 1, 1),  # tenor saxophone
    (36, 73, 1, 1),  # baritone saxophone
    (58, 93, 1, 1),  # oboe
    (52, 84, 1, 1),  # English horn
    (34, 77, 1, 1),  # bassoon
    (49, 96, 1, 1),  # clarinets in B flat and A
    (74, 108, 1, 1),  # piccolo
    (59, 99, 1, 1),  # flute
    (60, 98, 1, 1),  # recorder
    (55, 96, ANY, 1),  # pan flute
    (48, 96, 1, 4),  # bottle, shakuhachi, whistle, ocarina
    (0, 127, ANY, 24),  # leads, pads, effects
    (48, 84, 6, 1),  # sitar
    (48, 88, 5, 1),  # banjo
    (48, 84, 3, 1),  # shamisen
    (43, 91, 4, 1),  # koto
    (48, 84, 2, 1),  # kalimba
    (36, 84, ANY, 1),  # bagpipe: drones
    (55, 103, 2, 1),  # fiddle
    (48, 84, 1, 1),  # shehnai
    (0, 127, ANY, 16),  # percussion, sound effects
)
INSTRUMENTS = tuple(
    Instrument(low, high, most) for low, high, most, count in _ROWS for _ in range(count)
)


def instrument_of(track: Track, *, choir: bool) -> Instrument:
    """What a track without the drum flag is played on: by its role if it is a voice, else by its
    program.

    choir: whether a soprano, an alto or a tenor sings in the piece; only then is a bass a voice.
    """
    if track.role in VOICES and choir:
        return Instrument(*VOICES[track.role], most=1)
    return INSTRUMENTS[track.program]


def players_of(tracks: Sequence[Track]) -> list[Instrument | None]:
    """What each track is played on; None for drums."""
    choir = any(track.role in CHOIR for track in tracks)
    return [None if t.is_drum else instrument_of(t, choir=choir) for t in tracks]


def in_hands(pitches_XN: npt.NDArray[np.integer]) -> Mask:
    """Which sets of pitches two hands hold, (X,): the left one as many from below as it can, the
    right one the rest.
    """
    count = pitches_XN.shape[-1]
    if not count:
        return np.ones(pitches_XN.shape[:-1], dtype=bool)
    left = (pitches_XN[..., :HAND] <= pitches_XN[..., :1] + SPAN).sum(axis=-1)
    first = np.take_along_axis(pitches_XN, np.minimum(left, count - 1)[..., None], axis=-1)
    fits = (count - left <= HAND) & (pitches_XN[..., -1] - first[..., 0] <= SPAN)
    return np.asarray((left == count) | fits)


def by_foot(pitches: npt.NDArray[np.integer]) -> Mask:
    """Which drums are struck by a pedal."""
    return np.isin(pitches, list(PEDALS))


def drummer_can(hands: npt.NDArray[np.integer], feet: npt.NDArray[np.integer]) -> Mask:
    """Whether one drummer strikes so many different drums at a moment by hand and by foot."""
    return np.asarray((hands <= DRUM_HANDS) & (feet <= DRUM_FEET))
