"""Statistics of a clip that utilities are made of, and the utilities.

Each is a quotient of counts of `metrics`, defined in docs/metrics.md; for a clip in which there is
nothing to count it is the mean of the others.
"""

# N clips, S statistics

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.metrics.counts import Count
from ostinato.metrics.form import form
from ostinato.metrics.part_writing import part_writing, voice_ranges
from ostinato.metrics.sonorities import (
    IS_DOMINANT,
    IS_ROOT_TRIAD,
    SEVENTHS,
    TRIADS,
    above_bass,
    mask_of,
)
from ostinato.metrics.steps import CLASSES, REST, Mask, Numbers, Steps, steps_of
from ostinato.music.piece import Piece

Values = npt.NDArray[np.float64]
STATISTICS: Mapping[str, str] = {
    "parallels": "parallel fifths and octaves, per pair that moves together",
    "stepwise": "melodic moves of at most two semitones",
    "leaps": "melodic moves of more than a fifth",
    "crossing": "steps with crossed voices",
    "wide_spacing": "upper neighbours more than an octave apart",
    "dissonant_pairs": "dissonant pairs of voices",
    "triads": "major or minor triads on beats",
    "held": "held cells",
    "notes_per_bar": "notes a bar",
    "cadences": "cadences",
    "range": "mean range of the voices, in semitones",
    "turns": "moves of a voice against the direction of its last one",
    "semitones": "moves of a voice by one semitone, of all its moves",
    "contrary": "pairs of voices that move in opposite directions, of those that both move",
    "alone": "steps at which one voice alone begins, of those at which any does",
    "minor_thirds": "steps with a minor third above the bass, of those with a minor or major one",
    "same_root": "chords with the root of the sonority before, of those at which a note begins",
    "dominants": "dominants in root position, of the sonorities right before beats",
    "resolved": "triads a fifth below the dominant right before their beat, of those after one",
}
# of the referee alone; reward models read all others
REFEREED = ("semitones", "contrary", "minor_thirds")
FOURTH = 5  # semitones
SETS = np.arange(1 << CLASSES)
# by the pitch classes above the bass
HAS_ONE_THIRD = (SETS >> 3 & 1) != (SETS >> 4 & 1)
IS_MINOR = HAS_ONE_THIRD & (SETS >> 3 & 1 == 1)


def statistics_of(pieces: Sequence[Piece], names: Sequence[str]) -> Values:
    """Statistics (N, S); NaN where there is nothing to count."""
    above, below = np.moveaxis(counts_of(pieces, names), -1, 0)
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def counts_of(pieces: Sequence[Piece], names: Sequence[str]) -> Values:
    """The counts whose quotients the statistics are, (N, S, 2)."""
    rows = [[_one(piece, counts, name) for name in names] for piece, counts in _counted(pieces)]
    return np.array(rows, dtype=np.float64).reshape(len(pieces), len(names), 2)


def _counted(pieces: Sequence[Piece]) -> list[tuple[Piece, dict[str, Count]]]:
    found = []
    for piece in pieces:
        counts = part_writing(piece)
        fifths, octaves = counts["parallel_fifths"], counts["parallel_octaves"]
        counts["parallels"] = Count(fifths.above + octaves.above, fifths.below)
        steps = steps_of(piece)
        found.append(
            (piece, counts | _lines(steps) | _thirds(steps) | _roots(steps) | _dominants(steps))
        )
    return found


def root_table() -> Numbers:
    """The root of each of the 4,096 sets of pitch classes that is a triad or seventh chord, -1 for
    others; augmented triads and diminished sevenths have none.
    """
    found = np.full(1 << CLASSES, -1)
    for chord in (*TRIADS[:3], *SEVENTHS[:4]):
        for root in range(CLASSES):
            found[mask_of(chord, root)] = root
    return found


ROOT = root_table()


def beats_of(pieces: Sequence[Piece], length: int) -> Mask:
    """Which steps of each piece are on beats, (N, length)."""
    found = np.zeros((len(pieces), length), dtype=bool)
    for row, piece in zip(found, pieces, strict=True):
        beats = steps_of(piece).on_beat()[:length]
        row[: len(beats)] = beats
    return found


def _lines(steps: Steps) -> dict[str, Count]:
    """How lines move, how often they turn back, and how often a voice begins alone."""
    turns = turnable = semitones = moves = 0.0
    for pitch in steps.pitch_VT:
        step = np.diff(pitch[pitch != REST])
        way = np.sign(step[step != 0])
        turns += _sum(way[1:] != way[:-1])
        turnable += max(0, len(way) - 1)
        semitones += _sum(np.abs(step) == 1)
        moves += len(way)
    begun = steps.onset_VT.sum(axis=0)
    return {
        "turns": Count(turns, turnable),
        "semitones": Count(semitones, moves),
        "alone": Count(_sum(begun == 1), _sum(begun > 0)),
        "contrary": _contrary(steps),
    }


def _contrary(steps: Steps) -> Count:
    """Of the pairs of voices that both move at a step, those that move in opposite directions."""
    sounds = (steps.pitch_VT[:, 1:] != REST) & (steps.pitch_VT[:, :-1] != REST)
    way = np.sign(np.diff(steps.pitch_VT, axis=1)) * sounds
    upper, lower = np.triu_indices(len(way), 1)
    product = way[upper] * way[lower]
    return Count(_sum(product < 0), _sum(product != 0))


def _thirds(steps: Steps) -> dict[str, Count]:
    """Steps at which a minor third sounds above the bass and no major one, or the other way."""
    at = steps.bass_T != REST
    classes = above_bass(steps.classes_T[at], steps.bass_T[at])
    return {"minor_thirds": Count(_sum(IS_MINOR[classes]), _sum(HAS_ONE_THIRD[classes]))}


def _roots(steps: Steps) -> dict[str, Count]:
    at = 1 + np.flatnonzero(np.asarray(steps.onset_VT.any(axis=0))[1:])
    now, before = ROOT[steps.classes_T[at]], ROOT[steps.classes_T[at - 1]]
    chords = (now >= 0) & (before >= 0)
    return {"same_root": Count(_sum(chords & (now == before)), _sum(chords))}


def _dominants(steps: Steps) -> dict[str, Count]:
    """Dominants in root position before beats, and those that go down a fifth to a triad."""
    at = 1 + np.flatnonzero(steps.on_beat()[1:])
    at = at[steps.bass_T[at - 1] != REST]
    bass = steps.bass_T[at - 1]
    is_dominant = IS_DOMINANT[above_bass(steps.classes_T[at - 1], bass)]
    goal, at = (bass[is_dominant] + FOURTH) % CLASSES, at[is_dominant]
    goal, at = goal[steps.bass_T[at] != REST], at[steps.bass_T[at] != REST]
    lands = steps.bass_T[at] % CLASSES == goal
    lands &= IS_ROOT_TRIAD[above_bass(steps.classes_T[at], goal)]
    return {
        "dominants": Count(_sum(is_dominant), len(is_dominant)),
        "resolved": Count(_sum(lands), len(at)),
    }


def _sum(mask: Mask) -> float:
    return float(np.count_nonzero(mask))


def _one(piece: Piece, counts: Mapping[str, Count], name: str) -> Count:
    if name == "range":
        ranges = [count.above for count in voice_ranges(piece).values()]
        return Count(float(sum(ranges)), float(len(ranges)))
    return form(piece)["cadences"] if name == "cadences" else counts[name]


@dataclass(frozen=True)
class Utility:
    """A utility of clips: of simulated listeners, or nearness to the corpus.

    center, scale: of each statistic, its mean and standard deviation among the base model's clips.
    targets: the corpus's means; empty: the utility is Σ w z, z in standard deviations. With targets
    it is -Σ w |z - z of the target|.
    """

    weights: Mapping[str, float]
    center: Sequence[float]
    scale: Sequence[float]
    targets: Sequence[float] = ()

    @classmethod
    def fitted(
        cls, weights: Mapping[str, float], clips: Sequence[Piece], corpus: Sequence[Piece] = ()
    ) -> "Utility":
        """Scaled on clips of the base model, with the corpus's means as targets where given."""
        weights = dict(sorted(weights.items()))  # the order that JSON keeps
        found = statistics_of(clips, list(weights))
        spread = np.nanstd(found, axis=0)
        means = np.nanmean(statistics_of(corpus, list(weights)), axis=0) if len(corpus) else ()
        return cls(
            weights,
            tuple(np.nanmean(found, axis=0).tolist()),
            tuple(np.where(spread > 0, spread, 1.0).tolist()),
            tuple(np.asarray(means).tolist()),
        )

    def parts(self, pieces: Sequence[Piece]) -> Values:
        """Each statistic in standard deviations, or minus its distance from the target, (N, S)."""
        found = statistics_of(pieces, list(self.weights)).reshape(len(pieces), len(self.weights))
        center, scale = np.array(self.center), np.array(self.scale)
        z = np.where(np.isnan(found), 0.0, (found - center) / scale)
        return -np.abs(z - (np.array(self.targets) - center) / scale) if self.targets else z

    def of(self, pieces: Sequence[Piece]) -> Values:
        """The utility of every clip, (N,)."""
        return self.parts(pieces) @ np.array(list(self.weights.values()))
