"""MusicXML that is damaged where no note hangs on it is read, with a warning."""

import pytest

from ostinato.files import DamagedFile
from ostinato.readers.read import read

HEAD = "<attributes><divisions>2</divisions>{}</attributes>"
NOTE = "<note{1}><pitch><step>{0}</step><octave>4</octave></pitch><duration>4</duration></note>"
SCORE = (
    '<?xml version="1.0"{2}?><score-partwise><part-list><score-part id="P1"><part-name>{1}'
    '</part-name>{3}</score-part></part-list><part id="P1"><measure>{0}</measure></part>'
    "</score-partwise>"
)


def reading(tmp_path, bar, name="Flute", said="", instrument="", charset="utf-8"):
    path = tmp_path / "piece.musicxml"
    path.write_bytes(SCORE.format(bar, name, said, instrument).encode(charset))
    return read(path)


def notes(result):
    return [tuple(row)[1:4] for row in result.piece.notes.tolist()]


@pytest.mark.parametrize(
    ("sign", "tag"),
    [
        ("<key><fifths>-</fifths></key>", "key"),
        ("<time><beats>x</beats><beat-type>4</beat-type></time>", "time"),
        ("<time><beats>4</beats><beat-type>0</beat-type></time>", "time"),
    ],
)
def test_malformed_keys_and_meters_have_no_effect(tmp_path, sign, tag):
    result = reading(tmp_path, HEAD.format(sign) + NOTE.format("C", ""))
    assert notes(result) == [(0, 960, 60)]
    assert result.piece.warnings == (f"malformed <{tag}>; it has no effect",)


@pytest.mark.parametrize(
    "sign",
    ['<sound tempo="fast"/>', '<sound dynamics="loud"/>', '<sound tempo="inf"/>',
     "<direction><offset>x</offset><sound tempo=\"60\"/></direction>"],
)  # fmt: skip
def test_malformed_tempos_and_dynamics_have_no_effect(tmp_path, sign):
    bar = HEAD.format("") + sign + NOTE.format("c", "") + NOTE.format("D", ' dynamics="x"')
    result = reading(tmp_path, bar)
    assert notes(result) == [(0, 960, 60), (960, 960, 62)]
    assert not result.piece.tempos


def test_a_malformed_program_is_a_piano(tmp_path):
    midi = '<midi-instrument id="I"><midi-program>x</midi-program></midi-instrument>'
    result = reading(tmp_path, HEAD.format("") + NOTE.format("C", ""), instrument=midi)
    assert result.piece.tracks[0].program == 0
    assert result.piece.warnings == ("malformed <midi-program>; it has no effect",)


def test_a_note_without_a_duration_lasts_as_it_is_drawn(tmp_path):
    pitch = "<pitch><step>C</step><octave>4</octave></pitch>"
    triplet = "<actual-notes>3</actual-notes><normal-notes>2</normal-notes>"
    bar = (
        f"<note>{pitch}<type>quarter</type><dot/></note><note>{pitch}<type>eighth</type>"
        f"<time-modification>{triplet}</time-modification></note><note>{pitch}</note>"
    )
    result = reading(tmp_path, HEAD.format("") + bar)
    assert notes(result) == [(0, 720, 60), (720, 160, 60)]
    assert result.dropped == {"no duration": 1}


@pytest.mark.parametrize(
    ("charset", "name"),
    [("gb2312", "钢琴"), ("Shift_JIS", "ピアノ"), ("big5", "鋼琴"), ("euc-kr", "피아노"),
     ("windows-1252", "Flûte"), ("koi8-r", "Скрипка"), ("utf-16", "钢琴")],
)  # fmt: skip
def test_every_character_set_that_a_file_names_is_read(tmp_path, charset, name):
    result = reading(
        tmp_path, NOTE.format("C", ""), name, f' encoding="{charset}"', charset=charset
    )
    assert result.piece.tracks[0].name == name
    assert not result.piece.warnings


@pytest.mark.parametrize(
    ("said", "charset"), [("", "cp1252"), ("UTF-8", "cp1252"), ("UTF-16", "utf-8"), ("x", "utf-8")]
)
def test_a_wrong_name_of_the_character_set_is_a_warning(tmp_path, said, charset):
    declared = f' encoding="{said}"' if said else ""
    result = reading(tmp_path, NOTE.format("C", ""), "Flûte", declared, charset=charset)
    assert result.piece.tracks[0].name == "Flûte"
    assert result.piece.warnings == (
        f"the text is not in {said.lower() or 'utf-8'}, as it says; read as {charset}",
    )


def test_what_decides_where_notes_are_must_be_sound(tmp_path):
    for bar in ("<attributes><divisions>x</divisions></attributes>", "<note><rest/>"):
        with pytest.raises(DamagedFile):
            reading(tmp_path, bar + NOTE.format("C", ""))
