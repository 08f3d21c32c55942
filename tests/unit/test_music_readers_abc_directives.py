"""ABC: directives and macros that change what sounds."""

import pytest

from ostinato.readers.abc_macros import Macros
from ostinato.readers.read import ReadOptions, read


def pitches(tmp_path, text):
    path = tmp_path / "tune.abc"
    path.write_text(text, encoding="utf-8")
    notes = read(path, "", ReadOptions(ticks_per_quarter=24)).piece.notes
    return [notes["pitch"][notes["track"] == n].tolist() for n in range(notes["track"].max() + 1)]


HEAD = "X:1\nL:1/4\n"


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("%%MIDI transpose -12\nK:C\nCD\n", [[48, 50]]),
        ("K:C\nC\n%%MIDI transpose 2 % up\nC\nI:MIDI transpose 0\nC\n", [[60, 62, 60]]),
        ("K:C\n%%MIDI transpose 2\n%%MIDI rtranspose 3\nC\n", [[65]]),
        ("K:C transpose=1\n%%MIDI transpose -12\nC\n", [[49]]),
        ("%%MIDI transpose 1\nV:1\nV:2\nK:C\nV:1\nC\nV:2\n%%MIDI transpose 7\nE\n", [[61], [71]]),
        ("K:C\nC[I:MIDI transpose 5]C\n", [[60, 65]]),
        ("K:C\n%%MIDI program 40\nC\n", [[60]]),
    ],
)
def test_a_directive_transposes_its_voice_or_all_of_them(tmp_path, text, heard):
    assert pitches(tmp_path, HEAD + text) == heard


@pytest.mark.parametrize(
    ("rule", "heard"),
    [
        ("", [61, 61, 73, 60]),
        ("%%propagate-accidentals pitch\n", [61, 61, 73, 60]),
        ("I:propagate-accidentals octave\n", [61, 61, 72, 60]),
        ("%%propagate-accidentals not\n", [61, 60, 72, 60]),
        ("%%MIDI nobarlines\n", [61, 60, 72, 60]),
        ("%%MIDI nobarlines\n%%MIDI barlines\n", [61, 61, 73, 60]),
    ],
)
def test_accidentals_hold_as_far_as_the_directive_says(tmp_path, rule, heard):
    assert pitches(tmp_path, HEAD + rule + "K:C\n^CCc|C|\n") == [heard]


def test_a_note_that_an_accidental_stays_away_from_has_its_key(tmp_path):
    text = HEAD + "%%propagate-accidentals not\nK:D\n=FF|\n"
    assert pitches(tmp_path, text) == [[65, 66]]


@pytest.mark.parametrize(
    ("definitions", "line", "expected"),
    [
        (["~G3 = G{A}G{F}G"], "~G3 ~G2 A", "G{A}G{F}G ~G2 A"),
        (["~n3 = n{o}n{m}n"], "~G3 ~b3 ~C,3", "G{A}G{F}G b{c'}b{a}b C,{D,}C,{B,,}C,"),
        (["~n2 = !trill!no"], '"~G2" ~c2 [r:~c2]', '"~G2" !trill!cd [r:~c2]'),
        (["a = b", "aa = c"], "aaa", "cb"),
        (["x = y", "x = z"], "x", "z"),
        (["nothing", "= c", "d ="], "cd", "cd"),
    ],
)
def test_a_macro_stands_for_its_text(definitions, line, expected):
    assert Macros(definitions).expand(line) == expected


def test_macros_of_a_tune_are_heard_from_their_field_on(tmp_path):
    text = HEAD + "m: ~n = n/o/\nK:C\n~C\nm: T = e\nTT\n"
    assert pitches(tmp_path, text) == [[60, 62, 76, 76]]
