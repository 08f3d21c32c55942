"""Repeat signs written out: the numbered rules of `unfold`, one by one and as properties."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.readers.repeat_tree import MOST_BARS, Bar, Jump
from ostinato.readers.unfold import (
    EARLIER_ENDING,
    NOT_LISTED,
    PASSED_OVER,
    printed_once,
    unfold,
)

SIGNS = {
    "|:": {"opens": True},
    ":|": {"closes": 2},
    ":3|": {"closes": 3},
    "1": {"endings": (1,)},
    "2": {"endings": (2,)},
    "3": {"endings": (3,)},
    "4": {"endings": (4,)},
    "1,2": {"endings": (1, 2)},
    "1,3": {"endings": (1, 3)},
    "2,4": {"endings": (2, 4)},
    "1,2,3": {"endings": (1, 2, 3)},
    "1,4,5": {"endings": (1, 4, 5)},
    "S": {"segno": ""},
    "O": {"coda": ""},
    "toO": {"to_coda": ""},
    "fine": {"fine": True},
    "DC": {"jump": Jump()},
    "DS": {"jump": Jump("")},
    "DCfine": {"jump": Jump(until="fine")},
    "DScoda": {"jump": Jump("", "coda")},
    "DSfine": {"jump": Jump("", "fine")},
}


def page(text):
    """Bars named A, B, C … separated by blanks: `|:A B/1:| C/2` has an opening sign, two endings
    and a closing sign; words after `/` are separated by `+`.
    """
    bars = []
    for cell in text.split():
        bar = Bar(opens=cell.startswith("|:"))
        for sign in cell.replace("|:", "").split("/")[1:]:
            for word in sign.split("+"):
                bar = replace(bar, **SIGNS[word])
        bars.append(bar)
    return bars


def letters(numbers):
    return "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number] for number in numbers)


def played(text, **options):
    return letters(unfold(page(text), **options).order)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("A B C", "ABC"),
        ("|:A/:|", "AA"),
        ("A B/:| C", "ABABC"),
        ("A/:| B/:| C", "AABBC"),
        ("A |:B/:3| C", "ABBBC"),
        ("|:A B |:C/:| D", "ABCCD"),  # a sign that is never closed
        ("|:A |:B/:| C/:| D", "ABBCABBCD"),
        ("|:A/:| B |:C/:| D/:|", "AABCCDD"),
    ],
)
def test_signs_without_endings(text, order):
    assert played(text) == order


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("|:A B/1+:| C/2 D", "ABACD"),
        ("A B/1+:| C/2+:| D", "ABACD"),
        ("|:A B/1 C/2 D", "ABACD"),  # the sign is missing
        ("|:A B/1+:| C/2+:| D/3 E", "ABACADE"),
        ("|:A B/1,2+:| C/3 D", "ABABACD"),
        ("|:A B/1,2,3+:| C/4 D", "ABABABACD"),
        ("|:A B/1,3+:| C/2,4+:| D", "ABACABACD"),
        ("|:A B/1+:3| C/2 D", "ABACD"),  # endings count, not the sign
        ("|:A B/1+:| C", "ABAC"),
        ("|:A B/1,2+:| C", "ABABAC"),
        ("|:A/:| B/2 C", "AABC"),
        ("|:A/:| B/2,4+:| C", "AABAABC"),
        ("|:A B/1+:| C/1 D", "ABACD"),
        ("|:A B/2 C/3 D", "ABACD"),
        ("|:A B/1 C/1+:| D/2 E", "ABCADE"),
        ("|:A |:B C/1+:| D/2 E/:| F", "ABCBDEABCBDEF"),
        ("|:A |:B/1+:| C/1+:| D/2", "ABBCAD"),
        ("|:A B/1+:| |:C/2 D/:| E", "ABACDCDE"),
        ("|:A/1+:| B/2 C", "ABC"),
        ("|:A B/1 C/:| D/2 E", "ABCADE"),  # the ending stops before its closing sign
        ("|:A B/1+:| C/2 D E F/:| G/3 H", "ABACDEFAGH"),
    ],
)
def test_endings_decide_how_often_a_repeat_is_played(text, order):
    assert played(text) == order


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("A B/fine C D/DCfine", "ABCDAB"),
        ("A B/S C/fine D/DSfine E", "ABCDBC"),
        ("A B/S C/toO D/DScoda E/O F", "ABCDBCEF"),
        ("A |:B/:|+DC", "ABBAB"),
        ("A B/fine |:C/:|+DCfine", "ABCCAB"),
        ("|:A/fine+:| |:B/:| C/DC", "AABBCA"),
        ("|:A B/1+:| C/2 D/DCfine", "ABACDACD"),  # no Fine: to the end
        ("|:A/fine B/1+:| C/2 D/DC", "ABACDA"),
        ("A B C/DS", "ABC"),  # no segno
        ("A/toO B/DC", "ABAB"),  # no coda
        ("A/S B/toO C/DScoda |:D/O+:|", "ABCABDD"),  # a repeat that was not begun
        ("|:A B/DC C/:| D", "ABCABABCD"),
        ("A |:B C/1,2+:|+DC D/3", "ABCBCABD"),
        ("A/fine B/DC C/DC", "ABA"),
        ("|:A B/1+fine+:| C/2 D/DCfine", "ABACDAB"),  # Fine in an earlier ending
        ("|:A/S+:| B |:C D/1+DSfine E/2+fine", "AABCDABCE"),
    ],
)
def test_jumps(text, order):
    assert played(text) == order


PARTITURA = {
    "complex": ("A/:| B |:C D/fine E/1+:| F/2 G/2+:| H/3+DCfine", "AABCDECDFGCDHAABCD"),
    "dacapo": (
        "A B/:| |:C D/fine+:| |:E F/:| |:G H/:|+DCfine",
        "ABABCDCDEFEFGHGHABABCDCD",
    ),
    "volta_numbers": ("A/:| B |:C D E/1,4,5+:| F/2 G/2+:| H/3+:|", "AABCDECDFGCDHCDECDE"),
    "timeline": ("|:A/:|", "AA"),
}


@pytest.mark.parametrize("name", PARTITURA)
def test_published_cases_of_partitura(name):
    """Expected orders of tests/data/musicxml/test_unfold_*_result.xml (CPJKU/partitura), where all
    repeats are taken after a jump, too.
    """
    text, order = PARTITURA[name]
    assert played(text, repeats_after_jump=True) == order


MUSESCORE = {
    4: ("A |:B C/:| D E F", "ABCBCDEF"),
    16: ("A B/fine C |:D/:|+DC", "ABCDDAB"),
    24: ("A B/S |:C D/DS E/:| F", "ABCDECDBCDEF"),
    25: ("|:A B/S+:| C |:D/DS E/:|", "ABABCDEDBCDE"),
    31: ("A |:B/:|+DC", "ABBAB"),
    33: ("A |:B C/:|+DC", "ABCBCABC"),
    34: ("A |:B C/1+:| D/2 |:E/:|+DC", "ABCBDEEABDE"),
    48: ("|:A B/1 C/S+1 D/1+:| E/2 F G/DS", "ABCDAEFGCDAEFG"),
    56: ("A |:B C/1 D/1+:| |:E/2 F/2 G/:| H", "ABCDBEFGEFGH"),
    65: ("A |:B C/1,2 D/1,2+:|+DC E/3", "ABCDBCDABE"),
}


@pytest.mark.parametrize("number", MUSESCORE)
def test_published_cases_of_musescore(number):
    """Expected orders of src/engraving/tests/repeat_tests.cpp (musescore/MuseScore); 4, 25 and 48
    in a form that our rules read alike.
    """
    text, order = MUSESCORE[number]
    assert played(text) == order


def test_a_closing_sign_can_ask_for_its_repeat_after_a_jump():
    bars = page("|:A/:| B/fine C/DC")
    assert letters(unfold(bars).order) == "AABCAB"
    bars[0] = replace(bars[0], after_jump=True)
    assert letters(unfold(bars).order) == "AABCAAB"


def test_jumps_and_codas_are_found_by_name():
    bars = page("A B C D E F G")
    bars[0] = replace(bars[0], segno="1")
    bars[1] = replace(bars[1], segno="2", to_coda="x")
    bars[2] = replace(bars[2], jump=Jump("2", "coda"))
    bars[3] = replace(bars[3], coda="y")
    bars[4] = replace(bars[4], coda="x", jump=Jump("1", "fine"))
    bars[5] = replace(bars[5], fine=True)
    assert letters(unfold(bars).order) == "ABCBEABCDEF"


def test_passes_are_those_of_the_innermost_repeat():
    result = unfold(page("A |:B |:C/:| D/:|"))
    assert letters(result.order) == "ABCCDBCCD"
    assert result.passes == [1, 1, 1, 2, 1, 2, 1, 2, 2]


def test_what_a_jump_passes_over_is_named():
    assert unfold(page("A/fine B/DC C")).left_out == {2: PASSED_OVER}


def test_parts_are_played_in_their_order_and_their_endings_in_turn():
    bars = page("A |:B C/1+:| D/2 E F/:|")
    bars[1] = replace(bars[1], part="P")
    bars[4] = replace(bars[4], part="Q")
    assert letters(unfold(bars).order) == "ABCBDEFEF"
    assert letters(unfold(bars, ["P", "Q"]).order) == "ABCBDEFEF"
    assert letters(unfold(bars, ["P", "P", "Q"]).order) == "ABCBDEFEF"
    assert letters(unfold(bars, ["Q", "P"]).order) == "AEFEFBCBD"
    assert letters(unfold(bars, ["P", "Q", "P"]).order) == "ABCBDEFEFBCBD"
    assert unfold(bars, ["P"]).left_out == {4: NOT_LISTED, 5: NOT_LISTED}
    assert "names X" in unfold(bars, ["X"]).warnings[0]


def test_a_part_played_four_times_takes_its_four_endings_in_turn():
    bars = page("A B/1+:| C/2+:| D/3+:| E/4")
    bars[0] = replace(bars[0], part="A")
    assert letters(unfold(bars, ["A"] * 4).order) == "ABACADAE"


@pytest.mark.parametrize(
    ("text", "order", "left_out"),
    [
        ("|:A B/1+:| C/2 D/DC", "ACD", "B"),
        ("|:A B/1,2+:| C/3 D", "ACD", "B"),
        ("|:A B/1+:| C/2+:| D/3 E", "ADE", "BC"),
        ("|:A B/1+:| C", "ABC", ""),  # a single ending has no later one
        ("|:A |:B C/1+:| D/2 E/:| F", "ABDEF", "C"),
        ("|:A B/1 C/:| D/2 E", "ADE", "BC"),
        ("|:A B/1+:| C/2 D E F/:| G/3 H", "ACDEFGH", "B"),  # a bridge in the second ending
    ],
)
def test_each_printed_bar_once_with_last_endings_only(text, order, left_out):
    result = printed_once(page(text))
    assert letters(result.order) == order
    assert letters(result.left_out) == left_out
    assert set(result.left_out.values()) <= {EARLIER_ENDING}


def test_an_order_that_grows_beyond_all_measure_falls_back_to_the_page():
    bars = [Bar(opens=True) for _ in range(8)] + [Bar(closes=99) for _ in range(8)]
    result = unfold(bars)
    assert result.order == list(range(16))
    assert str(MOST_BARS) in result.warnings[0]


names = st.sampled_from([None, None, None, "", "1"])
any_bar = st.builds(
    Bar,
    opens=st.booleans(),
    closes=st.sampled_from([0, 0, 0, 2, 3]),
    after_jump=st.booleans(),
    endings=st.sampled_from([(), (), (), (1,), (2,), (3,), (1, 2), (2, 4)]),
    segno=names,
    coda=names,
    to_coda=names,
    fine=st.booleans(),
    jump=st.sampled_from([None, None, None, Jump(), Jump(""), Jump("1", "coda"), Jump("", "fine")]),
)


@pytest.mark.long
@settings(max_examples=3 * settings.default.max_examples // 2, deadline=None)
@given(st.lists(any_bar, max_size=14), st.booleans())
def test_every_bar_sounds_or_a_jump_passes_over_it(bars, repeats):
    result = unfold(bars, repeats_after_jump=repeats)
    assert set(result.order) | set(result.left_out) == set(range(len(bars)))
    assert not set(result.order) & set(result.left_out)
    assert len(result.order) == len(result.passes)
    if result.left_out:
        assert any(bar.jump for bar in bars)
        assert set(result.left_out.values()) == {PASSED_OVER}


@pytest.mark.long
@settings(max_examples=3 * settings.default.max_examples // 2, deadline=None)
@given(st.lists(any_bar, max_size=14))
def test_without_jumps_every_bar_sounds_and_first_times_are_in_page_order(bars):
    bars = [replace(bar, jump=None) for bar in bars]
    result = unfold(bars)
    assert set(result.order) == set(range(len(bars)))
    if not any(bar.endings for bar in bars):
        assert list(dict.fromkeys(result.order)) == list(range(len(bars)))


@pytest.mark.long
@settings(max_examples=settings.default.max_examples, deadline=None)
@given(st.lists(any_bar, max_size=14))
def test_without_signs_that_act_the_order_is_the_page(bars):
    plain = [replace(bar, closes=0, endings=(), jump=None) for bar in bars]
    assert unfold(plain).order == list(range(len(bars)))
    assert printed_once(plain).order == list(range(len(bars)))


@pytest.mark.long
@settings(max_examples=settings.default.max_examples, deadline=None)
@given(st.lists(any_bar, max_size=14))
def test_the_page_once_keeps_its_order_and_one_ending_of_each_repeat(bars):
    result = printed_once(bars)
    assert result.order == sorted(set(range(len(bars))) - set(result.left_out))
    assert not bars or result.order
    if not any(bar.endings for bar in bars):
        assert not result.left_out
