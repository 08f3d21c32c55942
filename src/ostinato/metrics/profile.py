"""A piece as about eighty numbers: what a classifier is shown to tell samples from real music.

Shares of intervals, lengths, sonorities and motions, so that pieces of different lengths can be
compared, though some of them still drift with length: cut pieces to one length first. All lanes
count (see `metrics.lanes`), so the number of tracks does, too; time unit, velocities and names are
not used. Quarters are counted from the first bar line. Undefined is NaN.
"""

# T steps, L lanes

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ostinato.metrics.features import FEATURES
from ostinato.metrics.lanes import SILENT, Bools, Lanes, Pitches, lanes
from ostinato.metrics.steps import PER_QUARTER
from ostinato.music.piece import Piece

Values = npt.NDArray[np.float64]
INTERVALS = (
    *("unison", "minor second", "major second", "minor third", "major third", "fourth"),
    *("tritone", "fifth", "minor sixth", "major sixth", "minor seventh", "major seventh"),
)
LEAPS = {
    "repeated": (0, 0),
    "minor second": (1, 1),
    "major second": (2, 2),
    "third": (3, 4),
    "fourth": (5, 5),
    "tritone": (6, 6),
    "fifth": (7, 7),
    "sixth or seventh": (8, 11),
    "octave": (12, 12),
    "beyond an octave": (13, 127),
}
LENGTHS = (1, 2, 3, 4, 6, 8, 12)  # steps; longer ones are the last class
CHORDS = {
    "major triad": (0, 4, 7),
    "minor triad": (0, 3, 7),
    "diminished triad": (0, 3, 6),
    "dominant seventh": (0, 4, 7, 10),
    "minor seventh": (0, 3, 7, 10),
    "major seventh": (0, 4, 7, 11),
    "half-diminished": (0, 3, 6, 10),
}
NO_CHORD = -1


def profiles(pieces: Sequence[Piece]) -> tuple[list[str], Values]:
    """Names of the features, and their values, shape (pieces, features)."""
    rows = [profile(piece) for piece in pieces]
    names = list(rows[0]) if rows else []
    values = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
    return names, values.reshape(len(rows), len(names))


def profile(piece: Piece) -> dict[str, float]:
    """Every feature by its name; see the module."""
    voices = lanes(piece)
    found = {feature.label.lower(): feature.function(piece) for feature in FEATURES.values()}
    for part in (_melody, _lengths, _harmony, _motion, _texture, _form):
        found |= part(voices)
    return found


def _melody(voices: Lanes) -> dict[str, float]:
    """Steps and leaps within lanes, and how much larger they are across bar lines."""
    moves: list[Pitches] = []
    into_bars: list[Bools] = []
    for lane in range(voices.pitch.shape[1]):
        at = np.flatnonzero(voices.begins[:, lane])
        line = voices.pitch[at, lane]
        moves.append(np.abs(np.diff(line)))
        into_bars.append(voices.bars[at[1:]])
    steps, at_bar = _joined(moves), _joined(into_bars).astype(bool)
    found = {
        f"melodic {name}": _share((steps >= a) & (steps <= b)) for name, (a, b) in LEAPS.items()
    }
    found["leaps of the highest lane"] = _share(_joined(moves[:1]) > 4)
    found["leaps of the lowest lane"] = _share(_joined(moves[-1:]) > 4)
    found["larger steps into bars"] = _mean(steps[at_bar]) - _mean(steps[~at_bar])
    turns = [np.diff(np.sign(np.diff(voices.pitch[voices.begins[:, lane], lane]))) != 0
             for lane in range(voices.pitch.shape[1])]  # fmt: skip
    return found | {"turns of melody": _share(_joined(turns))}


def _lengths(voices: Lanes) -> dict[str, float]:
    """Times between onsets of a lane, and where in the quarter notes begin."""
    gaps = _joined([np.diff(np.flatnonzero(column)) for column in voices.begins.T])
    edges = (*LENGTHS, np.inf)
    found = {
        f"{length / PER_QUARTER:g} quarters to the next note": _share(
            (gaps >= length) & (gaps < following)
        )
        for length, following in zip(LENGTHS, edges[1:], strict=True)
    }
    places = _places(voices)
    for place in range(PER_QUARTER):
        here = places == place
        found[f"onsets at {place} sixteenths of a quarter"] = _share(here)
    onsets: Bools = np.asarray(voices.begins.any(axis=1))
    found["bars without an onset at their start"] = _share(~onsets[voices.bars])
    return found


def _harmony(voices: Lanes) -> dict[str, float]:
    """Intervals between lanes and chords, at the steps at which something begins."""
    at = voices.begins.any(axis=1)
    pitch = voices.pitch[at]
    pairs = [pitch[:, [a, b]] for a, b in combinations(range(pitch.shape[1]), 2)]
    both = [pair[(pair >= 0).all(axis=1)] for pair in pairs]
    between = _joined([np.abs(pair[:, 0] - pair[:, 1]) % 12 for pair in both])
    found = {f"harmonic {name}": _share(between == number) for number, name in enumerate(INTERVALS)}
    lowest = np.where(pitch < 0, 999, pitch).min(axis=1, initial=999)
    above = (pitch - lowest[:, None])[pitch >= 0] % 12
    for number, name in enumerate(INTERVALS[1:], start=1):
        found[f"{name} above the bass"] = _share(above == number)
    names, roots = _chords(pitch)
    for number, name in enumerate(CHORDS):
        found[name] = _share(names == number)
    found["no chord"] = _share(names == NO_CHORD)
    found["chords with the root in the bass"] = _share((roots == lowest % 12)[names != NO_CHORD])
    beats = _places(voices) == 0
    found["no chord on a beat"] = _share(names[beats] == NO_CHORD)
    changes = names[1:] != NO_CHORD
    steps = ((roots[1:] - roots[:-1]) % 12)[changes & (names[:-1] != NO_CHORD)]
    for number in (0, 2, 5, 7):
        found[f"roots move by {number} semitones"] = _share(steps == number)
    return found


def _places(voices: Lanes) -> Pitches:
    """Sixteenth of the quarter, 0 to 3, of every step with an onset, from the first bar line on."""
    start = int(np.flatnonzero(voices.bars)[0]) if voices.bars.any() else 0
    found: Pitches = (np.flatnonzero(voices.begins.any(axis=1)) - start) % PER_QUARTER
    return found


def _motion(voices: Lanes) -> dict[str, float]:
    """How pairs of lanes move between steps, and whether they keep their order."""
    pitch = voices.pitch
    kinds: dict[str, list[Bools]] = {
        "contrary": [],
        "similar": [],
        "fifths": [],
        "octaves": [],
        "hidden": [],
    }
    crossed, spaces = [], []
    for high, low in combinations(range(pitch.shape[1]), 2):
        pair = pitch[:, [high, low]]
        known: Bools = np.asarray((pair >= 0).all(axis=1))
        space = (pair[:, 0] - pair[:, 1])[known]
        crossed.append(space < 0)
        if low == high + 1:
            spaces.append(space)
        now, then = pair[1:], pair[:-1]
        moved = known[1:] & known[:-1] & (now != then).all(axis=1)
        steps = (now - then)[moved]
        interval = (now[:, 0] - now[:, 1])[moved] % 12
        kept = steps[:, 0] == steps[:, 1]
        together = steps[:, 0] * steps[:, 1] > 0
        kinds["similar"].append(together & ~kept)
        kinds["contrary"].append(~together)
        kinds["fifths"].append(kept & (interval == 7))
        kinds["octaves"].append(kept & (interval == 0))
        kinds["hidden"].append(together & ~kept & ((interval == 7) | (interval == 0)))
    space = _joined(spaces)
    return {
        "contrary motion": _share(_joined(kinds["contrary"])),
        "similar motion": _share(_joined(kinds["similar"])),
        "parallel fifths": _share(_joined(kinds["fifths"])),
        "parallel octaves": _share(_joined(kinds["octaves"])),
        "hidden fifths and octaves": _share(_joined(kinds["hidden"])),
        "crossed lanes": _share(_joined(crossed)),
        "space between neighbours": _mean(space),
        "neighbours beyond an octave": _share(space > 12),
    }


def _texture(voices: Lanes) -> dict[str, float]:
    """How many lanes sound and begin at once, and where they lie."""
    counts = voices.begins.sum(axis=1)
    lanes_here = max(1, voices.pitch.shape[1])
    sounding = (voices.pitch >= 0).sum(axis=1)
    found = {
        "lanes that begin together": _mean(counts[counts > 0]) / lanes_here,
        "all lanes begin": _share(counts[counts > 0] == lanes_here),
        "one lane begins": _share(counts[counts > 0] == 1),
        "silent lanes": _mean(lanes_here - sounding) / lanes_here,
        "steps with an onset": _share(counts > 0),
    }
    for name, lane in (("highest", 0), ("lowest", -1)):
        line = voices.pitch[:, lane] if voices.pitch.shape[1] else np.empty(0)
        found[f"mean pitch of the {name} lane"] = _mean(line[line >= 0])
        found[f"spread of the {name} lane"] = (
            float(line[line >= 0].std()) if (line >= 0).any() else np.nan
        )
    return found


def _form(voices: Lanes) -> dict[str, float]:
    """Bars that return, the longest pitch that is held, and how the key drifts."""
    grid = np.where(voices.begins, voices.pitch, SILENT)
    bars = [part.tobytes() for part in np.split(grid, np.flatnonzero(voices.bars))[1:]]
    seen = [bar in bars[:number] for number, bar in enumerate(bars) if number]
    held = max(
        (int(np.diff(np.r_[np.flatnonzero(c), len(c)]).max(initial=0)) for c in voices.begins.T),
        default=0,
    )
    halves = [half % 12 for half in _halves(voices.pitch)]
    shares = [np.bincount(half, minlength=12) / max(1, len(half)) for half in halves]
    return {
        "bars heard before": _mean(seen),
        "longest wait for a note, quarters": held / PER_QUARTER,
        "change of pitch classes between halves": float(np.abs(shares[0] - shares[1]).sum()),
    }


def _halves(pitch: Pitches) -> Iterator[Pitches]:
    for half in (pitch[: len(pitch) // 2], pitch[len(pitch) // 2 :]):
        yield half[half >= 0]


def _chords(pitch: Pitches) -> tuple[Pitches, Pitches]:
    """Number in CHORDS and root of each row's pitch classes; NO_CHORD and 0 where it is none."""
    classes = np.zeros((len(pitch), 12), dtype=bool)
    rows, columns = np.nonzero(pitch >= 0)
    classes[rows, pitch[rows, columns] % 12] = True
    codes = classes @ (1 << np.arange(12))
    names, roots = np.full(len(pitch), NO_CHORD), np.zeros(len(pitch), dtype=np.int64)
    for number, tones in enumerate(CHORDS.values()):
        for root in range(12):
            here = codes == sum(1 << (root + tone) % 12 for tone in tones)
            names[here], roots[here] = number, root
    return names, roots


def _joined(parts: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _mean(values: npt.ArrayLike) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if array.size else np.nan


_share = _mean
