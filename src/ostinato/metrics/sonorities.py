"""What a set of pitch classes is: tables over all 4,096 sets, as bit masks (bit c: class c)."""

from collections.abc import Iterable

import numpy as np

from ostinato.metrics.steps import CLASSES, Mask, Numbers

ALL = 1 << CLASSES
MAJOR, MINOR, DIMINISHED, AUGMENTED = (0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8)
TRIADS = (MAJOR, MINOR, DIMINISHED, AUGMENTED)
SEVENTHS = ((0, 4, 7, 10), (0, 4, 7, 11), (0, 3, 7, 10), (0, 3, 6, 10), (0, 3, 6, 9))


def mask_of(classes: Iterable[int], root: int = 0) -> int:
    """The bit mask of pitch classes above a root."""
    return sum(1 << ((root + c) % CLASSES) for c in set(classes))


def _table(chords: Iterable[tuple[int, ...]], *, parts: bool) -> Mask:
    """Which sets are one of the chords on any root, or a part of one."""
    wanted = [mask_of(chord, root) for chord in chords for root in range(CLASSES)]
    sets = np.arange(ALL)
    found = np.zeros(ALL, dtype=bool)
    for chord in wanted:
        found |= ((sets & ~chord) == 0) if parts else (sets == chord)
    return found


# complete major and minor triads
IS_CONSONANT_TRIAD = _table((MAJOR, MINOR), parts=False)
# triads and seventh chords, and what is a part of one, such as a chord without its fifth
IS_CHORD = _table((*TRIADS, *SEVENTHS), parts=True)
# of sets relative to the bass: major and minor triads in root position, the fifth may be missing
IS_ROOT_TRIAD = np.isin(np.arange(ALL), [mask_of(c) for c in (MAJOR, MINOR, MAJOR[:2], MINOR[:2])])
# of sets relative to the bass: a major third above it, and nothing outside its dominant seventh
IS_DOMINANT = np.array(
    [bool(s & mask_of([4])) and not s & ~mask_of(SEVENTHS[0]) for s in range(ALL)]
)


def above_bass(classes: Numbers, bass: Numbers) -> Numbers:
    """Sets moved so that the class of the bass, which must sound, is bit 0."""
    shift = bass % CLASSES
    return ((classes >> shift) | (classes << (CLASSES - shift))) & (ALL - 1)
