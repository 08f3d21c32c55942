"""Humdrum **kern: spines, ties, sections, signs."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.files import DamagedFile
from ostinato.music.piece import Key, Meter, Tempo
from ostinato.readers.kern_tandem import meter_of
from ostinato.readers.kern_tokens import notes_of, pitch_of
from ostinato.readers.read import ReadOptions, read

CHORALE = """!!!OTL@@DE: Lobt Gott
!!!OTL@EN: Praise God
**kern **kern **kern **kern **dynam
*Ibass *Itenor *Ialto *Isoprn *
*I"Bass *I"Tenor *I"Alto *I"Soprano *
*k[b-] *k[b-] *k[b-] *k[b-] *k[b-]
*d: *d: *d: *d: *
*M3/4 *M3/4 *M3/4 *M3/4 *
*MM90 *MM90 *MM90 *MM90 *
4D 4A 4f 4dd f
=1 =1 =1 =1 =1
4.D [4B- 4f#X 8dd .
. . . 8ee- .
. 4B-] 4g 4ff; .
8E . . . .
2F 2c 4a_ 2r .
. . 4a] . .
== == == == ==
*- *- *- *- *-
"""


def write(tmp_path, text, **options):
    """A page whose columns are written with single blanks; `~` stands for a blank in a cell."""
    path = tmp_path / "song.krn"
    lines = (
        line if line.startswith("!") else line.replace(" ", "\t").replace("~", " ")
        for line in text.splitlines()
    )
    path.write_text("\n".join(lines) + "\n")
    return read(path, "", ReadOptions(**options))


def rows(result):
    return [tuple(row)[:4] for row in result.piece.notes.tolist()]


def test_a_chorale_keeps_voices_signs_ties_fermatas_and_bars(tmp_path):
    piece = write(tmp_path, CHORALE, ticks_per_quarter=2).piece
    assert [t.role for t in piece.tracks] == ["soprano", "alto", "tenor", "bass"]
    assert (piece.title, piece.id, piece.source) == ("Lobt Gott", "song", "song.krn")
    assert piece.meters == (Meter(0, 3, 4),)
    assert piece.keys == (Key(0, -1, "minor"),)
    assert piece.tempos == (Tempo(0, 90.0),)
    assert [a.onset for a in piece.annotations if a.kind == "bar"] == [0, 2]
    assert [a.onset for a in piece.annotations if a.kind == "fermata"] == [4]
    voices = [
        [tuple(row)[1:4] for row in piece.voice(role).tolist()]
        for role in ("soprano", "alto", "tenor", "bass")
    ]
    assert voices == [
        [(0, 2, 74), (2, 1, 74), (3, 1, 75), (4, 2, 77)],
        [(0, 2, 65), (2, 2, 66), (4, 2, 67), (6, 4, 69)],
        [(0, 2, 57), (2, 4, 58), (6, 4, 60)],
        [(0, 2, 50), (2, 3, 50), (5, 1, 52), (6, 4, 53)],
    ]


@pytest.mark.parametrize(
    ("text", "pitch"),
    [("c", 60), ("cc", 72), ("C", 48), ("CC", 36), ("b-", 70), ("F##", 55), ("8ee-L", 75)],
)
def test_pitches(text, pitch):
    assert pitch_of(text) == pitch


@pytest.mark.parametrize(
    ("text", "quarters"),
    [
        ("4c", 1),
        ("8.c", Fraction(3, 4)),
        ("2..c", Fraction(7, 2)),
        ("12c", Fraction(1, 3)),
        ("3%2c", Fraction(8, 3)),
        ("0c", 8),
        ("00c", 16),
    ],
)
def test_lengths(text, quarters):
    assert notes_of(text)[0].duration == quarters


@pytest.mark.parametrize(
    ("text", "quarters"),
    [
        ("4G.", Fraction(3, 2)),
        ("8ee-L.", Fraction(3, 4)),
        ("2r..", Fraction(7, 2)),
        ("[4.G", Fraction(3, 2)),
    ],
)
def test_dots_may_stand_apart_from_the_number(text, quarters):
    assert notes_of(text)[0].duration == quarters


def test_a_chord_of_unequal_lengths_lasts_as_its_first_note(tmp_path):
    page = "**kern **kern\n*M2/4 *M2/4\n8c~4e 4C\n8d .\n4f 4D\n=2 =2\n2g 2E\n*- *-\n"
    result = write(tmp_path, page, ticks_per_quarter=2)
    high = [row[1:] for row in rows(result) if row[0] == 0]
    assert high == [(0, 2, 48), (2, 2, 50), (4, 4, 52)]
    low = [row[1:] for row in rows(result) if row[0] == 1]
    assert low == [(0, 1, 60), (0, 2, 64), (1, 1, 62), (2, 2, 65), (4, 4, 67)]


LENGTHS = ("2", "4", "4.", "8", "8.", "16", "2..")
SIXTEENTHS = dict(zip(LENGTHS, (8, 4, 6, 2, 3, 1, 14), strict=True))


@settings(max_examples=min(60, settings.default.max_examples), deadline=None)
@given(
    spines=st.lists(
        st.lists(
            st.tuples(st.sampled_from(LENGTHS), st.booleans(), st.sampled_from(["", "2e", "16e"])),
            min_size=1, max_size=8,
        ),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_every_note_begins_where_the_first_notes_before_it_end(tmp_path_factory, spines):
    """Dots stand beside the number or at the end; chords have two lengths; rests fill the page."""
    columns: list[dict[int, str]] = []
    onsets: list[int] = []
    longest = max(sum(SIXTEENTHS[length] for length, _, _ in spine) for spine in spines)
    for spine in spines:
        time, column = 0, {}
        for length, apart, other in spine:
            number = length.rstrip(".")
            text = f"{number}c{length[len(number) :]}" if apart else f"{length}c"
            column[time] = f"{text}~{other}" if other else text
            onsets += [time] * (1 + bool(other))
            time += SIXTEENTHS[length]
        columns.append(column | dict.fromkeys(range(time, longest), "16r"))
    times = sorted({time for column in columns for time in column})
    lines = [[column.get(time, ".") for column in columns] for time in times]
    lines = [["**kern"] * len(spines), *lines, ["*-"] * len(spines)]
    page = "\n".join(" ".join(line) for line in lines) + "\n"
    result = write(tmp_path_factory.mktemp("kern"), page, ticks_per_quarter=4)
    assert sorted(result.piece.notes["onset"].tolist()) == sorted(onsets)


def test_a_tie_across_a_gap_is_struck_anew_and_a_warning_counts_it(tmp_path):
    result = write(tmp_path, "**kern\n[4c\n4r\n4c]\n4d_\n*-\n", ticks_per_quarter=1)
    assert rows(result) == [(0, 0, 1, 60), (0, 2, 1, 60), (0, 3, 1, 62)]
    assert result.piece.warnings == ("2 tied notes follow no note of their pitch; struck anew",)


@pytest.mark.parametrize(
    ("cell", "meter"),
    [
        ("*M3+2/8", Meter(0, 5, 8)),
        ("*M2/4+3/8", Meter(0, 7, 8)),
        ("*M6/8", Meter(0, 6, 8)),
        ("*M4/0", Meter(0, 8, 1)),
        ("*M3/4%2", Meter(0, 3, 2)),
        ("*M3/3%2", Meter(0, 2, 1)),
        ("*M2/3%2", Meter(0, 4, 3)),
        ("*M2+3/8%3", Meter(0, 15, 8)),
        ("*M1/2%0", None),
        ("*M0/4", None),
        ("*MM3/4", None),
        ("*M2/3+1/4", None),
    ],
)
def test_meters(cell, meter):
    assert meter_of(cell) == meter


@pytest.mark.parametrize(
    ("page", "order"),
    [
        ("4c =:|! 4d 4e =:|! 4f ==", "ccdedef"),
        ("4c =1!|: 4d =2:|!|: 4e =3:|! 4f ==", "cddeef"),
        ("4c =1!|: 4d ==:|!", "cdd"),
        ("4c =1 4d ==", "cd"),
    ],
)
def test_repeat_signs_count_where_a_file_lists_no_sections(tmp_path, page, order):
    names = {60: "c", 62: "d", 64: "e", 65: "f"}
    text = "**kern\n" + page.replace(" ", "\n") + "\n*-\n"
    for expand, expected in ((True, order), (False, "".join(dict.fromkeys(order)))):
        piece = write(tmp_path, text, ticks_per_quarter=1, expand_repeats=expand).piece
        assert "".join(names[int(p)] for p in piece.notes["pitch"]) == expected
        assert piece.warnings == ()


def test_spines_that_divide_join_and_change_places_lose_no_note(tmp_path):
    page = """**kern **kern
*M4/4 *M4/4
4C 4c
*^ *
4D 8F 4d
. 8G .
* * *^
4E 4A 4e 8g
. . . 8a
*v *v * *
* *v *v
4F 4f
*x *x
4g 4G
*- *-
"""
    result = write(tmp_path, page, ticks_per_quarter=2)
    low = [row[1:] for row in rows(result) if row[0] == 1]
    high = [row[1:] for row in rows(result) if row[0] == 0]
    assert low == [
        (0, 2, 48), (2, 2, 50), (2, 1, 53), (3, 1, 55), (4, 2, 52), (4, 2, 57), (6, 2, 53),
        (8, 2, 55),
    ]  # fmt: skip
    assert high == [
        (0, 2, 60),
        (2, 2, 62),
        (4, 2, 64),
        (4, 1, 67),
        (5, 1, 69),
        (6, 2, 65),
        (8, 2, 67),
    ]


def test_grace_notes_and_chords_of_them_are_counted_and_take_no_time(tmp_path):
    page = "**kern **kern\n4C 4c~e~4g\n. 8qd\n. 8qe~g\n4D 2d\n4E .\n*- *-\n"
    result = write(tmp_path, page, ticks_per_quarter=1)
    assert result.dropped == {"grace note": 3}
    assert rows(result) == [
        (0, 0, 1, 60), (0, 0, 1, 64), (0, 0, 1, 67), (1, 0, 1, 48), (0, 1, 2, 62), (1, 1, 1, 50),
        (1, 2, 1, 52),
    ]  # fmt: skip


def test_a_note_without_a_length_is_counted_as_such(tmp_path):
    result = write(tmp_path, "**kern\n4c\nd\n4e~f\n8qg\n4a\n*-\n", ticks_per_quarter=1)
    assert result.dropped == {"no duration": 1, "grace note": 1}
    assert [row[3] for row in rows(result)] == [60, 64, 65, 69]


def test_without_repeats_each_listed_section_is_read_once(tmp_path):
    page = "**kern\n*>[A,A,B,A]\n*>norep[A,B,A]\n*>A\n4c\n*>B\n4d\n*-\n"
    for expand, pitches in ((False, [60, 62]), (True, [60, 60, 62, 60])):
        result = write(tmp_path, page, expand_repeats=expand)
        assert result.piece.notes["pitch"].tolist() == pitches


SECTIONS = """**kern
{lists}*M1/4
*>A
4c
=1
*>A1
4d
=:|!
*>A2
[4e
=2
*>B
4e]
==
*-
"""


@pytest.mark.parametrize(
    ("lists", "once", "expanded"),
    [
        ("*>[A,A1,A,A2,B]\n*>norep[A,A2,B]\n", "ce", "cdce"),
        ("*>[A,A1,A,A2,B]\n", "ce", "cdce"),
        ("", "ce", "cdce"),
        ("*>[A,~A1,~A,~A2,~B]\n*>norep[~A,~A2,~B~]\n", "ce", "cdce"),
        ("*>[A,X]\n", "ce", "cdce"),
    ],
)
def test_sections_are_played_by_the_files_list_and_ties_lead_into_the_next(
    tmp_path, lists, once, expanded
):
    names = {60: "c", 62: "d", 64: "e"}
    for expand, expected in ((False, once), (True, expanded)):
        text = SECTIONS.format(lists=lists)
        piece = write(tmp_path, text, ticks_per_quarter=1, expand_repeats=expand).piece
        assert "".join(names[int(p)] for p in piece.notes["pitch"]) == expected
        assert int(piece.notes["duration"][-1]) == 2
    assert piece.warnings == (
        ("the list of sections names some that are not in the file",) if "X" in lists else ()
    )


def test_repeat_signs_of_any_spine_count(tmp_path):
    page = "**text **kern\n=1 =1!|:\n. 4c\n=2 =2:|!\n. 4d\n== ==\n*- *-\n"
    notes = write(tmp_path, page, expand_repeats=True).piece.notes
    assert notes["pitch"].tolist() == [60, 60, 62]


def test_a_list_with_a_section_that_is_there_twice_is_not_followed(tmp_path):
    page = "**kern\n*>[A,B,A]\n*>A\n4c\n*>B\n4d\n*>A\n4e\n*-\n"
    result = write(tmp_path, page, expand_repeats=True)
    assert result.piece.notes["pitch"].tolist() == [60, 62, 64]
    assert not result.dropped
    assert result.piece.warnings == ("the list of sections names sections that are there twice",)


def test_where_a_section_returns_its_key_and_meter_return(tmp_path):
    page = "**kern\n*>[A,B,A]\n*k[]\n*M2/4\n*>A\n2c\n*>B\n*k[f#]\n*M3/4\n2.d\n*-\n"
    piece = write(tmp_path, page, ticks_per_quarter=1, expand_repeats=True).piece
    assert piece.keys == (Key(0, 0), Key(2, 1), Key(5, 0))
    assert piece.meters == (Meter(0, 2, 4), Meter(2, 3, 4), Meter(5, 2, 4))


@pytest.mark.parametrize("page", ["**text\nla\n*-\n", "**kern **kern\n4c\n*- *-\n", ""])
def test_what_is_no_kern_is_refused(tmp_path, page):
    with pytest.raises(DamagedFile, match=r"song\.krn cannot be read"):
        write(tmp_path, page)


def test_a_spine_that_begins_later_is_a_part_of_its_own(tmp_path):
    page = "**kern\t**kern\n4c\t4e\n*\t*+\n*\t*\t**kern\n4d\t4f\t4a\n*-\t*-\t*-\n"
    result = write(tmp_path, page, ticks_per_quarter=1)
    assert sorted(rows(result)) == [
        (0, 1, 1, 69), (1, 0, 1, 64), (1, 1, 1, 65), (2, 0, 1, 60), (2, 1, 1, 62)
    ]  # fmt: skip
