"""ABC: one file of many tunes, and what the signs of a tune sound like."""

from fractions import Fraction

import pytest

from ostinato.files import DamagedFile
from ostinato.music.piece import Key, Meter, Tempo
from ostinato.readers.abc_fields import key_of, meter_of, part_order, qpm_of
from ostinato.readers.read import ReadOptions, read

NAMES = {0: "C", 2: "D", 4: "E", 5: "F", 7: "G", 9: "A", 11: "B"}


def tune(tmp_path, music, head="M:4/4\nL:1/4\n", key="C", **options):
    path = tmp_path / "tune.abc"
    path.write_text(f"X:1\nT:A tune\n{head}K:{key}\n{music}\n", encoding="utf-8")
    return read(path, "", ReadOptions(**{"ticks_per_quarter": 24} | options))


def rows(result):
    """Onset, duration and pitch of every note; 24 ticks are a quarter."""
    return [tuple(row)[1:4] for row in result.piece.notes.tolist()]


def pitches(result):
    return [row[2] for row in rows(result)]


def letters(result):
    return "".join(NAMES[pitch % 12] for pitch in pitches(result))


def annotations(result, kind):
    return [(a.onset, a.value) for a in result.piece.annotations if a.kind == kind]


def test_lengths_tuplets_broken_rhythms_rests_and_chords(tmp_path):
    music = "C2 D/ E// F3/2 | (3CDE G>A B<<c | z2 [CE]2 x | [C/E/] (3:2:2CD y E"
    assert rows(tune(tmp_path, music)) == [
        (0, 48, 60), (48, 12, 62), (60, 6, 64), (66, 36, 65),
        (102, 16, 60), (118, 16, 62), (134, 16, 64), (150, 36, 67), (186, 12, 69), (198, 6, 71),
        (204, 42, 72),
        (294, 48, 60), (294, 48, 64),
        (366, 12, 60), (366, 12, 64), (378, 16, 60), (394, 16, 62), (410, 24, 64),
    ]  # fmt: skip


def test_accidentals_hold_to_the_bar_line_and_through_ties(tmp_path):
    assert pitches(tune(tmp_path, "^F F f =F | F f", key="C")) == [66, 66, 78, 65, 65, 77]
    assert rows(tune(tmp_path, "_B2- | B B", key="C")) == [(0, 72, 70), (72, 24, 71)]
    assert rows(tune(tmp_path, "[^CE]2- | [CE] [C-E] C")) == [
        (0, 72, 61), (0, 72, 64), (72, 48, 60), (72, 24, 64),
    ]  # fmt: skip


def test_octaves_clefs_and_voices_with_a_shift(tmp_path):
    assert pitches(tune(tmp_path, "C, C c c' c''")) == [48, 60, 72, 84, 96]
    assert pitches(tune(tmp_path, "C", key="C treble-8")) == [48]
    assert pitches(tune(tmp_path, "C", key="C octave=1")) == [72]


@pytest.mark.parametrize(
    ("text", "fifths", "mode", "altered"),
    [
        ("G", 1, "major", "F"), ("Bb", -2, "major", "BE"), ("F#m", 3, "minor", "FCG"),
        ("D dorian", 0, "dorian", ""), ("Amix", 2, "mixolydian", "FC"),
        ("E Phr", 0, "phrygian", ""),
        ("HP", 2, "", "FC"), ("none", 0, "", ""), ("D exp _b ^f", 0, "", "BF"),
        ("D exp ^c_b", 0, "", "CB"),
        ("C#", 7, "major", "FCGDAEB"), ("E♭", -3, "major", "BEA"), ("C♯ min", 4, "minor", "FCGD"),
        ("^f ^c", 0, "", "FC"), ("none _b", 0, "", "B"), ("", 0, "", ""),
        ("E middle=d", 4, "major", "FCGD"), ("D m=D", 2, "major", "FC"),
        ("A clef=G", 3, "major", "FCG"), ("Em clef = bass ^d", 1, "minor", "FD"),
        ("Dmin=b", -1, "minor", ""),
    ],
)  # fmt: skip
def test_keys(text, fifths, mode, altered):
    key = key_of(text)
    assert (key.fifths, key.mode) == (fifths, mode)
    assert {letter for letter, alter in key.alters.items() if alter} == set(altered)


def test_a_key_field_that_names_neither_key_nor_clef_is_named(tmp_path):
    assert tune(tmp_path, "F", key="g").piece.warnings == (
        "1 fields name no key that can be read (K:g)",
    )
    for clef in ("bass", "clef=alto middle=C", "perc"):
        assert key_of(clef) is None
        assert tune(tmp_path, "F", key=clef).piece.warnings == ()


@pytest.mark.parametrize(
    ("text", "meter"),
    [
        ("3/4", (3, 4)), ("C|", (2, 2)), ("2+3/8", (5, 8)), ("(2+3+2)/8", (7, 8)),
        ("2/4+3/8", (7, 8)), ("3/8 + 2/8", (5, 8)), ("3/4+", (3, 4)), ("6/8 2/4", (6, 8)),
        ("none", None), ("4/0", None), ("0/4", None), ("1/3+1/4", None),
    ],
)  # fmt: skip
def test_meters(text, meter):
    assert meter_of(text) == meter


def test_tuplets_of_ten_and_more_notes_name_their_time(tmp_path):
    music = "(12:8:12CDEFGABcdefg a (10:4:2CD E (1F G"
    assert [row[:2] for row in rows(tune(tmp_path, music))] == [
        *((16 * n, 16) for n in range(12)), (192, 24),
        (216, 10), (226, 9), (235, 24), (259, 24), (283, 24),
    ]  # fmt: skip


def test_a_tune_too_long_to_count_is_refused_by_its_length(tmp_path):
    with pytest.raises(DamagedFile, match="it lasts 1e\\+08 quarter notes, too long to count"):
        tune(tmp_path, "C99999999 D")


def test_tempos_and_orders_of_parts():
    fields = ("1/4=120", '"Fast" 3/8=60', "100", "slow")
    assert [qpm_of(text, Fraction(1, 2)) for text in fields] == [120.0, 90.0, 50.0, None]
    assert "".join(part_order("A2.(BC)2D")) == "AABCBCD"


def test_fields_within_a_tune_change_what_follows(tmp_path):
    music = (
        'C4 |\nM:3/4\nK:G\n"Am7" F3 | [L:1/8] "^slow" "G/B" F6 | [M:4/4][Q:1/4=90] !fermata!F8 |]'
    )
    result = tune(tmp_path, music, head="M:C\nL:1/4\nQ:1/4=60\n")
    assert result.piece.meters == (Meter(0, 4, 4), Meter(96, 3, 4), Meter(240, 4, 4))
    assert result.piece.keys == (Key(0, 0, "major"), Key(96, 1, "major"))
    assert result.piece.tempos == (Tempo(0, 60.0), Tempo(240, 90.0))
    assert rows(result) == [(0, 96, 60), (96, 72, 66), (168, 72, 66), (240, 96, 66)]
    assert annotations(result, "chord") == [(96, "Am7"), (168, "G/B")]
    assert annotations(result, "bar") == [(0, ""), (96, ""), (168, ""), (240, "")]
    assert annotations(result, "fermata") == [(240, "")]


def test_the_unit_length_follows_the_meter_where_it_is_not_given(tmp_path):
    assert rows(tune(tmp_path, "C", head="M:2/4\n"))[0][1] == 6
    assert rows(tune(tmp_path, "C", head="M:3/4\n"))[0][1] == 12


def test_a_repeat_within_a_bar_begins_no_bar(tmp_path):
    result = tune(tmp_path, "C | D E F G | A B c :| d | e f g a |]")
    assert annotations(result, "bar") == [(n, "") for n in (0, 24, 120, 216)]


def test_voices_are_tracks_and_overlays_sound_together(tmp_path):
    head = 'M:4/4\nL:1/4\nV:S name="Soprano"\nV:B nm="Bass" octave=-1\n'
    music = "V:S\nCDEF & c4 | G4 |\nV:B\n[V:B] C4 | C4 |\n[V:S] A4 |\n"
    result = tune(tmp_path, music, head)
    assert [t.role for t in result.piece.tracks] == ["soprano", "bass"]
    voices = [[tuple(r)[1:4] for r in result.piece.voice(v).tolist()] for v in ("soprano", "bass")]
    assert voices[1] == [(0, 96, 48), (96, 96, 48)]
    assert (0, 96, 72) in voices[0]
    assert voices[0][-2:] == [(96, 96, 67), (192, 96, 69)]


def test_grace_notes_are_counted_and_strange_signs_are_named(tmp_path):
    result = tune(tmp_path, "{/ga}C {b}D ? E")
    assert result.dropped == {"grace note": 3}
    assert letters(result) == "CDE"
    assert result.piece.warnings == ("1 characters are not ABC music: ?",)
