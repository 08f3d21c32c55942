"""What can be asked of a system, and what a refusal names."""

import pytest

from ostinato.models.spec import NOT_GIVEN, ArraySpec, ConditionSpec
from ostinato.sampling.request import (
    Capabilities,
    Continue,
    Fill,
    Region,
    Request,
    Vary,
)

EMOTION = ConditionSpec(name="emotion", values=("Q1", "Q2"), pieces=(3, 5))
TEMPO = ConditionSpec(name="tempo", values=("slow", "medium", "fast"), edges=(80.0, 120.0))
ABLE = Capabilities(
    tasks=("unconditional", "fill"),
    missing={"continue": "it makes whole pieces"},
    conditions=(EMOTION, TEMPO),
    options={"temperature": 1.0},
    roles=("soprano", "bass"),
)


@pytest.mark.parametrize(
    ("value", "code"),
    [("slow", 0), ("fast", 2), (79.9, 0), (80, 1), (119, 1), (120.0, 2), (400, 2)],
)
def test_a_condition_is_asked_for_by_name_or_number(value, code):
    assert TEMPO.code_of(value) == code


def test_codes_stand_in_the_order_of_the_conditions():
    assert ABLE.codes({"tempo": 100, "emotion": "Q2"}) == [1, 1]
    assert ABLE.codes({"tempo": "fast"}) == [NOT_GIVEN, 2]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            Request(task=Continue(None, 1)),
            "toy cannot do task 'continue': it makes whole pieces; its tasks: uncond.*, fill",
        ),
        (Request(task=Vary(None)), "toy cannot do task 'vary'; its tasks: unconditional, fill"),
        (Request(conditions={"mood": "Q1"}), "no condition mood; its conditions: emotion, tempo"),
        (Request(conditions={"emotion": "Q7"}), "emotion='Q7' is none of: Q1"),
        (Request(conditions={"emotion": 1.0}), "emotion=1.0 is none of: Q1"),
        (
            Request(conditions={"tempo": "quick"}),
            r"tempo='quick' is none of: slow, medium, fast, or a number \(limits \[80.0, 120.0\]",
        ),
        (Request(options={"steps": 1, "eta": 0}), "no option eta, steps; its options: temperature"),
        (
            Request(task=Fill(None, Region(roles=("oboe", "bass")))),
            "no role oboe; its roles: soprano, bass",
        ),
    ],
)
def test_what_a_system_cannot_do_is_named_with_what_it_can(request_, words):
    with pytest.raises(ValueError, match=words):
        ABLE.check(request_, "toy")


def test_what_it_can_do_passes():
    asked = Request(
        task=Fill(None, Region(roles=("bass",))),
        conditions={"emotion": "Q1", "tempo": 90},
        options={"temperature": 0.5},
    )
    ABLE.check(asked, "toy")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Request(bars=0), "bars=0 and n=1 must be at least 1"),
        (lambda: Request(task=Continue(None, 4), bars=4), "prompt_bars=4 must be less than bars=4"),
        (lambda: Continue(None, 0), "prompt_bars=0 must be above 0"),
        (lambda: Region(), r"a region needs bars=\[first, end\), roles, or both"),
        (lambda: Region(bars=(2, 2)), r"bars=\[2, 2\] must be a first bar"),
        (
            lambda: Request(task=Fill(None, Region(bars=(2, 6))), bars=4),
            r"infill.bars=\[2, 6\] must lie within 0 to bars \+ 1 = 5",
        ),
        (lambda: Vary(None, 1.5), r"strength=1.5 must lie in \[0, 1\]"),
        (
            lambda: ConditionSpec(name="x", values=("a",), pieces=(1, 2)),
            "condition x has 1 values and 2 counts",
        ),
        (
            lambda: ConditionSpec(name="x", values=("a",), edges=(1.0,)),
            "condition x has 1 values and 1 edges",
        ),
        (lambda: ArraySpec(width=4, vocabulary=1), "width=4 and vocabulary=1 describe no tokens"),
        (lambda: ArraySpec(width=4, vocabulary=0, kind="wav"), "kind='wav' is none of tokens, "),
    ],
)
def test_contradictions_are_refused_where_they_are_made(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_spec_is_read_from_a_codec():
    codec = {"width": 4, "vocabulary": ["a", "b"], "conditions": [{"name": "x", "values": ["y"]}]}
    spec = ArraySpec.of(codec)
    assert spec.conditions == (ConditionSpec(name="x", values=("y",)),)
    assert (spec.kind, spec.timing, spec.is_real) == ("tokens", None, False)
    assert ArraySpec(width=80, vocabulary=0, kind="mel").is_real
