"""Chord tones, requests against what came of them, and the classifier of labels."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ostinato.evaluation.excerpts import sample_excerpts
from ostinato.evaluation.measures import labels, requests
from ostinato.evaluation.measures.protocol import Context
from ostinato.metrics.chords import chord_tones, progression_of
from ostinato.metrics.control import correlation, judged, style_features
from ostinato.music.piece import Meter, Piece, Track, make_notes

CHANCE = {"seed": 1, "resamples": 50}
C_MAJOR, G_SEVENTH = (0, 4, 7), (7, 11, 2, 5)


TRACKS = (Track(role="piano"), Track(role="drums", is_drum=True))


def context_of(samples, **given):
    sets = ("held_out", "train", "held_out_whole", "train_whole")
    mine = sample_excerpts(samples, [True] * len(samples))
    none = sample_excerpts([], [])
    fields = {"samples": mine, "samples_whole": mine} | dict.fromkeys(sets, none)
    fields |= {"quarters": 4, "groups": {}, "reference": {}, "tokens": None, "scorer": None}
    return Context(**(fields | CHANCE | {"card": {}, "history": []} | given))


def made(rows, name="made"):
    return Piece(
        id=name,
        ticks_per_quarter=4,
        notes=make_notes(rows),
        tracks=TRACKS,
        meters=(Meter(0, 4, 4),),
    )


def test_chord_tones_are_shares_of_time():
    rows = [(0, 0, 8, 60, 80), (0, 0, 16, 65, 80), (0, 24, 4, 61, 80), (1, 0, 99, 36, 80)]
    chords = [(0.0, C_MAJOR), (2.0, G_SEVENTH), (5.0, ())]
    # C: 2 of 2 quarters; F: 2 quarters of C major, then 2 of G seventh; C sharp has no chord
    assert chord_tones(made(rows), chords) == (4.0, 6.0)
    assert chord_tones(made(rows), [(2.0, C_MAJOR)]) == (0.0, 3.0)
    assert chord_tones(made(rows), []) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("chords", "words"), [([(1, C_MAJOR), (1, C_MAJOR)], "rise"), ([(0, (12,))], "0 to 11")]
)
def test_chords_that_make_no_sense_are_refused(chords, words):
    with pytest.raises(ValueError, match=words):
        chord_tones(made([]), chords)


def test_pearsons_r_of_a_small_table():
    assert correlation([1, 2, 3, np.nan], [2, 4, 6, 0], **CHANCE).value == pytest.approx(1)
    found = correlation([1, 2, 3, 4], [1, 3, 2, 4], **CHANCE)
    assert found.value == pytest.approx(0.8)
    assert found.low < 0.8 < found.high + 1e-12
    assert np.isnan(correlation([1, 1, 1], [1, 2, 3], **CHANCE).value)
    assert np.isnan(correlation([1, 2], [1, 2], **CHANCE).value)


def conditions():
    return [
        {"name": "density", "values": ["below 1", "1 to below 2", "from 2"], "edges": [1.0, 2.0]},
        {"name": "meter", "values": ["3/4", "4/4"]},
        {"name": "style", "values": ["slow", "fast"]},
    ]


def test_requests_are_compared_with_what_the_pieces_are():
    """Three pieces of one bar with two, six and ten notes: 0.5, 1.5 and 2.5 a quarter."""
    pieces = []
    for number, count in enumerate((2, 6, 10)):
        rows = [(0, at, 1, 60 + at, 80) for at in range(count - 1)] + [(0, 15, 1, 50, 80)]
        pieces.append(made(rows, f"p{number}"))
    asked = {
        "p0": {"conditions": {"density": "below 1", "meter": "4/4"}, "bars": 1, "min_bars": 1},
        "p1": {"conditions": {"density": 1.5, "style": "slow"}, "bars": 2, "min_bars": 2},
        "p2": {"conditions": {"density": "1 to below 2", "meter": "3/4"}, "bars": 9, "min_bars": 1},
    }
    tokens = SimpleNamespace(codec={"conditions": conditions()}, splits={})
    found = requests.measure(replace(context_of(pieces, requests=asked), tokens=tokens)).values
    assert found["obeyed_density"].value == pytest.approx(2 / 3)
    assert found["r_density"].value == pytest.approx(
        np.corrcoef([1, 1.5, 1.5], [0.5, 1.5, 2.5])[0, 1]
    )
    assert found["obeyed_meter"].value == 0.5
    assert found["bars_exact"].value == 0.5
    assert set(found) == {"obeyed_density", "r_density", "obeyed_meter", "bars_exact"}
    nothing = requests.measure(replace(context_of(pieces), tokens=tokens))
    assert nothing.values == {}


def test_chords_of_requests_stand_beside_those_of_other_samples():
    pieces = [made([(0, 0, 8, pitch, 80)], f"p{pitch}") for pitch in (60, 61, 62)]
    asked = {"p60": {"options": {"chords": "C5"}}, "p62": {"options": {"chords": "D5"}}}
    tokens = SimpleNamespace(codec={}, splits={})
    found = requests.measure(replace(context_of(pieces, requests=asked), tokens=tokens))
    figure = found.values["chord_tones"]
    assert (figure.value, figure.beside["by other samples' chords"].value) == (1.0, 0.0)
    assert np.isnan(found.per_piece["samples_whole/chord_tones"][1])


def test_a_progression_lies_over_the_bars_of_a_piece_and_begins_again():
    """Two and a quarter bars of 4/4: the last chord of a bar that is cut off keeps its place."""
    piece = made([(0, 0, 36, 60, 80)], "p")
    found = progression_of(piece, "C5 G5 | N.C.")
    assert found == [(0, [0, 7]), (2, [2, 7]), (4, []), (8, [0, 7]), (10, [2, 7])]
    assert progression_of(replace(piece, notes=piece.notes[:0]), "C") == []


def test_levels_of_roles_are_compared_with_density_and_register():
    asked, pieces = {}, []
    for number, level in enumerate(("lowest", "medium", "highest")):
        rows = [(0, at, 1, 60 + number, 80) for at in range(0, 16, 4 - number)]
        rows += [(1, at, 4, 36, 80) for at in range(0, 16, 4)]
        pieces.append(made(rows, f"p{number}"))
        levels = {"density_piano": level, "register_piano": level, "density_drums": level}
        asked[f"p{number}"] = {"conditions": levels}
    tokens = SimpleNamespace(codec={}, splits={})
    found = requests.measure(replace(context_of(pieces, requests=asked), tokens=tokens)).values
    counts = [len(piece.voice("piano")) / piece.quarters for piece in pieces]
    assert found["r_density_piano"].value == pytest.approx(np.corrcoef([0, 2, 4], counts)[0, 1])
    assert found["r_register_piano"].value == pytest.approx(1)
    assert np.isnan(found["r_density_drums"].value)  # as many at every level
    assert set(found) == {"r_density_piano", "r_register_piano", "r_density_drums"}


def styled(number, fast):
    """A piece with few long notes, or with many short ones and drums."""
    rng = np.random.default_rng(number)
    pitches = 60 + rng.integers(0, 12, 16 if fast else 4)
    length = 16 // len(pitches)
    rows = [(0, at * length, length, int(pitch), 80) for at, pitch in enumerate(pitches)]
    rows += [(1, at, 1, 36, 80) for at in range(0, 16, 4)] if fast else []
    return made(rows, f"{fast}-{number}")


@pytest.mark.long
def test_a_classifier_of_labels_judges_samples_beside_ceiling_and_floor():
    train = [styled(n, fast) for n in range(6) for fast in (False, True)]
    held_out = [styled(n, fast) for n in range(10, 13) for fast in (False, True, True)]
    samples = [styled(20, False), styled(21, True), styled(22, True), styled(23, True)]
    wanted = ["slow", "fast", "slow", None]
    asked = {
        piece.id: {"conditions": {} if style is None else {"style": style}}
        for piece, style in zip(samples, wanted, strict=True)
    }
    sets = {"train": sample_excerpts(train, [True] * 12)}
    sets["held_out"] = sample_excerpts(held_out, [True] * 9)
    codes = {"train": [0, 1] * 6, "held_out": [0, 1, 1] * 3}
    stored = {}
    for kind, pieces in sets.items():
        stored[f"{kind}.features"] = style_features(list(pieces))
        stored[f"{kind}.label.style"] = np.array(codes[kind])
    context = replace(
        context_of(samples, requests=asked),
        **sets,
        reference=stored,
        tokens=SimpleNamespace(codec={"conditions": conditions()}, splits={}),
    )
    figure = labels.measure(context).values["judged_style"]
    assert figure.value == pytest.approx(2 / 3)
    assert figure.reference.value == 1
    assert figure.beside["commonest label"].value in (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert labels.measure(replace(context, requests={})).values == {}


def test_labels_are_what_a_piece_does_not_show_by_itself():
    pieces = sample_excerpts([made([(0, 0, 4, 60, 80)], "a")], [True])
    part = SimpleNamespace(piece=np.array(["a"]), conditions=np.array([[0, 1, 1]]))
    tokens = SimpleNamespace(codec={"conditions": conditions()}, splits={"": part})
    corpus = SimpleNamespace(tokens=tokens, held_out=pieces, train=pieces)
    found = labels.reference(corpus)
    assert found["train.label.style"].tolist() == [1]
    assert [key for key in found if ".label." in key and "style" not in key] == []


def test_undefined_features_do_not_stop_the_classifier():
    values = np.array([[0.0, np.nan], [1.0, np.nan], [0.1, np.nan], [0.9, np.nan]] * 3)
    answers = np.array([0, 1, 0, 1] * 3)
    assert judged(values, answers, np.array([[0.0, 1.0], [np.nan, 0.0]])).tolist()[0] == 0
