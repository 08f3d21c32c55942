"""MusicXML: exact times, ties, grace notes, chords, bars that are filled wrongly, odd files."""

import zipfile
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.files import DamagedFile
from ostinato.music.piece import Key, Meter, Tempo
from ostinato.readers.read import ReadOptions, read

HEAD = "<attributes><divisions>{}</divisions></attributes>"


def note(pitch="C4", duration=1, inside="", voice=1, after=""):
    step, octave = pitch[0], pitch[1:]
    length = f"<duration>{duration}</duration>" if duration else ""
    return (
        f"<note>{inside}<pitch><step>{step}</step><octave>{octave}</octave></pitch>{length}"
        f"{after}<voice>{voice}</voice></note>"
    )


def rest(duration):
    return f"<note><rest/><duration>{duration}</duration></note>"


def back(duration):
    return f"<backup><duration>{duration}</duration></backup>"


def reading(tmp_path, text, name="piece.xml", **options):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read(path, "", ReadOptions(**options))


def rows(result):
    """Onset, duration and pitch of every note."""
    return [tuple(row)[1:4] for row in result.piece.notes.tolist()]


def chords(result):
    return [(a.onset, a.value) for a in result.piece.annotations if a.kind == "chord"]


TIE = '<tie type="{}"/>'


def test_tied_notes_are_one_and_two_voices_on_one_pitch_stay_two(tmp_path, score):
    bars = [
        HEAD.format(1)
        + note(duration=4, voice=1, after=TIE.format("start")) + back(4)
        + rest(2) + note(duration=2, voice=2),
        note(duration=1, voice=1, after=TIE.format("stop")) + note(duration=3, voice=1),
    ]  # fmt: skip
    result = reading(tmp_path, score([("Piano", "", bars)]), ticks_per_quarter=1)
    assert rows(result) == [(0, 5, 60), (2, 2, 60), (5, 3, 60)]
    assert not result.dropped


def test_a_marked_note_ends_a_tie_that_still_sounds_in_a_bar_filled_wrongly(tmp_path, score):
    meter = METER.format(2)
    parts = [
        ("Soprano", "", [meter + note("C5", 2), note("D5", 2)]),
        (
            "Bass", "",
            [meter + rest(1) + note("C3", 2, after=TIE.format("start")),
             note("C3", 1, after=TIE.format("stop")) + note("C3", 1)],
        ),
    ]  # fmt: skip
    result = reading(tmp_path, score(parts), ticks_per_quarter=1)
    assert [row for row in rows(result) if row[2] == 48] == [(1, 2, 48), (3, 1, 48)]


def test_a_tie_that_leads_nowhere_swallows_no_later_note(tmp_path, score):
    bars = [HEAD.format(1) + note(after=TIE.format("start")) + note("D4") + note() + rest(1)]
    result = reading(tmp_path, score([("Alto", "", bars)]), ticks_per_quarter=1)
    assert rows(result) == [(0, 1, 60), (1, 1, 62), (2, 1, 60)]


def test_grace_and_cue_notes_are_counted_and_move_nothing(tmp_path, score):
    grace, chord = "<grace/>", "<chord/>"
    bars = [
        HEAD.format(1) + note("C4") + note("D4", 0, grace) + note("F4", 0, grace + chord)
        + note("E4") + note("G4", 1, "<cue/>") + note("A4"),
    ]  # fmt: skip
    result = reading(tmp_path, score([("Alto", "", bars)]), ticks_per_quarter=1)
    assert rows(result) == [(0, 1, 60), (1, 1, 64), (3, 1, 69)]
    assert result.dropped == {"cue note": 1, "grace note": 2}


@settings(max_examples=min(40, settings.default.max_examples), deadline=None)
@given(
    divisions=st.sampled_from([1, 3, 5, 8, 10080]),
    durations=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    tpq=st.sampled_from([1, 7, 24, 480]),
)
def test_every_onset_is_the_nearest_tick_however_many_notes_came_before(
    tmp_path_factory, score, divisions, durations, tpq
):
    text = score(
        [("Alto", "", [HEAD.format(divisions) + "".join(note("C4", d) for d in durations)])]
    )
    result = reading(tmp_path_factory.mktemp("xml"), text, ticks_per_quarter=tpq)
    onsets = [Fraction(sum(durations[:n]), divisions) for n in range(len(durations))]
    moved = [abs(Fraction(row[0], tpq) - at) for row, at in zip(rows(result), onsets, strict=True)]
    assert max(moved) <= Fraction(1, 2 * tpq)
    assert result.onset_error == pytest.approx(float(sum(moved) / len(moved)))


def harmony(root, kind, extra="", offset=""):
    return (
        f"<harmony><root><root-step>{root}</root-step></root><kind>{kind}</kind>{extra}{offset}"
        "</harmony>"
    )


def test_a_chord_without_a_note_before_it_in_its_bar_is_a_note_of_its_own(tmp_path, score):
    bars = [HEAD.format(1) + note("C4", 2, "<chord/>") + note("D4"), note("E4", 1, "<chord/>")]
    result = reading(tmp_path, score([("Alto", "", bars)]), ticks_per_quarter=1)
    assert rows(result) == [(0, 2, 60), (2, 1, 62), (3, 1, 64)]


def test_chord_symbols_are_text_where_they_sound_and_repeat_with_their_bar(tmp_path, score):
    bass = "<bass><bass-step>E</bass-step><bass-alter>-1</bass-alter></bass>"
    degree = (
        "<degree><degree-value>9</degree-value><degree-alter>-1</degree-alter>"
        "<degree-type>add</degree-type></degree>"
    )
    again = '<barline location="right"><repeat direction="backward"/></barline>'
    bars = [
        HEAD.format(2) + harmony("A", "minor-seventh") + note("C4", 4)
        + harmony("C", "major", bass) + note("C4", 2)
        + harmony("B", "dominant", degree, "<offset>1</offset>") + note("C4", 2) + again,
    ]  # fmt: skip
    text = score([("Alto", "", bars)])
    once = [(0, "Am7"), (8, "C/Eb"), (14, "B7(b9)")]
    assert chords(reading(tmp_path, text, ticks_per_quarter=4)) == once
    twice = chords(reading(tmp_path, text, ticks_per_quarter=4, expand_repeats=True))
    assert twice == once + [(onset + 16, value) for onset, value in once]


def test_a_bar_that_parts_fill_differently_keeps_them_together(tmp_path, score):
    meter = (
        "<attributes><divisions>1</divisions>"
        "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    )
    parts = [
        ("Soprano", "", [meter + note("C5", 4), note("D5", 4)]),
        ("Bass", "", [HEAD.format(1) + rest(4) + rest(4), note("D3", 4)]),
    ]
    result = reading(tmp_path, score(parts), ticks_per_quarter=1)
    assert rows(result) == [(0, 4, 72), (4, 4, 74), (4, 4, 50)]
    assert "in different ways" in result.piece.warnings[0]


def test_instruments_that_the_part_list_does_not_name_are_read(tmp_path, score):
    sound = (
        '<midi-instrument id="other"><midi-channel>2</midi-channel>'
        "<midi-program>41</midi-program></midi-instrument>"
    )
    text = score([("Tune", "", [HEAD.format(1) + note(inside='<instrument id="P9"/>')])])
    text = text.replace("</score-part>", sound + "</score-part>")
    assert len(reading(tmp_path, text).piece.notes) == 1
    alone = text.replace(text[text.index("<score-instrument") : text.index(sound)], "")
    assert reading(tmp_path, alone).piece.tracks[0].program == 40  # MusicXML counts from 1


def test_a_drum_kit_is_one_track_with_the_pitches_of_its_instruments(tmp_path):
    named = "".join(
        f'<score-instrument id="D{n}"><instrument-name>a</instrument-name></score-instrument>'
        for n in range(2)
    )
    sounds = "".join(
        f'<midi-instrument id="D{n}"><midi-channel>10</midi-channel>'
        f"<midi-unpitched>{pitch}</midi-unpitched></midi-instrument>"
        for n, pitch in enumerate((37, 43))
    )
    listed = f'<score-part id="P"><part-name>Kit</part-name>{named}{sounds}</score-part>'
    hit = (
        "<note><unpitched><display-step>E</display-step><display-octave>4</display-octave>"
        '</unpitched><duration>1</duration><instrument id="D{}"/></note>'
    )
    text = (
        f'<score-partwise><part-list>{listed}</part-list><part id="P"><measure>'
        f"{HEAD.format(1)}{hit.format(0)}{hit.format(1)}</measure></part></score-partwise>"
    )
    piece = reading(tmp_path, text).piece
    assert piece.notes["pitch"].tolist() == [36, 42]
    assert [(t.is_drum, t.role) for t in piece.tracks] == [(True, "drums")]


def test_a_transposing_instrument_sounds_in_the_key_that_sounds(tmp_path, score):
    clarinet = (
        "<attributes><divisions>1</divisions><key><fifths>2</fifths></key>"
        "<transpose><chromatic>-2</chromatic></transpose></attributes>"
    )
    piece = reading(tmp_path, score([("Clarinet", "", [clarinet + note("D4")])])).piece
    assert piece.notes["pitch"].tolist() == [60]
    assert piece.keys == (Key(0, 0, ""),)


def test_meters_of_several_parts_add_up_and_music_without_one_has_none(tmp_path, score):
    time = "<beats>3</beats><beat-type>8</beat-type><beats>2</beats><beat-type>4</beat-type>"
    for inside, expected in ((time, (Meter(0, 7, 8),)), ("<senza-misura/>", ())):
        head = f"<attributes><divisions>1</divisions><time>{inside}</time></attributes>"
        assert reading(tmp_path, score([("Alto", "", [head + note()])])).piece.meters == expected


def test_titles_come_from_the_movement_or_the_work(tmp_path, score):
    work = "<work><work-title>The \n Work</work-title></work>"
    bars = [("Alto", "", [HEAD.format(1) + note()])]
    assert reading(tmp_path, score(bars, head=work)).piece.title == "The Work"
    both = work + "<movement-title>Second</movement-title>"
    assert reading(tmp_path, score(bars, head=both)).piece.title == "Second"


def test_bars_may_hold_parts_instead_of_parts_bars(tmp_path, score):
    parts = [
        ("Alto", "", [HEAD.format(1) + note("C4"), note("D4")]),
        ("Bass", "", [HEAD.format(1) + note("C3"), note("D3")]),
    ]
    text = score(parts)
    start = text.index('<part id="P0">')
    bars = "".join(
        f'<measure number="{n}">'
        + "".join(f'<part id="P{p}">{part[2][n]}</part>' for p, part in enumerate(parts))
        + "</measure>"
        for n in range(2)
    )
    timewise = (text[:start] + bars + "</score-partwise>").replace("partwise", "timewise")
    assert rows(reading(tmp_path, timewise)) == rows(reading(tmp_path, text))


METER = (
    "<attributes><divisions>1</divisions>"
    "<time><beats>{}</beats><beat-type>4</beat-type></time></attributes>"
)


def test_a_backup_longer_than_its_bar_is_cut_to_the_start_of_the_bar(tmp_path, score):
    bars = [METER.format(2) + note("C4", 2), note("D4", 2) + back(999) + note("E4", 1)]
    result = reading(tmp_path, score([("Alto", "", bars)]), ticks_per_quarter=1)
    assert rows(result) == [(0, 2, 60), (2, 2, 62), (2, 1, 64)]
    assert result.piece.warnings == (
        "a backup is longer than its bar; cut to the start of the bar",
    )
    first = [METER.format(2) + back(1) + note("C4", 2)]
    assert rows(reading(tmp_path, score([("Alto", "", first)]), ticks_per_quarter=1)) == [
        (0, 2, 60)
    ]


def test_negative_durations_and_offsets_do_not_lead_below_0(tmp_path, score):
    bars = [
        HEAD.format(1)
        + note("C4", -3)
        + note("D4", 1)
        + harmony("A", "minor", "", "<offset>-9</offset>")
    ]
    result = reading(tmp_path, score([("Alto", "", bars)]), ticks_per_quarter=1)
    assert rows(result) == [(0, 1, 62)]
    assert chords(result) == [(0, "Am")]
    assert result.dropped == {"no duration": 1}
    assert result.piece.warnings == ("negative durations are read as 0",)


def test_a_pitch_without_a_letter_is_refused_by_name(tmp_path, score):
    text = score(
        [("Alto", "", [HEAD.format(1) + note().replace("<step>C</step>", "<step>H</step>")])]
    )
    with pytest.raises(DamagedFile, match="<step> is 'H'; it must be a letter from A to G"):
        reading(tmp_path, text)


@pytest.mark.parametrize("divisions", [0, -2])
def test_divisions_of_nothing_are_refused_by_name(tmp_path, score, divisions):
    text = score([("Alto", "", [HEAD.format(divisions) + note()])])
    with pytest.raises(DamagedFile, match=f"<divisions> is {divisions}"):
        reading(tmp_path, text)


@pytest.mark.parametrize("empty", ["", "<note><rest measure='yes'/></note>", "<print/>"])
@pytest.mark.parametrize("parts", [1, 2])
def test_an_empty_bar_lasts_as_long_as_its_meter(tmp_path, score, empty, parts):
    bars = [METER.format(3) + note("C4", 3), empty, note("D4", 3)]
    result = reading(tmp_path, score([("Alto", "", bars)] * parts), ticks_per_quarter=1)
    assert {row[0] for row in rows(result)} == {0, 6}
    assert [a.onset for a in result.piece.annotations if a.kind == "bar"] == [0, 3, 6]
    assert not result.piece.warnings


@pytest.mark.parametrize("other", [None, note("C3", 3)])
def test_a_rest_longer_than_its_bar_moves_nothing(tmp_path, score, other):
    bars = [METER.format(3) + note("C4", 3), rest(4), note("D4", 3)]
    parts = [("Alto", "", bars)]
    if other:
        parts.append(("Bass", "", [HEAD.format(1) + other, other, other]))
    result = reading(tmp_path, score(parts), ticks_per_quarter=1)
    assert [row for row in rows(result) if row[2] >= 60] == [(0, 3, 60), (6, 3, 62)]
    assert result.piece.warnings


def test_a_bar_whose_notes_are_longer_than_its_meter_keeps_its_length(tmp_path, score):
    bars = [METER.format(3) + note("C4", 5), note("D4", 3)]
    result = reading(tmp_path, score([("Alto", "", bars)]), ticks_per_quarter=1)
    assert rows(result) == [(0, 5, 60), (5, 3, 62)]


def test_without_a_meter_bars_are_as_long_as_they_are_filled(tmp_path, score):
    free = "<attributes><time><senza-misura/></time></attributes>"
    bars = [METER.format(3) + note("C4", 3), free + rest(7), note("D4", 3)]
    result = reading(tmp_path, score([("Alto", "", bars)]), ticks_per_quarter=1)
    assert rows(result) == [(0, 3, 60), (10, 3, 62)]


METRONOME = (
    "<direction-type><metronome><beat-unit>quarter</beat-unit>"
    "<per-minute>{}</per-minute></metronome></direction-type>"
)


@pytest.mark.parametrize(
    ("direction", "tempo"),
    [
        ("<direction><offset>1</offset><sound tempo='90'/></direction>", Tempo(3, 90.0)),
        (
            "<direction><offset sound='yes'>1</offset><sound tempo='90'/></direction>",
            Tempo(3, 90.0),
        ),
        ("<direction><offset sound='no'>1</offset><sound tempo='90'/></direction>", Tempo(2, 90.0)),
        ("<direction><offset>-9</offset><sound tempo='90'/></direction>", Tempo(0, 90.0)),
        ("<sound tempo='90'><offset>1</offset></sound>", Tempo(3, 90.0)),
        (f"<direction>{METRONOME.format(90)}<offset>-1</offset></direction>", Tempo(1, 90.0)),
    ],
)
def test_a_tempo_begins_at_its_offset(tmp_path, score, direction, tempo):
    bars = [HEAD.format(1) + note("C4", 2) + direction + note("D4", 2)]
    piece = reading(tmp_path, score([("Alto", "", bars)]), ticks_per_quarter=1).piece
    assert piece.tempos == (tempo,)


def test_a_default_namespace_is_read(tmp_path, score):
    text = score([("Alto", "", [HEAD.format(1) + note()])])
    named = text.replace("<score-partwise", '<score-partwise xmlns="http://www.musicxml.org/ns"', 1)
    assert rows(reading(tmp_path, named)) == rows(reading(tmp_path, text))


def test_files_are_read_by_what_they_hold_not_by_their_suffix(tmp_path, score):
    text = score([("Alto", "", [HEAD.format(1) + note()])])
    (tmp_path / "plain.mxl").write_text(text)
    with zipfile.ZipFile(tmp_path / "zipped.musicxml", "w") as archive:
        archive.writestr("song.xml", text)
        archive.writestr("__MACOSX/._song.xml", "")
    assert len(read(tmp_path / "plain.mxl").piece.notes) == 1
    piece = read(tmp_path / "zipped.musicxml").piece
    assert len(piece.notes) == 1
    assert piece.warnings == ("META-INF/container.xml is missing; took the only score",)


@pytest.mark.parametrize("path_in_container", ["a/b.xml", "./a/b.xml", "a\\b.xml"])
def test_a_score_is_found_as_archives_of_other_systems_name_it(tmp_path, score, path_in_container):
    with zipfile.ZipFile(tmp_path / "song.mxl", "w") as archive:
        archive.writestr("META-INF\\container.xml", CONTAINER.format(path_in_container))
        archive.writestr("a\\b.xml", "\n  " + score([("Alto", "", [HEAD.format(1) + note()])]))
        archive.writestr("other.xml", "<x/>")
    piece = read(tmp_path / "song.mxl").piece
    assert (len(piece.notes), piece.warnings) == (1, ())


CONTAINER = "<container><rootfiles><rootfile full-path='{}'/></rootfiles></container>"


@pytest.mark.parametrize("names", [["It's.xml"], ["a.xml", "b.xml"], []])
def test_a_malformed_container_is_forgiven_where_one_score_is_inside(tmp_path, score, names):
    path = tmp_path / "song.mxl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/container.xml", CONTAINER.format("It's.xml"))
        for name in names:
            archive.writestr(name, score([("Alto", "", [HEAD.format(1) + note()])]))
    if len(names) == 1:
        result = read(path)
        assert len(result.piece.notes) == 1
        assert "container.xml is malformed" in result.piece.warnings[0]
    else:
        with pytest.raises(DamagedFile, match=r"song\.mxl cannot be read: ParseError"):
            read(path)


@pytest.mark.parametrize("text", ["<html/>", "<score-partwise/>", "no xml", ""])
def test_what_is_no_score_is_refused(tmp_path, text):
    with pytest.raises(DamagedFile, match=r"piece\.xml cannot be read: ParseError"):
        reading(tmp_path, text)
