"""Features of frames: invariances, known values, and controls in their order."""

from dataclasses import replace

import numpy as np
import pytest

from ostinato.metrics.frechet import corrected_frechet, standardized
from ostinato.metrics.sound import cepstra, contrast, level, nearest, onsets, random_rows
from ostinato.music.recording import OFFSET
from ostinato.representations.mel.mel import Mel

MEL = Mel(bands=32, seconds=6.0, iterations=8)


@pytest.fixture(scope="module")
def recordings(chorale):
    frames = [MEL.encode(chorale(seed, bars=4)) for seed in range(12)]
    return [replace(MEL.decode(array), id=str(n)) for n, array in enumerate(frames)]


def of(frames):
    return MEL.decode(np.asarray(frames, np.float32))


def test_rows_are_of_whole_seconds():
    random = np.random.default_rng(1)
    recording = of(random.normal(size=(100, 32)))
    assert cepstra(recording).shape == (3, 32)
    assert random_rows(recording).shape == (3, 32)
    assert np.array_equal(random_rows(recording), random_rows(recording))
    same = np.tile(random.normal(size=32), (62, 1))
    rows = cepstra(of(same))
    assert np.allclose(rows[:, 16:], 0)  # nothing changes
    assert np.allclose(rows[0, 0], same[0].sum() / np.sqrt(32))  # the first is the mean, scaled
    louder = cepstra(of(same + 0.5))
    assert np.allclose(louder[:, 1:], rows[:, 1:])


def test_level_contrast_and_onsets_of_known_frames():
    flat = of(np.full((62, 32), OFFSET - 1))  # every band at -20 dB
    assert level(flat) == pytest.approx(10 * np.log10(32) - 20)
    assert contrast(flat) == 0
    stripes = np.tile([0.0, 1.0], (62, 16))
    assert contrast(of(stripes)) == pytest.approx(10)
    notes = np.full((62, 32), -1.0)
    for start in (5, 20, 35, 50):
        notes[start : start + 10] = np.linspace(1, 0.5, 10)[:, None]
    assert onsets(of(notes)) == pytest.approx(4 / (62 / MEL.rate))


def test_a_copy_is_found_at_any_place(recordings):
    copied = replace(recordings[0], frames=recordings[0].frames[37:150])
    shifted, itself, other = (
        nearest([copied], recordings),
        nearest([recordings[0]], recordings[:1]),
        nearest([copied], recordings[1:]),
    )
    assert itself[0] == pytest.approx(0, abs=0.01)
    assert shifted[0] < 0.5 * other[0]
    assert np.isnan(nearest([of(np.zeros((10, 32)))], recordings)[0])
    assert len(nearest([], recordings)) == 0


def test_real_music_is_nearer_than_shuffled_frames_and_those_nearer_than_noise(recordings):
    random = np.random.default_rng(2)
    train, held_out = recordings[:6], recordings[6:]
    shuffled = [replace(one, frames=random.permutation(one.frames)) for one in train]
    noise = [MEL.recording(0.1 * random.standard_normal(40_000)) for _ in range(6)]

    def rows(group, rows_of):
        parts = [rows_of(one) for one in group]
        return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(p) for p in parts])

    for rows_of in (cepstra, random_rows):
        by, _ = rows(train, rows_of)
        theirs, owners = rows(held_out, rows_of)
        found = [
            corrected_frechet(
                standardized(mine, by)[0], standardized(theirs, by)[0], own, owners
            ).plain
            for mine, own in (rows(group, rows_of) for group in (train, shuffled, noise))
        ]
        assert found[0] < found[1] < found[2], (rows_of.__name__, found)
