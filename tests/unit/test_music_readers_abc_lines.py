"""ABC: which lines of a file are music, by the line rules of the standard."""

import pytest

from ostinato.files import DamagedFile
from ostinato.readers.abc_lines import Line, read_lines, split_tunes
from ostinato.readers.read import ReadOptions, keys_in, read

NAMES = {0: "C", 2: "D", 4: "E", 5: "F", 7: "G", 9: "A", 11: "B"}


def result_of(tmp_path, lines):
    path = tmp_path / "tune.abc"
    path.write_text("X:1\nL:1/4\nK:C\n" + lines, encoding="utf-8")
    return read(path, "", ReadOptions(ticks_per_quarter=24))


def letters(result):
    return "".join(NAMES[pitch % 12] for pitch in result.piece.notes["pitch"].tolist())


@pytest.mark.parametrize(
    ("lines", "heard"),
    [
        ("%%MIDI program 1\nCDEF\nGABc\n", "CDEFGABC"),
        ("% a comment\nCDEF\n", "CDEF"),
        ("CDEF \\\nGA\n", "CDEFGA"),
        ("CDEF|\\ % and a comment\nGA\n", "CDEFGA"),
        ("CD\\% a comment, abc\nEF\n", "CDEF"),
        ("CD|\\\n%%setbarnb 10\n%a comment\nM:3/4\nEFG\n", "CDEFG"),
        ("   % a comment after spaces\nCDEF\n", "CDEF"),
        ("CD\nw: some words\n+: and more, abc\nEF\n", "CDEF"),
        ("CD\nw: some words\n% abc\n+: and a few\n%%vocalfont A\n+: deaf\nEF\n", "CDEF"),
        ("CD\nw: la la\\\nEFG|\n", "CDEFG"),
        ("w: words that go on\\\n  as a bad cab\nEF\n", "EF"),
        ("w:| a bag of beads\nCD\n", "CD"),
        ("W: Abc\nH: a bad cafe\nN:abc|def\nCD\n", "CD"),
        ("CD\n%%begintext\nAbc def | gab\n\n%%endtext\nEF\n", "CDEF"),
        ("CD\n%%begintext\n%% Abc def\nEF\n", "CDEF"),
        ("CD\n%%beginps\n1 2 add\n%%endps\nI:beginml\ngab\nI:endml\nEF\n", "CDEF"),
        ("E:|F:|\n", "EF"),
        ("CD|\nz:|\n", "CD"),
        ("CD [r: a bad remark] EF | % abc\n", "CDEF"),
        ("CD\nr:a remark\nx:y\nEF\n", "CDEF"),
    ],
)
def test_each_line_of_the_body_is_music_unless_a_rule_says_otherwise(tmp_path, lines, heard):
    assert letters(result_of(tmp_path, lines)) == heard


def test_an_empty_line_ends_the_tune_and_what_follows_is_named(tmp_path):
    result = result_of(tmp_path, "CD|\n \t\nEF|\nA bad egg\nGA|\n")
    assert letters(result) == "CD"
    assert result.piece.warnings == (
        "2 lines with bar lines after the empty line that ends the tune are not read",
    )


def test_fields_may_go_on_with_a_plus_in_the_header_and_the_body(tmp_path):
    tune = read_lines(["T:one", "+:two", "K:G", "V:1 name=x", "+:clef=bass-8", "CD"])
    assert tune.header == [Line("T", "one two"), Line("K", "G")]
    assert tune.body == [Line("V", "1 name=x clef=bass-8"), Line("", "CD")]


def test_empty_lines_before_the_key_end_nothing():
    assert read_lines(["T:t", "", "K:G", "CD"]).body == [Line("", "CD")]


def test_a_file_header_ends_at_an_empty_line_and_has_no_key():
    text = "%abc-2.1\nL:1/4\nK:E\n\nM:3/4 in free text\n\nX:1\nK:C\nCD\nX:2\nK:D\nEF"
    assert split_tunes(text) == {
        "0001": ["%abc-2.1", "L:1/4", "K:C", "CD"],
        "0002": ["%abc-2.1", "L:1/4", "K:D", "EF"],
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(end):
    assert split_tunes(end.join(["X:1", "K:C", "CD", ""])) == {"": ["K:C", "CD", ""]}


def test_other_line_separators_end_no_line(tmp_path):
    path = tmp_path / "tune.abc"
    path.write_bytes(b"X:1\nT:Caf\xe9 \x85 abc\nL:1/4\nK:C\nCD\n")
    assert letters(read(path)) == "CD"


def test_a_file_of_many_tunes_loses_neither_the_first_nor_the_last_line(tmp_path):
    path = tmp_path / "many.abc"
    path.write_text(
        "% a book\nL:1/4\n\nX:3\nT:c\nK:C\nCDE|\n\nwords\n\nX:12\nK:C\nFG|\nX:3\nK:C\nAB"
    )
    assert keys_in(path) == ["0003", "0003-2", "0012"]
    found = {key: letters(read(path, key)) for key in keys_in(path)}
    assert found == {"0003": "CDE", "0003-2": "AB", "0012": "FG"}
    piece = read(path, "0012").piece
    assert (piece.id, int(piece.notes["duration"][0])) == ("many-0012", 480)


def test_a_tune_without_a_key_and_a_file_without_a_tune_are_refused(tmp_path):
    path = tmp_path / "bad.abc"
    path.write_text("X:1\nT:t\nCDE|\n")
    with pytest.raises(DamagedFile, match="no key"):
        read(path)
    path.write_text("words\n")
    with pytest.raises(DamagedFile, match=r"bad\.abc cannot be read: it holds no piece"):
        keys_in(path)
