"""MuseGAN's measures of tracks: bars, pitch classes, note lengths, tonal distance."""

from itertools import combinations

import numpy as np

from ostinato.evaluation.counted import Counting, count_real, figures, of_pieces
from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Excerpts, Result
from ostinato.metrics.counts import Counted, Counts
from ostinato.metrics.tracks import TRACK_MEASURES, tonal_distances, track_measures

DISTANCES = {
    "tonal_distance": ("Tonal distance", {}),
    "shuffled_distance": ("Tonal distance, tracks of different pieces", {"shuffled": True}),
    "released_distance": ("Tonal distance, MuseGAN's code", {"released": True}),
}


def reference(corpus: Corpus) -> dict[str, Array]:
    """The counts of real music."""
    roles = _roles(corpus.held_out)
    return count_real(corpus, _tracks(roles)) | count_real(corpus, _pairs(roles))


def measure(context: Context) -> Result:
    """Measures of each role, and of each pair of roles."""
    roles = _roles(context.held_out)
    values, per_piece, weights = figures(context, _tracks(roles))
    distances, single, pairs = figures(context, _pairs(roles))
    return Result(
        values | distances,
        view="table",
        per_piece=per_piece | single,
        weights=weights | pairs,
        title="Tracks",
        note="MuseGAN's measures. A tonal distance says little unless it lies well below that of "
        "tracks of different pieces. MuseGAN's released code folds neighbouring pitches together "
        "where the paper says pitch classes; both are shown.",
        order=40,
    )


def _roles(held_out: Excerpts) -> list[str]:
    return sorted({t.role for piece in held_out for t in piece.tracks if not t.is_drum})


def _tracks(roles: list[str]) -> Counting:
    texts = {
        f"{name}_{role}": Counted(f"{text.label}, {role or 'other'}", text.unit)
        for name, text in TRACK_MEASURES.items()
        for role in roles
    }
    return of_pieces(texts, track_measures)


def _pairs(roles: list[str]) -> Counting:
    """Tonal distances; the pairs are those of the held-out roles, in their order."""
    pairs = list(combinations(roles, 2))
    texts = {
        f"{kind}_{a}_{b}": Counted(f"{label}, {a} and {b}", "distance")
        for kind, (label, _) in DISTANCES.items()
        for a, b in pairs
    }

    def counts(excerpts: Excerpts) -> dict[str, Counts]:
        found = {}
        for kind, (_, options) in DISTANCES.items():
            distances = tonal_distances(excerpts, roles, **options)
            for a, b in pairs:
                rows = np.array(distances[a, b], dtype=np.float64).reshape(-1, 2)
                found[f"{kind}_{a}_{b}"] = Counts(rows[:, 0], rows[:, 1])
        return found

    return Counting(texts, counts)
