"""Whether music is what was asked for: correlations, and a classifier of labels."""

# P pieces, F features

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ostinato.metrics.bootstrap import Interval, expanded, percentiles, resampled
from ostinato.metrics.profile import profile
from ostinato.music.piece import Piece
from ostinato.music.timing import round_half_up

Values = npt.NDArray[np.float64]
FEWEST = 3  # pieces of a correlation
KIT = {  # General MIDI's drum map; toms and others are the rest
    "kick": (35, 36),
    "snare": (37, 38, 39, 40),
    "hi-hat": (42, 44, 46),
    "cymbal": (49, 51, 52, 53, 55, 57, 59),
}
LEVELS = ("lowest", "low", "medium", "high", "highest")  # of a role's density or register
FEWEST_NOTES = 4  # of a role without which it has no level
PLACES = 12  # of a quarter: straight sixteenths are 0, 3, 6, 9, triplets 0, 4, 8


def correlation(
    asked: npt.ArrayLike, found: npt.ArrayLike, *, seed: int, resamples: int
) -> Interval:
    """Pearson's r of what was asked for and what was found, and its bootstrap interval over pieces.

    In [-1, 1]. Undefined (NaN) of fewer than three pieces, or where one of both does not vary.
    Pieces with a NaN are ignored.
    """
    x, y = (np.asarray(values, dtype=np.float64) for values in (asked, found))
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    ignored = int((~known).sum())
    if len(x) < FEWEST:
        return Interval(count=len(x), ignored=ignored, groups=len(x))
    draws = np.concatenate([_r(x[rows], y[rows]) for rows in resampled(len(x), seed, resamples)])
    low, high = percentiles(draws, expanded(0.95, len(x)))
    value = float(_r(x[None], y[None])[0])
    if math.isnan(value):
        low = high = math.nan
    return Interval(value, low, high, len(x), ignored, len(x))


def levels_of(piece: Piece, roles: Iterable[str]) -> dict[str, float]:
    """Of each role its density (notes a quarter) as `density_<role>`, and its register (mean MIDI
    pitch), but for drums, as `register_<role>`; nothing of a role with fewer than FEWEST_NOTES.
    """
    found: dict[str, float] = {}
    drums = {track.role for track in piece.tracks if track.is_drum}
    for role in roles:
        notes = piece.voice(role)
        if len(notes) < FEWEST_NOTES or not piece.quarters:
            continue
        found[f"density_{role}"] = len(notes) / piece.quarters
        if role not in drums:
            found[f"register_{role}"] = float(notes["pitch"].mean())
    return found


def _r(x: Values, y: Values) -> Values:
    """Of every row; NaN where one does not vary."""
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    below = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    # rounding leaves a little of what does not vary
    unknown = np.full(len(x), np.nan)
    return np.divide((x * y).sum(axis=1), below, out=unknown, where=below > 1e-9)


def style_features(pieces: list[Piece]) -> Values:
    """What the classifier of labels sees of every piece, (P, F): its profile (`metrics.profile`),
    which kinds of drums are struck where in a quarter, and how onsets divide the quarter.
    """
    rows = [[*profile(piece).values(), *_drums(piece), *_division(piece)] for piece in pieces]
    return np.array(rows, dtype=np.float64).reshape(len(pieces), -1)


def _drums(piece: Piece) -> list[float]:
    """Hits a quarter of each kind of drum in each third part of a quarter's half."""
    drums = [number for number, track in enumerate(piece.tracks) if track.is_drum]
    hits = piece.notes[np.isin(piece.notes["track"], drums)]
    kind = np.full(len(hits), len(KIT))
    for number, pitches in enumerate(KIT.values()):
        kind[np.isin(hits["pitch"], pitches)] = number
    place = _places(piece, hits["onset"]) * 6 // PLACES
    counts = np.bincount(kind * 6 + place, minlength=(len(KIT) + 1) * 6)
    found: list[float] = (counts / max(1.0, piece.quarters)).tolist()
    return found


def _division(piece: Piece) -> list[float]:
    """Shares of onsets in each twelfth of a quarter; zeros without notes."""
    places = _places(piece, np.unique(piece.notes["onset"]))
    found: list[float] = (np.bincount(places, minlength=PLACES) / max(1, len(places))).tolist()
    return found


def _places(piece: Piece, onsets: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    return round_half_up(onsets, PLACES, piece.ticks_per_quarter) % PLACES


def judged(values: Values, labels: npt.NDArray[np.int64], asked: Values) -> npt.NDArray[np.int64]:
    """The label of every asked piece by a logistic regression on labelled ones.

    Regularized (C = 0.1), features standardized, undefined ones replaced by their median.
    """
    from sklearn.impute import SimpleImputer  # takes a second to import
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    model = make_pipeline(filled, StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    found: npt.NDArray[np.int64] = model.fit(values, labels).predict(asked)
    return found
