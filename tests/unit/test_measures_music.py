"""The measure files of part-writing, form, tracks, MusPy and Fréchet, on small sets of pieces."""

import numpy as np
import pytest

from ostinato.evaluation.measures import form, frechet, muspy_metrics, part_writing, tracks
from ostinato.evaluation.measures.protocol import Context, Corpus, Excerpts
from ostinato.music.piece import VOICES, Piece, Track, make_notes

MEASURES = (part_writing, form, tracks, muspy_metrics, frechet)
HEIGHTS = (72, 65, 60, 48)


def piece_of(seed, *, parallel=False, voices=VOICES):
    """Four voices of 40 quarters; parallel: tenor and bass keep a fifth."""
    random = np.random.default_rng(seed)
    lines = np.array(HEIGHTS)[: len(voices), None] + random.integers(-5, 6, (len(voices), 40))
    if parallel:
        lines[2] = lines[3] + 7
    rows = [
        (voice, 4 * at, 4, pitch, 80) for voice, line in enumerate(lines.tolist())
        for at, pitch in enumerate(line)
    ]  # fmt: skip
    tracks = tuple(Track(role=role) for role in voices)
    return Piece(f"p{seed}", 4, make_notes(rows), tracks)


def excerpts(seeds, split="", **options):
    pieces = [piece_of(seed, **options) for seed in seeds]
    groups = np.array([f"g{number // 2}" for number in range(len(pieces))])
    ended = np.arange(len(pieces)) % 2 == 0
    return Excerpts(
        pieces, groups, np.full(len(pieces), split), ended if not split else ended | True
    )


def run(module, samples, held_out, train):
    real = {
        "held_out": held_out, "train": train, "held_out_whole": held_out, "train_whole": train,
        "quarters": 40, "groups": {}, "seed": 1, "resamples": 40, "tokens": None,
    }  # fmt: skip
    corpus = Corpus(**real, all_train=lambda: iter(train))
    context = Context(
        **real, samples=samples, samples_whole=samples, reference=module.reference(corpus),
        scorer=None, card={}, history=(),
    )  # fmt: skip
    return module.measure(context), context


@pytest.fixture(scope="module")
def sets():
    return (
        excerpts(range(12)), excerpts(range(20, 32), "test"), excerpts(range(40, 60), "train")
    )  # fmt: skip


@pytest.mark.parametrize("module", MEASURES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_a_measure_has_intervals_references_and_a_value_for_each_piece(module, sets):
    result, context = run(module, *sets)
    assert result.values
    assert result.title
    assert result.note
    for figure in result.values.values():
        assert figure.label
        assert figure.unit
        if not np.isnan([figure.low, figure.high]).any():
            assert figure.low <= figure.value <= figure.high
    assert any(figure.reference or figure.floor for figure in result.values.values())
    for key, values in result.per_piece.items():
        name = key.partition("/")[0]
        assert len(values) == len(getattr(context, name))
        assert values.dtype == np.float64
    assert all(array.dtype != object for array in context.reference.values())


def test_the_same_music_has_the_same_value_as_its_reference(sets):
    _, held_out, train = sets
    result, _ = run(part_writing, held_out, held_out, train)
    for figure in result.values.values():
        assert figure.value == pytest.approx(figure.reference.value, nan_ok=True)


def test_parallels_stand_out_and_lie_beyond_the_floor(sets):
    _, held_out, train = sets
    result, _ = run(part_writing, excerpts(range(12), parallel=True), held_out, train)
    fifths = result.values["parallel_fifths"]
    assert fifths.low > 3 * fifths.reference.high
    assert fifths.value > fifths.floor.high
    assert fifths.is_headline
    assert {"range_soprano", "range_bass"} <= set(result.values)


def test_endings_are_of_samples_that_end(sets):
    result, _ = run(form, *sets)
    # every second sample was cut off
    assert np.isnan(result.per_piece["samples_whole/last_tonic"]).tolist() == [False, True] * 6
    assert not np.isnan(result.per_piece["held_out_whole/last_tonic"]).any()
    assert "6 of 12" in result.note


def test_what_the_corpus_does_not_have_is_left_out():
    alone = [excerpts(seeds, split, voices=("melody",)) for seeds, split in
             ((range(6), ""), (range(6, 12), "test"), (range(12, 20), "train"))]  # fmt: skip
    result, _ = run(part_writing, *alone)
    assert "parallel_fifths" not in result.values
    assert {"leaps", "held", "range_melody"} <= set(result.values)
    for module in (tracks, form, frechet):
        assert run(module, *alone)[0].values


def test_no_samples_have_no_values():
    real = excerpts(range(6, 12), "test"), excerpts(range(12, 20), "train")
    for module in MEASURES:
        result, _ = run(module, excerpts([]), *real)
        assert all(np.isnan(figure.value) for figure in result.values.values())


@pytest.mark.long
def test_random_pitches_are_far_and_real_music_is_near(sets):
    samples, held_out, train = sets
    near = run(frechet, samples, held_out, train)[0].values["frechet"]
    far = run(frechet, excerpts(range(12), parallel=True), held_out, train)[0].values["frechet"]
    assert far.value > near.value
    assert far.value > far.floor.high
    assert near.floor.low <= near.floor.value <= near.floor.high


def test_tracks_of_different_pieces_stand_beside_those_of_one(sets):
    result, _ = run(tracks, *sets)
    pair = "soprano_bass" if "tonal_distance_soprano_bass" in result.values else "bass_soprano"
    for kind in ("tonal_distance", "shuffled_distance", "released_distance"):
        assert 0 < result.values[f"{kind}_{pair}"].value < 2.83
