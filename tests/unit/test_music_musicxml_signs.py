"""Repeat signs of MusicXML: where they stand, and what they say about the order of bars."""

import pytest

from ostinato.readers.musicxml_signs import ending_numbers
from ostinato.readers.read import ReadOptions, read

HEAD = "<attributes><divisions>1</divisions></attributes>"
NOTE = "<note><pitch><step>{}</step><octave>{}</octave></pitch><duration>1</duration></note>"
BAR = '<barline location="{}">{}</barline>'
OPEN = BAR.format("left", '<repeat direction="forward"/>')
CLOSE = BAR.format("right", '<repeat direction="backward"/>')
SOUND = "<direction><sound {}/></direction>"
WORDS = "<direction><direction-type><words>{}</words></direction-type></direction>"
SIGN = "<direction><direction-type><{}/></direction-type></direction>"


def ending(number, kind, sign="", place="left"):
    return BAR.format(place, f'<ending number="{number}" type="{kind}"/>{sign}')


def whole(number, sign=CLOSE):
    """An ending that begins and ends with this measure."""
    return ending(number, "start") + sign + ending(number, "stop", place="right")


def score(signs):
    """One measure with one note for each string of signs; pitches count the measures."""
    notes = [NOTE.format("CDEFGAB"[number % 7], 4 + number // 7) for number in range(len(signs))]
    measures = "".join(
        f"<measure>{HEAD if number == 0 else ''}{sign}{note}</measure>"
        for number, (sign, note) in enumerate(zip(signs, notes, strict=True))
    )
    return f'<score-partwise><part id="P">{measures}</part></score-partwise>'


def order(tmp_path, signs, *, expand=True):
    """Letters of the measures that sound, and the warnings."""
    path = tmp_path / "piece.xml"
    path.write_text(score(signs))
    piece = read(path, "", ReadOptions(ticks_per_quarter=1, expand_repeats=expand)).piece
    pitches = [0, 2, 4, 5, 7, 9, 11]
    names = {60 + pitches[n % 7] + 12 * (n // 7): "ABCDEFGHIJKLMN"[n] for n in range(14)}
    return "".join(names[int(pitch)] for pitch in piece.notes["pitch"]), piece.warnings


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ([OPEN + CLOSE], "AA"),
        (["", OPEN, CLOSE, ""], "ABCBCD"),
        ([BAR.format("right", '<repeat direction="backward" times="3"/>'), ""], "AAAB"),
        (["", BAR.format("right", '<repeat direction="forward"/>'), CLOSE], "ABCC"),
        (["", "", BAR.format("left", '<repeat direction="backward"/>')], "ABABC"),
        (["", whole("1, 2"), whole("3", "")], "ABABAC"),
        (["", whole("1,2,3"), whole("4", "")], "ABABABAC"),
        (["", whole("1-2"), whole("3", "")], "ABABAC"),
        (["", whole("1."), whole("2."), whole("3.", ""), ""], "ABACADE"),
        (["", whole("1"), whole("1", ""), ""], "ABACD"),
        (["", whole(" "), whole(" ", ""), ""], "ABACD"),
        (["", ending(1, "start") + CLOSE, ending(2, "start"), OPEN, CLOSE], "ABACDEDE"),
    ],
)
def test_repeats_and_endings(tmp_path, signs, expected):
    assert order(tmp_path, signs) == (expected, ())


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ([SOUND.format('fine="yes"'), "", SOUND.format('dacapo="yes"')], "ABCA"),
        ([OPEN, CLOSE + SOUND.format('dacapo="yes"')], "ABABAB"),
        (
            ["", SOUND.format('segno="x"'), SOUND.format('tocoda="y"'),
             SOUND.format('dalsegno="x"'), SOUND.format('coda="y"')],
            "ABCDBCE",
        ),
        (
            [BAR.format("right", '<repeat direction="backward" after-jump="yes"/>'),
             SOUND.format('dacapo="yes"')],
            "AABAAB",
        ),
        (["", WORDS.format("Fine"), "", WORDS.format("D.C. al Fine")], "ABCDAB"),
        (["", WORDS.format("Fine"), WORDS.format("Da Capo")], "ABCAB"),
        (["", WORDS.format("D.C.")], "ABAB"),
        (["", WORDS.format("Fine"), WORDS.format("D.C.") + WORDS.format("al Fine")], "ABCAB"),
        (["", WORDS.format("To Coda &#x1D10C;"), WORDS.format("D.C. alla Coda"),
          WORDS.format("CODA")], "ABCABD"),
        (["", SIGN.format("segno"), WORDS.format("Fine"), WORDS.format("Dal Segno")], "ABCDBC"),
        (["", SIGN.format("segno"), WORDS.format("Fine"), WORDS.format("D.S. al Fine.")], "ABCDBC"),
        (
            [SIGN.format("segno"), SIGN.format("coda"), WORDS.format("D.S.\nal Coda"),
             SIGN.format("coda"), ""],
            "ABCABDE",
        ),
        (
            ["", WORDS.format("To Coda") + SIGN.format("coda"), WORDS.format("D.C. al Coda"),
             SIGN.format("coda") + WORDS.format("Coda")],
            "ABCABD",
        ),
        (["", WORDS.format("Fine"), WORDS.format("D.C. al Fine") + SOUND.format('dacapo="yes"')],
         "ABCAB"),
        (
            ["", SIGN.format("segno"), SOUND.format('tocoda="x"'),
             WORDS.format("D.S. al Coda") + SOUND.format('dalsegno="s"'), SOUND.format('coda="x"')],
            "ABCDBCE",
        ),
        (["", SIGN.format("coda"), SOUND.format('dacapo="yes"'), SIGN.format("coda")], "ABCABD"),
    ],
)  # fmt: skip
def test_jumps_marked_for_playback_or_in_words(tmp_path, signs, expected):
    assert order(tmp_path, signs) == (expected, ())


def test_words_that_lead_nowhere_are_not_followed_and_a_warning_says_so(tmp_path):
    played, warnings = order(tmp_path, ["", WORDS.format("D.C. al Fine")])
    assert played == "AB"
    assert "no Fine or Coda" in warnings[0]
    assert order(tmp_path, ["", WORDS.format("Fine at last")]) == ("AB", ())


def test_without_repeats_each_measure_is_read_once_with_the_last_ending(tmp_path):
    signs = ["", whole("1"), whole("2", ""), SOUND.format('dacapo="yes"')]
    assert order(tmp_path, signs, expand=False) == ("ACD", ())


def test_signs_of_any_part_count(tmp_path):
    first = score(["", "", ""])
    second = score(["", whole("1"), whole("2", "")]).split("<score-partwise>")[1]
    path = tmp_path / "piece.xml"
    path.write_text(first.replace("</score-partwise>", "") + second)
    piece = read(path, "", ReadOptions(ticks_per_quarter=1, expand_repeats=True)).piece
    assert piece.notes["onset"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1", (1,)),
        ("1, 2.", (1, 2)),
        ("1-3", (1, 2, 3)),
        ("1.-3.", (1, 2, 3)),
        ("1,3-4", (1, 3, 4)),
        ("", (1,)),
        ("0", (1,)),
    ],
)
def test_numbers_of_endings(text, numbers):
    assert ending_numbers(text) == numbers


def test_a_part_that_a_bar_of_a_timewise_score_lacks_is_empty_there(tmp_path):
    notes = [NOTE.format(step, 4) for step in "CDEF"]
    bars = (
        f'<measure><part id="A">{HEAD}{notes[0]}</part></measure>'
        f'<measure><part id="A">{notes[1]}</part><part id="B">{HEAD}{notes[2]}</part></measure>'
        f'<measure><part id="B">{notes[3]}</part></measure>'
    )
    path = tmp_path / "piece.xml"
    path.write_text(f"<score-timewise>{bars}</score-timewise>", encoding="utf-8")
    found = read(path, options=ReadOptions(ticks_per_quarter=1)).piece.notes
    rows = sorted(zip(found["onset"].tolist(), found["pitch"].tolist(), strict=True))
    assert rows == [(0, 60), (1, 62), (1, 64), (2, 65)]
