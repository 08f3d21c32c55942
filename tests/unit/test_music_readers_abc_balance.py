"""ABC: every note letter in the lines of music is kept, dropped for a reason, or tied."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ostinato.readers.base import ReadOptions
from ostinato.readers.read import read

PIECES = (
    "C", "d2", "^e/", "_/F", "^3/4G", "A,,,,,,", "b''''''", "[CE]", "[C2.E4]", "[C-E]", "+CE+", "z",
    "Z", "x2", "y", "-", ">", "<<", "(3", "(", ")", "{ga}", "{[Ge]f}", "|", "||", ":|", "|:", "::",
    "|1", ":|2", "[1,2", "[3", "[", "]", "&", "&&", '"Am"', '"^bad"', '"', "!f!", "!fade!",
    "!D.C.!", "!", "+trill+", "+", "~", "T", ".", "[K:D]", "[V:1]", "[V:2 octave=-1]", "[r:abc]",
    "[P:A]",    "\\", "%abc", "\\%", "?", "A0", "1", ":", " ",
)  # fmt: skip
LINES = (
    "K:G", "V:1", "V:2 clef=bass", "w:a bad bag", "w:abc\\", "+:face", "%%MIDI abc", "% abc",
    "%%begintext", "%%endtext", "abc text", "", "M:3/4", "P:B", "I:linebreak !", "I:decoration +",
    "E:|", "L:1/16", "U:T=!fermata!", "N:abc", "  ", "r:add",
)  # fmt: skip
music = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
tunes = st.lists(st.one_of(st.sampled_from(LINES), music), max_size=12).map("\n".join)


@pytest.fixture(scope="module")
def count_notes():
    """Of tests/fuzz/balance_abc.py, which is in no package."""
    path = Path(__file__).parents[1] / "fuzz" / "balance_abc.py"
    spec = importlib.util.spec_from_file_location("fuzz_balance_abc", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.count_notes


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("X:1\nK:C\nCDEF\n%%MIDI abc\nGABc", {"": 8}),
        ('X:1\nT:abc\nK:C\n"Am"A !f!B [K:D] {g}[ce]| % abc\nw:abc\n+:abc', {"": 5}),
        ("X:1\nK:C\nC\n\nabc\nX:2\nK:D\nDE\nX:2\nK:D\nF", {"0001": 1, "0002": 2, "0002-2": 1}),
        ("K:C\nabc", {"": 3}),
        ("abc", {}),
        ("X:1\nI:decoration +\nK:C\n+ace+b", {"": 1}),
        ("X:1\nK:C\n+ace+b+f+", {"": 4}),
        ("X:1\nK:C\n%%begintext\nabc\n%%endtext\nC", {"": 1}),
    ],
)
def test_the_counter_counts_letters_of_notes(count_notes, text, notes):
    assert count_notes(text) == notes


@pytest.mark.long
@settings(max_examples=3 * settings.default.max_examples, deadline=None, derandomize=True)
@given(tunes)
@example("C-|[1C:|[2C|")
@example("E4]|1<<C")
@example("w:abc\\\nE:|")
@example('!"Am"!f!')
@example("I:decoration +\n)A+\\%+CE+")
@example("[!D.C.!+CE+]")
def test_no_note_is_lost_silently(tmp_path_factory, count_notes, body):
    path = tmp_path_factory.getbasetemp() / "tune.abc"
    path.write_text(f"X:1\nL:1/4\nK:C\n{body}\n", encoding="utf-8")
    result = read(path, "", ReadOptions(ticks_per_quarter=24))
    kept = len(result.piece.notes) + sum(result.dropped.values()) + result.tied
    assert {"": kept} == count_notes(path.read_text(encoding="utf-8"))
