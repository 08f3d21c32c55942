"""ABC: signs of repeats, endings, parts and jumps, played out and printed once."""

import pytest

from ostinato.readers.read import ReadOptions, read
from ostinato.readers.score import NOT_PLAYED

NAMES = {0: "C", 2: "D", 4: "E", 5: "F", 7: "G", 9: "A", 11: "B"}


def tune(tmp_path, music, head="", **options):
    path = tmp_path / "tune.abc"
    path.write_text(f"X:1\nM:4/4\nL:1/1\n{head}K:C\n{music}\n", encoding="utf-8")
    return read(path, "", ReadOptions(**{"ticks_per_quarter": 24} | options))


def letters(result):
    return "".join(NAMES[pitch % 12] for pitch in result.piece.notes["pitch"].tolist())


def bars(result):
    return [a.onset for a in result.piece.annotations if a.kind == "bar"]


# music: each printed bar once, all repeats played out
REPEATS = {
    "|:C:|": ("C", "CC"),
    "C:|": ("C", "CC"),
    "|:C:|D|": ("CD", "CCD"),
    "D|:C:|": ("DC", "DCC"),
    "|:C|D:|E|": ("CDE", "CDCDE"),
    "|:CD|EF|": ("CDEF", "CDEF"),
    "CD:|EF:|G|": ("CDEFG", "CDCDEFEFG"),
    "CD::EF:|": ("CDEF", "CDCDEFEF"),
    "CD:||:EF:|": ("CDEF", "CDCDEFEF"),
    "CD:|:EF:|": ("CDEF", "CDCDEFEF"),
    "CD:|]EF:|": ("CDEF", "CDCDEFEF"),
    "|::C::|D|": ("CD", "CCCD"),
    "|::C:|D|": ("CD", "CCCD"),
    "C:::|D|": ("CD", "CCCCD"),
    "C::::D::|": ("CD", "CCCDDD"),
    "A|:C|:D:|E:|F|": ("ACDEF", "ACDDECDDEF"),
    "|:C|1D:|2E|]F|": ("CEF", "CDCEF"),
    "|:C|1 D:|2 E|]F|": ("CEF", "CDCEF"),
    "|:C|[1 D|G:| [2 E||\nF|": ("CEF", "CDGCEF"),
    "|:C|[1 D|G:|\n[2 E||\nF|": ("CEF", "CDGCEF"),
    "|:C|1D:|2E:|F|G:|": ("CEFG", "CDCEFGFG"),
    "|:C|[1,2 D:|[3 E||F|": ("CEF", "CDCDCEF"),
    "|:C|[1-3 D:|[4 E||F|": ("CEF", "CDCDCDCEF"),
    "|:C|1D:|2E:|3F|]G|": ("CFG", "CDCECFG"),
    "|:C|[1,3 D:|[2 E:|F|": ("CDF", "CDCECDF"),
    "|:C|1D:|E|": ("CDE", "CDCE"),
    "|:C:|2D||E|": ("CDE", "CCDE"),
    '|:C|["1." D:|["2." E|]': ("CE", "CDCE"),
    '|:C|["1,2" D:|["3" E|]': ("CE", "CDCDCE"),
    '|:C|["1st time" D:|["2nd time" E|]F|': ("CEF", "CDCEF"),
    '|:C|["1.-2." D:|["3." E|]F|': ("CEF", "CDCDCEF"),
    'C|["1"D]|["2"E]|': ("CDE", "CDE"),
    "|:C|1D:|2E|:F:|": ("CEF", "CDCEFF"),
    "|:C|1D|!segno!G:|2E|]": ("CE", "CDGCE"),
    "|:C| |1D:| |2E|]": ("CE", "CDCE"),
    "|:C|D[|]:|E[|]|:F|]:|": ("CDEF", "CDCDEFF"),
    "|:C|1D:|2E|\nP:B\nF:|": ("CEF", "CDCEFF"),
    "|:C|1D|\\\nE[P:3]F:|2G|]": ("CG", "CDEFCG"),
    "[|:C:|]D.|E[|]F|]": ("CDEF", "CCDEF"),
}


@pytest.mark.parametrize("music", REPEATS)
def test_each_printed_bar_sounds_once_or_the_repeats_are_played_out(tmp_path, music):
    once, expanded = REPEATS[music]
    assert letters(tune(tmp_path, music)) == once
    assert letters(tune(tmp_path, music, expand_repeats=True)) == expanded


PARTS = {
    ("P:ABA", "P:A\nCD|\nP:B\n|:EF:|\n"): "CDEFEFCD",
    ("P:A4", "P:A\nC|[1D:|[2E:|[3F:|[4G|]"): "CDCECFCG",
    ("P:A4B2", "P:A\nC|[1,3D:|[2,4E|]\nP:B\nF:|"): "CDCECDCEFFFF",
    ("P:ABA", "P:A\nC|[1D:|[2E|]\nP:B\nF|"): "CDCEFCDCE",
    ("P:AABA", "P:A\nC|[1D:|[2E|]\nP:B\nF|"): "CDCEFCDCE",
    ("P:(AB)2.A", "P:A\nC|\nP:B\nD|"): "CDCDC",
    ("P:AB", "P:A\nC|D|\nP:B\n::E|F:|"): "CDCDEFEF",
    ("", "P:A\nC|D|\nP:B\n::E|F:|"): "CDCDEFEF",
    ("P:AAB", "C|\nP:A\nD|[P:B]E|"): "CDDE",
    ("P:AX", "P:A\nC|\nP:B\nD|"): "CD",
}


@pytest.mark.parametrize(("order", "music"), PARTS)
def test_parts_are_played_in_the_order_of_the_header(tmp_path, order, music):
    head = f"{order}\n" if order else ""
    assert letters(tune(tmp_path, music, head, expand_repeats=True)) == PARTS[order, music]


def test_an_order_that_cannot_be_followed_is_named(tmp_path):
    result = tune(tmp_path, "P:A\nC|\nP:B\nD|", "P:AX\n", expand_repeats=True)
    assert result.piece.warnings == ("the order of parts names X, not in the score; not followed",)
    result = tune(tmp_path, "P:A\nC|\nP:B\nD|", "P:((A99)99)99\n", expand_repeats=True)
    assert letters(result) == "CD"


JUMPS = {
    'C|D "D.C."|]': "CDCD",
    "C|!fine!D|E|!D.C.!F|]": "CDEFCD",
    'C|"Fine"D|E|F "^D.C. al Fine"|]': "CDEFCD",
    "C|D|]\nP:Fine\nE|F|]\nP:D.C.\nG|": "CDEFCD",
    "C|D|]\nP:Fine\nE|F|]\nP:D.C.\n": "CDEFCD",
    "C|!segno!D|E|F!D.S.!|]": "CDEFDEF",
    'C|SD|E|"Fine"F|G"D.S. al Fine"|]': "CDEFGDEF",
    "C|D!dacoda!|E!D.C.!|!coda!F|": "CDECDF",
    'C|D"To Coda"|E"D.C. al Coda"|]"Coda"F|': "CDECDF",
    "C|DO|E|F!D.C.alcoda!|]OG|": "CDEFCDG",
    "|:C:|D!D.C.!|E|": "CCDCDE",
    '|:C|D"D.C."|"Fine"E:|': "CDECDCDE",
    "|:C|1D:|2E!fine!|]F!D.C.!|]": "CDCEFCE",
    "C!fermata!|D!trill!|E|": "CDE",
}


@pytest.mark.parametrize("music", JUMPS)
def test_jumps_are_followed(tmp_path, music):
    assert letters(tune(tmp_path, music, expand_repeats=True)) == JUMPS[music]


def test_bars_are_marked_where_they_begin_and_not_at_signs_within_them(tmp_path):
    music = "[L:1/4] C|D E F G|A B c:|d|e f [P:X] g a|!segno! b z2 !coda! z|]"
    assert bars(tune(tmp_path, music)) == [0, 24, 120, 216, 312]
    music = "[L:1/4] C [P:A] D E F G | A B [P:B] c d | e4|]"  # an overfull bar, and a full one
    assert bars(tune(tmp_path, music)) == [0, 24, 120, 216]


def test_rests_of_several_bars_are_as_many_bars(tmp_path):
    result = tune(tmp_path, "C|Z3|D:|E|X2|F|]")
    assert bars(result) == [0, 96, 192, 288, 384, 480, 576, 672, 768]
    assert result.piece.notes["onset"].tolist() == [0, 384, 480, 768]


def test_repeats_may_stand_in_any_voice(tmp_path):
    music = "V:1\nC|D|E|\nV:2\n|:G|1A:|2B|]"
    assert letters(tune(tmp_path, music, expand_repeats=True)) == "CGDACGEB"


@pytest.mark.parametrize(
    ("head", "music"),
    [("", "C|D!dacoda!|E!D.C.!|F|!coda!G|"), ("P:A\n", "P:A\nC|D|\nP:B\nE|")],
)
def test_notes_that_are_never_played_are_counted(tmp_path, head, music):
    result = tune(tmp_path, music, head, expand_repeats=True)
    assert result.dropped == {NOT_PLAYED: 1}


def test_ties_and_endings_keep_the_balance(tmp_path):
    result = tune(tmp_path, "|:C-|1C-C D:|2C E-|E F|")
    assert letters(result) == "CEF"
    assert result.tied + sum(result.dropped.values()) + len(result.piece.notes) == 8
