"""What two roles of a piece have to do with each other: onsets together, intervals, and whether a
classifier takes them for roles of one piece.

Tonal distance says little of this (real and shuffled pairs differ by 0.01 to 0.10 in MuseGAN's
table 1), so the classifier decides what tells real pairs from pairs of different pieces.
"""

# P pieces, F features, T steps

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.metrics.counts import Count
from ostinato.metrics.steps import CLASSES, PER_QUARTER
from ostinato.music.piece import Piece
from ostinato.music.timing import round_half_up

Values = npt.NDArray[np.float64]
KICKS = (35, 36)  # General MIDI's bass drums
LAGS = (-2, -1, 0, 1, 2)  # steps between the onsets of two roles
FEATURES = CLASSES + len(LAGS) + 2


@dataclass(frozen=True, eq=False)
class Part:
    """A role of a piece in sixteenths. chroma: sounding pitch classes, (T, 12), none of drums.
    onsets: where notes begin, (T,).
    """

    chroma: Values
    onsets: Values


def parts_of(piece: Piece) -> dict[str, Part]:
    """The roles of a piece that have notes."""
    found = {}
    length = -(-piece.length * PER_QUARTER // piece.ticks_per_quarter)
    for role in sorted({track.role for track in piece.tracks}):
        notes = piece.voice(role)
        if not len(notes):
            continue
        starts, ends = (
            round_half_up(ticks, PER_QUARTER, piece.ticks_per_quarter)
            for ticks in (notes["onset"], notes["onset"] + notes["duration"])
        )
        drums = all(track.is_drum for track in piece.tracks if track.role == role)
        change = np.zeros((length + 2, CLASSES))
        if not drums:
            np.add.at(change, (starts, notes["pitch"] % CLASSES), 1)
            np.add.at(change, (np.maximum(ends, starts + 1), notes["pitch"] % CLASSES), -1)
        onsets = np.zeros(length + 2)
        onsets[starts] = 1
        found[role] = Part((change.cumsum(axis=0) > 0).astype(np.float64), onsets)
    return found


def onsets_together(first: Part, second: Part) -> Count:
    """How many onsets of the second role fall on one of the first, of how many."""
    length = min(len(first.onsets), len(second.onsets))
    a, b = first.onsets[:length], second.onsets[:length]
    return Count(float((a * b).sum()), float(b.sum()))


def on_the_kick(piece: Piece, role: str) -> Count:
    """How many onsets of a role fall on a bass drum, of how many; undefined without bass drums."""
    drums = [number for number, track in enumerate(piece.tracks) if track.is_drum]
    struck = np.isin(piece.notes["track"], drums) & np.isin(piece.notes["pitch"], KICKS)
    kicks, onsets = (
        np.unique(round_half_up(notes["onset"], PER_QUARTER, piece.ticks_per_quarter))
        for notes in (piece.notes[struck], piece.voice(role))
    )
    if not len(kicks):
        return Count(0.0, 0.0)
    return Count(float(np.isin(onsets, kicks).sum()), float(len(onsets)))


def pair_features(first: Part, second: Part) -> Values:
    """Interval classes from the first role up to the second, as shares; how often the second begins
    at each lag from an onset of the first, and shares of steps where each begins; (F,).
    """
    length = min(len(first.onsets), len(second.onsets))
    a, b = first.chroma[:length], second.chroma[:length]
    sums = np.array([(a * np.roll(b, -k, axis=1)).sum() for k in range(CLASSES)])
    p, q = first.onsets[:length], second.onsets[:length]
    lagged = [(p * np.roll(q, -lag)).sum() / max(1.0, p.sum()) for lag in LAGS]
    return np.array([*(sums / max(1.0, sums.sum())), *lagged, p.mean(), q.mean()])


def pairs_of(
    pieces: Sequence[Mapping[str, Part]], roles: tuple[str, str], *, shuffled: bool
) -> list[tuple[Part, Part] | None]:
    """The two roles of every piece; None where it lacks one.

    shuffled: the second role is that of the next other piece that has it (after the last the
    first), in the key of this piece: pairs in two keys would be told too easily.
    """
    found: list[tuple[Part, Part] | None] = []
    for number, parts in enumerate(pieces):
        order = range(number + 1, number + len(pieces)) if shuffled else [number]
        others = (pieces[at % len(pieces)].get(roles[1]) for at in order)
        second = next((part for part in others if part is not None), None)
        first, own = parts.get(roles[0]), parts.get(roles[1])
        if shuffled and second is not None and own is not None:
            second = in_key_of(second, own)
        found.append(None if first is None or second is None else (first, second))
    return found


def in_key_of(part: Part, other: Part) -> Part:
    """A part, transposed so that its pitch classes are most alike those of another one."""
    mine, theirs = part.chroma.sum(axis=0), other.chroma.sum(axis=0)
    shift = int(np.argmax([np.roll(mine, k) @ theirs for k in range(CLASSES)]))
    return Part(np.roll(part.chroma, shift, axis=1), part.onsets)


def features_of(pairs: Sequence[tuple[Part, Part] | None]) -> Values:
    """Features of every pair, (P, F); NaN where there is none."""
    missing = np.full(FEATURES, np.nan)
    rows = [missing if pair is None else pair_features(*pair) for pair in pairs]
    return np.array(rows).reshape(-1, FEATURES)


def chance_of_one_piece(real: Values, shuffled: Values, asked: Values) -> Values:
    """The probability that each asked pair is of one piece, by logistic regression on real and
    shuffled pairs; NaN where features are missing, or too few pairs to learn from.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = [rows[~np.isnan(rows).any(axis=1)] for rows in (real, shuffled)]
    out = np.full(len(asked), np.nan)
    whole = ~np.isnan(asked).any(axis=1)
    if min(map(len, known)) < FEATURES or not whole.any():
        return out
    labels = np.r_[np.ones(len(known[0])), np.zeros(len(known[1]))]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    model.fit(np.concatenate(known), labels)
    out[whole] = model.predict_proba(asked[whole])[:, 1]
    return out
