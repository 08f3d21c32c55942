"""Notes of endings that are not played are counted, in every format of written music."""

import pytest

from ostinato.readers.read import ReadOptions, read
from ostinato.readers.score import NOT_PLAYED

ABC = """X:1
M:4/4
L:1/4
K:C
|: C D E F |1 G G G- G :|2 A A A A |]
"""
KERN = """**kern **kern
*>[A,A1,A,A2] *>[A,A1,A,A2]
*>norep[A,A2] *>norep[A,A2]
*>A *>A
=1 =1
2C 2c
2D 2d
*>A1 *>A1
=2 =2
2E [2e
2F 2e]
*>A2 *>A2
=3 =3
1G 1g
*- *-
"""
BAR = "<measure>{}{}{}</measure>"
ENDING = '<barline location="{}"><ending number="{}" type="{}"/>{}</barline>'
BACK = '<repeat direction="backward"/>'
NOTE = "<note><pitch><step>{}</step><octave>4</octave></pitch><duration>1</duration></note>"
HEAD = "<attributes><divisions>1</divisions></attributes>"
XML = (
    '<score-partwise><part id="P1">'
    + BAR.format(HEAD, NOTE.format("C"), NOTE.format("D"))
    + BAR.format(
        ENDING.format("left", 1, "start", ""),
        NOTE.format("E") * 3,
        ENDING.format("right", 1, "stop", BACK),
    )
    + BAR.format(
        ENDING.format("left", 2, "start", ""),
        NOTE.format("F") * 2,
        ENDING.format("right", 2, "stop", ""),
    )
    + "</part></score-partwise>"
)
# the page, how many notes it has (tied ones are one), how many of them in a first ending, how many
# sound with all repeats
PAGES = {
    "tune.abc": (ABC, 11, 3, 4 + 3 + 4 + 4),
    "song.krn": (KERN.replace(" ", "\t"), 9, 3, 4 + 3 + 4 + 2),
    "score.xml": (XML, 7, 3, 2 + 3 + 2 + 2),
}


@pytest.mark.parametrize("name", PAGES)
def test_notes_of_the_page_are_those_kept_and_those_of_endings_not_played(tmp_path, name):
    text, written, first_ending, _ = PAGES[name]
    (tmp_path / name).write_text(text)
    result = read(tmp_path / name, "", ReadOptions(expand_repeats=False))
    assert result.dropped == {NOT_PLAYED: first_ending}
    assert len(result.piece.notes) + first_ending == written


@pytest.mark.parametrize("name", PAGES)
def test_with_all_repeats_nothing_of_the_page_is_left_out(tmp_path, name):
    text, _, _, sounding = PAGES[name]
    (tmp_path / name).write_text(text)
    result = read(tmp_path / name, "", ReadOptions(expand_repeats=True))
    assert (dict(result.dropped), len(result.piece.notes)) == ({}, sounding)


TIE = '<tie type="start"/>'
FIRST = ENDING.format("left", 1, "start", "") + "{}" + ENDING.format("right", 1, "stop", BACK)
SECOND = ENDING.format("left", 2, "start", "") + "{}" + ENDING.format("right", 2, "stop", "")


def test_a_note_that_a_tie_leads_into_an_ending_not_played_is_no_note_of_it(tmp_path):
    """As in Beethoven's quartet op. 18 no. 5, whose file does not mark the ends of such ties."""
    tied = NOTE.format("D").replace("</note>", TIE + "<voice>1</voice></note>")
    after = NOTE.format("D").replace("</note>", "<voice>1</voice></note>")
    measures = [HEAD + NOTE.format("C") + tied, FIRST.format(after + NOTE.format("E") * 2),
                SECOND.format(after + NOTE.format("F"))]  # fmt: skip
    page = "".join(f"<measure>{measure}</measure>" for measure in measures)
    path = tmp_path / "score.xml"
    path.write_text(f'<score-partwise><part id="P1">{page}</part></score-partwise>')
    result = read(path, "", ReadOptions(ticks_per_quarter=1, expand_repeats=False))
    assert result.dropped == {NOT_PLAYED: 2}
    assert result.piece.notes["pitch"].tolist() == [60, 62, 65]
    assert result.piece.notes["duration"].tolist() == [1, 2, 1]


def part(name, divisions, step, length, ties=("", "")):
    """Two bars of 3/8 of one note each."""
    head = (
        f"<attributes><divisions>{divisions}</divisions>"
        "<time><beats>3</beats><beat-type>8</beat-type></time></attributes>"
    )
    note = NOTE.format(step).replace("<duration>1<", f"<duration>{length}<")
    bars = [head + note.replace("</note>", ties[0] + "</note>"),
            note.replace("</note>", ties[1] + "</note>")]  # fmt: skip
    return f'<part id="{name}">' + "".join(map(BAR.format, bars, "  ", "  ")) + "</part>"


@pytest.mark.parametrize(("length", "lengths"), [(25, [6]), (22, [3, 3])])
def test_a_tie_crosses_what_rounding_leaves_of_a_bar_but_no_rest(tmp_path, length, lengths):
    """In Schumann's quartet op. 41 no. 1 dotted quarters are 25 of 17 parts, for 25.5."""
    rounded = part("A", 17, "C", length, (TIE, TIE.replace("start", "stop")))
    path = tmp_path / "score.xml"
    path.write_text(f"<score-partwise>{rounded}{part('B', 2, 'E', 3)}</score-partwise>")
    notes = read(path, "", ReadOptions(ticks_per_quarter=2)).piece.notes
    assert notes["duration"][notes["pitch"] == 60].tolist() == lengths
