"""Measures are found by their files and get music of one length; what they give back is checked."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ostinato.evaluation.excerpts import (
    EvaluationSettings,
    common_quarters,
    cut_to,
    drawn,
    sample_excerpts,
)
from ostinato.evaluation.measures.protocol import Context, Excerpts, Figure, Result
from ostinato.evaluation.measures.registry import SHARED, found, unfit
from ostinato.evaluation.system import checked, piece_rows
from ostinato.files import MissingInput
from ostinato.metrics.bootstrap import Interval


def context_of(pieces, **given):
    none = sample_excerpts([], [])
    sets = ("samples", "held_out", "train", "samples_whole", "held_out_whole", "train_whole")
    fields = dict.fromkeys(sets, none) | {"samples": sample_excerpts(pieces, [True] * len(pieces))}
    empty = type("Tokens", (), {"splits": {}})
    return Context(
        **fields,
        quarters=8,
        groups={},
        reference={},
        seed=1,
        resamples=20,
        tokens=empty,
        scorer=None,
        card={},
        history=[],
        **given,
    )


def test_every_file_of_the_folder_is_a_measure():
    names = set(found())
    assert not names & set(SHARED)
    assert list(found()) == sorted(names)


def test_measures_of_notes_apply_to_notes_and_those_of_sound_to_sound():
    """A name of a module's own must not be taken for the kinds that it applies to."""
    assert {name for name in found() if unfit(name, "tokens")} == {"sound"}
    assert not {name for name in found() if unfit(name, "roll")} - {"sound"}
    of_sound = {name for name in found() if not unfit(name, "mel")}
    assert of_sound == {"learning", "likelihood", "sound"}


def test_the_common_length_is_what_nine_in_ten_reach_and_samples_may_have(chorale):
    pieces = [chorale(n, bars=bars) for n, bars in enumerate([1, 3, *[4] * 18])]
    assert common_quarters(pieces, bars=16) == 12
    assert common_quarters(pieces, bars=2) == 8
    with pytest.raises(ValueError, match="no piece"):
        common_quarters([], bars=16)


def test_sets_are_cut_to_one_length_and_shorter_pieces_are_left_out(chorale):
    whole = sample_excerpts(
        [chorale(1, bars=2), chorale(2, bars=3), chorale(3, bars=1)], [True] * 3
    )
    cuts = cut_to(whole, 8)
    assert cuts.ids == ["chorale-1", "chorale-2"]
    assert [piece.quarters for piece in cuts] == [8, 8]
    assert cuts.ended.tolist() == [True, False]  # the second one goes on
    assert cuts.groups.tolist() == cuts.ids


def test_pieces_are_drawn_by_name_and_never_more_than_asked_for(tokens):
    few = drawn(tokens, ("train",), 3, seed=1)["train"]
    assert len(few) == 3
    assert set(few) <= set(drawn(tokens, ("train",), 5, seed=1)["train"])
    both = drawn(tokens, ("valid", "test"), 100, seed=1)
    assert [both[split].tolist() for split in ("valid", "test")] == [[0, 1], [0, 1]]
    with pytest.raises(ValueError, match=r"evaluation\.compared=0"):
        EvaluationSettings(compared=0)


def test_a_column_must_name_its_set_and_be_as_long(chorale):
    context = context_of([chorale(1), chorale(2)])
    good = Result({}, per_piece={"samples/notes": np.array([3.0, 4.0])})
    assert checked("m", good, context) is good
    rows = piece_rows({"m": good}, context)
    assert [(row["piece"], row["value"]) for row in rows] == [
        ("chorale-1", 3.0),
        ("chorale-2", 4.0),
    ]
    for key, values, words in (("sample/notes", [1, 2], "must be"), ("samples/n", [1], "1 values")):
        with pytest.raises(ValueError, match=words):
            checked("m", replace(good, per_piece={key: np.array(values)}), context)


def test_a_figure_as_data_has_no_number_that_json_lacks():
    plain = Figure(float("inf"), 1.0, unit="bits", floor=Interval(1.0, 0.5, 2.0, 9)).plain()
    assert (plain["value"], plain["low"], plain["high"]) == (None, 1.0, None)
    assert plain["floor"]["high"] == 2.0
    assert "reference" not in plain


def test_a_figure_is_read_as_it_was_written():
    found = Figure(
        0.5,
        0.25,
        unit="bits",
        direction="lower",
        note="words",
        reference=Interval(1.0, 0.5, 2.0),
        beside={"copy": Interval(3.0, 2.0, 4.0), "hold": Interval(2.5, 2.0, 3.0)},
        is_bound=True,
    )
    read = Figure.read("near", found.plain())
    assert math.isnan(read.high)
    assert replace(read, high=0.75) == replace(found, high=0.75, label="near")
    assert read.best_beside == ("hold", Interval(2.5, 2.0, 3.0))


def test_a_figure_as_data_is_the_same_for_any_number_of_threads():
    one, two = (
        Figure(x, low=-x, floor=Interval(x, x)).plain()
        for x in (0.20793055139801508, 0.2079305513979265)
    )
    assert one == two
    assert (one["value"], one["low"], one["floor"]["low"]) == (
        0.207930551,
        -0.207930551,
        0.207930551,
    )


def test_a_measure_without_its_reference_names_the_command(tmp_path, monkeypatch):
    from ostinato.evaluation import reference

    module = type("module", (), {"reference": None})
    monkeypatch.setattr(reference, "found", lambda: {"new": module})
    with pytest.raises(MissingInput, match="code_deps --write && dvc repro reference@bach-grid"):
        reference.read_reference(tmp_path, "new", "bach-grid")


def test_excerpts_keep_what_is_aligned(chorale):
    found = sample_excerpts([chorale(1), chorale(2)], [True, False]).only(np.array([False, True]))
    assert isinstance(found, Excerpts)
    assert (found.ids, found.ended.tolist()) == (["chorale-2"], [False])
