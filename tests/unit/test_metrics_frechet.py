"""The Fréchet distance: values known by formula, and its correction for small samples."""

import numpy as np
import pytest

from ostinato.metrics.frechet import NAMES, corrected_frechet, feature_rows, frechet, standardized
from ostinato.music.piece import Piece, Track, make_notes


def of_moments(mean, spread, count=400):
    """Rows whose mean and standard deviations are exact and whose columns are uncorrelated."""
    raw = np.random.default_rng(0).normal(size=(count, len(mean)))
    raw -= raw.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(raw.T))
    return raw @ vectors / np.sqrt(values) * np.array(spread) + np.array(mean)


def test_of_diagonal_normals_it_is_the_distance_of_means_and_deviations():
    # |μ|² + Σ (σa - σb)² = 3² + 4² + (1 - 3)² + (2 - 2)² = 29
    a, b = of_moments([0, 0], [1, 2]), of_moments([3, 4], [3, 2])
    assert frechet(a, b) == pytest.approx(29)
    assert frechet(b, a) == pytest.approx(29)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_of_one_dimension_with_three_values():
    # 0 2 4: mean 2, variance 4; 1 2 3: mean 2, variance 1. (2 - 1)² = 1
    assert frechet(np.array([[0.0], [2], [4]]), np.array([[1.0], [2], [3]])) == pytest.approx(1)


def test_correlated_features_agree_with_the_general_matrix_root():
    from scipy.linalg import sqrtm

    random = np.random.default_rng(1)
    a, b = random.normal(size=(50, 4)) @ random.normal(size=(4, 4)), random.normal(size=(60, 4))
    ca, cb = np.cov(a.T), np.cov(b.T)
    root = sqrtm(ca @ cb).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * root)
    assert frechet(a, b) == pytest.approx(expected)


def test_the_correction_removes_the_bias_of_small_sets():
    # 16 pairs of sets of one distribution: 30 and 60 rows of 10 features. The true distance is 0,
    # the plain one about 2.0. The mean of 16 corrected ones has a standard error near 0.05
    random = np.random.default_rng(2)
    found = [
        corrected_frechet(a, b, np.arange(30), np.arange(60))
        for a, b in (
            (random.normal(size=(30, 10)), random.normal(size=(60, 10))) for _ in range(16)
        )
    ]
    plain, value = (np.mean([getattr(d, name) for d in found]) for name in ("plain", "value"))
    assert plain > 1.5
    assert abs(value) < 0.25


def test_its_interval_covers_the_true_distance():
    # shifted by 1 in each of 4 features: the distance is 4. 95 % intervals of 40 pairs of sets:
    # fewer than 33 hits would have a chance below 0.001
    random = np.random.default_rng(3)
    hits = 0
    for _ in range(40):
        a, b = random.normal(size=(25, 4)), random.normal(size=(25, 4)) + 1
        low, high = corrected_frechet(a, b, np.arange(25), np.arange(25)).interval
        hits += low <= 4 <= high
    assert hits >= 33


def test_copies_in_one_group_widen_the_interval():
    random = np.random.default_rng(4)
    # the error that 12 rows cause falls by half when four copies of each count as rows of their own
    a, b = random.normal(size=(12, 3)), random.normal(size=(60, 3)) + 1
    copies = np.concatenate([a] * 4)
    grouped = corrected_frechet(copies, b, np.tile(np.arange(12), 4), np.arange(60))
    as_files = corrected_frechet(copies, b, np.arange(48), np.arange(60))
    assert grouped.error > 1.5 * as_files.error


def test_too_few_groups_have_no_corrected_distance():
    found = corrected_frechet(np.eye(4), np.eye(4) * 2, [1, 1, 2, 2], np.arange(4))
    assert np.isfinite(found.plain)
    assert np.isnan([found.value, found.error]).all()


def test_the_features_of_pieces_and_their_scale():
    rows = [(v, 4 * n, 4, p + n % 3, 80) for n in range(40) for v, p in enumerate((72, 64, 48))]
    piece = Piece("p", 4, make_notes(rows), tuple(Track() for _ in range(3)))
    empty = Piece("e", 4, make_notes([]), ())
    found = feature_rows([piece, empty])
    assert found.shape == (2, len(NAMES))
    assert np.isfinite(found[0]).all()
    by = np.array([[1.0, 5, np.nan], [3, 5, np.nan]])
    scaled, complete = standardized(np.array([[2.0, 9, 9], [np.nan, 9, 9]]), by)
    # only the first feature varies in `by`: mean 2, deviation 1
    assert scaled[0].tolist() == [0]
    assert complete.tolist() == [True, False]
