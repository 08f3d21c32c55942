"""Reading files: names, repeats, fermatas, and files that are not what they say."""

import zipfile

import numpy as np
import pytest

from ostinato.files import DamagedFile
from ostinato.music.piece import VOICES, Key, Meter
from ostinato.music.roles import role_of
from ostinato.music.write import write_midi
from ostinato.readers import read as reading
from ostinato.readers.read import SUFFIXES, ReadOptions, keys_in, read_piece
from ostinato.readers.read import read as read_file

ATTRIBUTES = (
    "<attributes><divisions>2</divisions><key><fifths>-3</fifths><mode>minor</mode></key>"
    "<time><beats>3</beats><beat-type>4</beat-type></time></attributes>"
)
STEPS = "CDEFGAB"


def note(step, duration=2, octave=4, *, chord=False, fermata=False):
    """One note of `duration` eighths."""
    return (
        f"<note>{'<chord/>' if chord else ''}<pitch><step>{step}</step><octave>{octave}</octave>"
        f"</pitch><duration>{duration}</duration>"
        f"{'<notations><fermata/></notations>' if fermata else ''}</note>"
    )


def bar(step, **options):
    """A bar of one note of three quarters."""
    return note(step, 6, **options)


def sign(content, location="left"):
    return f'<barline location="{location}">{content}</barline>'


def ending(number, kind, location="left", repeat=False):
    back = '<repeat direction="backward"/>' if repeat else ""
    return sign(f'<ending number="{number}" type="{kind}"/>{back}', location)


FORWARD = sign('<repeat direction="forward"/>')
BACKWARD = sign('<repeat direction="backward"/>', "right")


def read(tmp_path, text, name="piece.musicxml", **options):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_piece(path, ReadOptions(**options))


def steps_of(piece):
    """The names of the notes in their order."""
    names = {0: "C", 2: "D", 4: "E", 5: "F", 7: "G", 9: "A", 11: "B"}
    return "".join(names[int(pitch) % 12] for pitch in piece.notes["pitch"])


def test_roles_come_from_part_names_whatever_the_instruments_are_called(tmp_path, score):
    parts = [
        (name, instrument, [ATTRIBUTES + bar("C")])
        for name, instrument in (
            ("Soprano\n 1", "Bass"),
            ("ALTO", "Organ"),
            ("Tenor, Viola", "Instr. 3"),
            ("Bass", "Soprano"),
            ("Continuo", "Alto"),
        )
    ]
    piece = read(tmp_path, score(parts))
    assert [track.role for track in piece.tracks][:4] == ["soprano", "alto", "tenor", "bass"]
    assert piece.tracks[4].role not in VOICES
    assert piece.tracks[0].name == "Soprano 1"
    assert piece.tracks[4].name == "Continuo"


def test_a_part_name_that_only_contains_a_voice_is_none():
    assert role_of("Soprano") == "soprano"
    assert not {role_of(name) for name in ("Mezzo Soprano", "", "Bassoon")} & set(VOICES)


def test_a_pickup_a_fermata_in_a_second_voice_and_a_chord_lie_where_they_sound(tmp_path, score):
    second = "<backup><duration>6</duration></backup>" + note("E", 4) + note("F", 2, fermata=True)
    measures = [
        ATTRIBUTES + note("C"),  # a pickup of one quarter
        bar("D") + second,
        note("G", 4) + note("B", 4, chord=True, fermata=True) + note("A", 2),
    ]
    piece = read(tmp_path, score([("Soprano", "x", measures)]), ticks_per_quarter=480)
    assert piece.notes["onset"].tolist() == [0, 480, 480, 1440, 1920, 1920, 2880]
    assert piece.notes["duration"].tolist() == [480, 1440, 960, 480, 960, 960, 480]
    fermatas = [a.onset for a in piece.annotations if a.kind == "fermata"]
    bars = [a.onset for a in piece.annotations if a.kind == "bar"]
    assert (fermatas, bars) == ([1440, 1920], [0, 480, 1920])
    assert piece.meters == (Meter(0, 3, 4),)
    assert piece.keys == (Key(0, -3, "minor"),)


def test_fermatas_are_repeated_with_their_bar(tmp_path, score):
    measures = [ATTRIBUTES + bar("C"), FORWARD + bar("D", fermata=True), bar("E") + BACKWARD]
    text = score([("Soprano", "x", measures)])
    for expand, expected in ((False, [1440]), (True, [1440, 4320])):
        piece = read(tmp_path, text, expand_repeats=expand)
        assert [a.onset for a in piece.annotations if a.kind == "fermata"] == expected


REPEATS = {
    "a plain repeat": (
        [bar("C"), FORWARD + bar("D"), bar("E") + BACKWARD, bar("F")],
        "CDEF",
        "CDEDEF",
    ),
    "from the beginning": ([bar("C"), bar("D") + BACKWARD, bar("E")], "CDE", "CDCDE"),
    "two endings": (
        [
            FORWARD + bar("C"),
            ending(1, "start") + bar("D") + ending(1, "stop", "right", repeat=True),
            ending(2, "start") + bar("E") + ending(2, "stop", "right"),
            bar("F"),
        ],
        "CEF",
        "CDCEF",
    ),
    "endings of several bars": (
        [
            FORWARD + bar("C"),
            ending(1, "start") + bar("D"),
            bar("A") + ending(1, "stop", "right", repeat=True),
            ending(2, "start") + bar("E"),
            bar("B") + ending(2, "discontinue", "right"),
            bar("F"),
        ],
        "CEBF",
        None,
    ),
    "a second ending that is open": (
        [
            FORWARD + bar("C"),
            ending(1, "start") + bar("D") + ending(1, "stop", "right", repeat=True),
            ending(2, "start") + bar("E"),
        ],
        "CE",
        "CDCE",
    ),
    "two sections with other numbers of endings": (
        [
            FORWARD + bar("C"),
            ending(1, "start") + bar("D") + ending(1, "stop", "right", repeat=True),
            ending(2, "start") + bar("E") + ending(2, "stop", "right"),
            FORWARD + bar("F"),
            ending("1,2", "start") + bar("G") + ending("1,2", "stop", "right", repeat=True),
            ending(3, "start") + bar("A") + ending(3, "stop", "right"),
        ],
        "CEFA",
        None,
    ),
    "dal segno": (
        [bar("C"), bar("D") + '<sound segno="s"/>', bar("E") + '<sound dalsegno="s"/>'],
        "CDE",
        None,
    ),
}


@pytest.mark.parametrize("name", REPEATS)
def test_each_printed_bar_sounds_once_or_the_repeats_are_played_out(tmp_path, score, name):
    measures, once, expanded = REPEATS[name]
    measures = [ATTRIBUTES + measures[0], *measures[1:]]
    text = score([("Soprano", "x", measures), ("Bass", "x", measures)])
    piece = read(tmp_path, text)
    assert steps_of(piece)[::2] == once
    assert steps_of(piece)[1::2] == once
    assert piece.length == 1440 * len(once)
    if expanded:
        assert steps_of(read(tmp_path, text, expand_repeats=True))[::2] == expanded


def test_a_compressed_score_reads_like_a_plain_one(tmp_path, score):
    text = score([("Alto", "x", [ATTRIBUTES + bar("C"), bar("D", fermata=True)])])
    container = '<container><rootfiles><rootfile full-path="inside/s.xml"/></rootfiles></container>'
    with zipfile.ZipFile(tmp_path / "piece.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("inside/s.xml", text)
    plain, packed = read(tmp_path, text), read_piece(tmp_path / "piece.mxl")
    assert np.array_equal(plain.notes, packed.notes)
    assert plain.annotations == packed.annotations
    assert packed.id == "piece"


@pytest.mark.parametrize("name", ["cut.musicxml", "cut.mxl", "cut.mid", "cut.krn"])
def test_a_file_that_is_cut_is_never_read_without_a_word(tmp_path, score, chorale, name):
    path = tmp_path / name
    if name.endswith("mid"):
        write_midi(path, chorale(1))
    elif name.endswith("mxl"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("META-INF/container.xml", "<container/>")
    elif name.endswith("krn"):
        path.write_text("**kern\t**kern\n4c\t4e\n4d\t")
    else:
        path.write_text(score([("Alto", "x", [ATTRIBUTES + bar("C")])]))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
    try:
        piece = read_piece(path)
    except DamagedFile as error:
        assert name in str(error)
    else:
        assert name in ("cut.mid", "cut.krn")  # which are read as far as they go
        assert piece.warnings


def test_a_file_of_another_kind_and_one_that_is_not_there_are_named(tmp_path):
    (tmp_path / "song.mp3").write_bytes(b"ID3")
    with pytest.raises(ValueError, match=r"song\.mp3 .*\.mid, \.midi, \.kar, \.rmi, \.smf, \.mxl"):
        read_piece(tmp_path / "song.mp3")
    with pytest.raises(FileNotFoundError, match=r"song\.mid does not exist"):
        read_piece(tmp_path / "song.mid")


def test_containers_name_their_pieces_and_other_files_have_one(tmp_path, chorale):
    write_midi(tmp_path / "a.mid", chorale(1))
    tunes = "X:2\nT:b\nK:C\nCDE|\n\nX:1\nT:a\nK:C\nEDC|\n"
    (tmp_path / "two.abc").write_text(tunes)
    assert keys_in(tmp_path / "a.mid") == [""]
    assert keys_in(tmp_path / "two.abc") == ["0001", "0002"]
    assert read_file(tmp_path / "two.abc", "0001").piece.title == "a"
    with pytest.raises(ValueError, match=r"two\.abc holds no piece ''; it holds 2: 0001, 0002"):
        read_piece(tmp_path / "two.abc")
    assert {".mid", ".midi", ".mxl", ".xml", ".musicxml", ".krn", ".abc"} <= set(SUFFIXES)


def test_memory_that_runs_out_is_never_called_the_files_damage(tmp_path, monkeypatch):
    """A guard gives it a reason of its own, even where a reader hides it behind another error."""

    def greedy(path, key, options):
        try:
            raise MemoryError
        except MemoryError as error:
            raise DamagedFile("it is too long") from error

    (tmp_path / "a.abc").write_text("X:1\nT:a\nK:C\nCDE|\n")
    monkeypatch.setitem(reading._READ, "abc", greedy)
    with pytest.raises(MemoryError):
        read_file(tmp_path / "a.abc")


def test_a_named_reader_wins_over_the_suffix_and_an_unknown_one_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"train": [[[60]]]}')
    options = ReadOptions(reader="voices_json")
    assert keys_in(tmp_path / "a.json", options) == ["train/000"]
    with pytest.raises(ValueError, match=r"'\.json'; known are"):
        keys_in(tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"'voices_jsn' is unknown; use one of .*'voices_json'"):
        ReadOptions(reader="voices_jsn")
