"""Bytes that no tidy writer makes: what can be read is read, and what was wrong is said."""

import struct

import pytest

from ostinato.files import DamagedFile
from ostinato.music.piece import Annotation, Key, Meter, Tempo
from ostinato.readers.base import ReadOptions
from ostinato.readers.midi import read_midi_bytes

END = b"\x00\xff\x2f\x00"
ONE = b"\x00\x90\x3c\x40\x60\x80\x3c\x00"  # a C of a quarter
TWO = ONE + b"\x00\x90\x3e\x40\x60\x80\x3e\x00"
REFUSED = "MusPy refuses the file"
DAMAGED = f"tracks that are cut or damaged, read as far as they go; {REFUSED}: 1"
WRONG_LENGTH = f"tracks whose length is not what they say; {REFUSED} or reads less: 1"
NOT_COMPARED = "not compared with symusic, which may crash on damaged tracks"


def chunk(content, length=None, name=b"MTrk"):
    return name + struct.pack(">I", len(content) if length is None else length) + content


def header(kind=1, tracks=1, division=96, size=6):
    return b"MThd" + struct.pack(">IHHH", size, kind, tracks, division)


def meta(kind, content, delta=0):
    return bytes([delta, 0xFF, kind, len(content)]) + content


def read(data, tpq=96):
    return read_midi_bytes(data, "a.mid", ReadOptions(ticks_per_quarter=tpq)).piece


def read_track(content, **values):
    return read(header(**values) + chunk(content))


def pitches(piece):
    return piece.notes["pitch"].tolist()


WHOLE = header() + chunk(TWO + END)
MISSING = "bytes of tracks that are missing or make no sense"
CASES = {
    "plain": (WHOLE, [60, 62], ()),
    "running status, also after a meta event": (
        header() + chunk(ONE[:4] + b"\x60\x3c\x00" + meta(1, b"a") + b"\x00\x3e\x40\x60\x3e\x00"),
        [60, 62], (),
    ),
    "sysex and system events": (
        header() + chunk(b"\x00\xf0\x02\x01\xf7" + ONE + b"\x00\xf8\x00\xf2\x01\x02" + ONE),
        [60, 60], (),
    ),
    "an escape": (
        header() + chunk(ONE + b"\x00\xf7\x01\x05" + ONE[4:] + TWO[8:] + END), [60, 62],
        ("not compared with symusic, which cannot read escape events",),
    ),
    "a longer header": (header(size=8) + b"\x00\x00" + chunk(TWO + END), [60, 62],
                        ("symusic refuses the file: MiniMidi: ",)),
    "padding behind the last track": (WHOLE + bytes(100), [60, 62], ()),
    "an unknown chunk": (
        header(tracks=2) + chunk(b"hello", name=b"XFIH") + chunk(ONE + END) + chunk(TWO + END),
        [60, 60, 62], (f"bytes before a track, passed over; {REFUSED}: 13", NOT_COMPARED),
    ),
    "bytes before the header": (
        bytes(128) + WHOLE, [60, 62],
        (f"bytes before the header; {REFUSED}: 128", "symusic refuses the file: MiniMidi: "),
    ),
    "a RIFF container": (
        b"RIFF" + struct.pack("<I", len(WHOLE) + 12) + b"RMIDdata" + struct.pack("<I", len(WHOLE))
        + WHOLE + b"LIST" + struct.pack("<I", 4) + b"INFO",
        [60, 62], (f"in a RIFF container; {REFUSED}", "symusic refuses the file"),
    ),
    "a RIFF container that does not know its size": (
        b"RIFF\x00\x00\x00\x00RMIDdata\x00\x00\x00\x00" + WHOLE, [60, 62],
        (f"in a RIFF container; {REFUSED}", "symusic refuses the file"),
    ),
    "type 2": (
        header(kind=2, tracks=2) + chunk(ONE + END) * 2, [60, 60],
        (f"type 2, its patterns are read as parallel tracks; {REFUSED}",),
    ),
    "a type that does not exist": (
        header(kind=3, tracks=2) + chunk(ONE + END) * 2, [60, 60],
        ("type 3, which does not exist; read as the tracks are",
         "symusic refuses the file: MiniMidi: Invaild midi format"),
    ),
    "a header that is too short": (
        header(size=5) + chunk(TWO + END), [60, 62],
        (f"header of 5 bytes, read as 6; {REFUSED}", "symusic refuses the file: MiniMidi: "),
    ),
    "a header that is longer than the file": (
        header(size=2**31) + chunk(TWO + END), [60, 62],
        (f"header of {2**31} bytes, read as 6; {REFUSED}", "symusic refuses the file: "),
    ),
    "padding behind the end of a track": (header() + chunk(TWO + END + bytes(5)), [60, 62], ()),
    "a cut track": (WHOLE[:-6], [60], (
        DAMAGED, f"{MISSING}: 8", "notes never ended, closed with their track: 1", NOT_COMPARED)),
    "a track whose length is 0": (
        header(tracks=2) + chunk(ONE + END, 0) + chunk(TWO + END), [60, 60, 62],
        (WRONG_LENGTH, NOT_COMPARED),
    ),
    "a track whose length is too small": (
        header(tracks=2) + chunk(TWO + END, 7) + chunk(ONE + END), [60, 60, 62],
        (WRONG_LENGTH, NOT_COMPARED),
    ),
    "a track whose length takes in the next": (
        header(tracks=2) + chunk(TWO + END, 40) + chunk(ONE + END), [60, 60, 62],
        (WRONG_LENGTH, NOT_COMPARED),
    ),
    "a track whose length goes beyond the file": (
        header() + chunk(TWO + END, 2**32 - 1), [60, 62], (WRONG_LENGTH, NOT_COMPARED),
    ),
    "a header that names more tracks": (
        header(tracks=5) + chunk(TWO + END), [60, 62],
        (f"tracks that the header names and the file lacks; {REFUSED}: 4", NOT_COMPARED),
    ),
    "a header that names fewer tracks": (
        header(tracks=1) + chunk(ONE + END) + chunk(TWO[8:] + END), [60, 62],
        ("tracks beyond those that the header names; MusPy leaves them out: 1",
         "symusic reads other notes: 0 that are not here, 1 are not there"),
    ),
    "data bytes with the high bit": (
        header() + chunk(b"\x00\x90\x3c\xc0\x60\x80\x3c\x00\x00\x90\xbc\x40" + END), [60],
        (f"events with a data byte above 127; {REFUSED}: 2", NOT_COMPARED),
    ),
    "data without a status": (
        header() + chunk(b"\x00\x3c\x40" + TWO + END), [],
        (DAMAGED, f"{MISSING}: 23", NOT_COMPARED),
    ),
    "a status that does not exist": (
        header() + chunk(ONE + b"\x00\xf4" + TWO + END), [60],
        (DAMAGED, f"{MISSING}: 22", NOT_COMPARED),
    ),
    "a delta of five bytes": (
        header() + chunk(ONE + b"\x80\x80\x80\x80" + TWO + END), [60],
        (DAMAGED, f"{MISSING}: 24", NOT_COMPARED),
    ),
    "text longer than its track": (
        header() + chunk(ONE + b"\x00\xff\x01\x7fabc"), [60],
        (DAMAGED, f"{MISSING}: 7", NOT_COMPARED),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_there_is_read_and_what_is_wrong_is_said(name):
    data, expected, warnings = CASES[name]
    piece = read(data)
    assert pitches(piece) == expected
    assert len(piece.warnings) == len(warnings)
    for said, start in zip(piece.warnings, warnings, strict=True):
        assert said.startswith(start)


@pytest.mark.parametrize(("tail", "count"), [
    (TWO, 2), (TWO + END, 2), (ONE + END + TWO + END, 3),
    (b"\x00\x3e\x40\x10\x3e\x00", 0),  # the running status is that of a note-off
    (b"\x00\xff\x01\x01a" + TWO + b"\x00\xf4\x00\x90\x40\x40", 2),  # as far as it can be read
    (meta(0x51, b"\x01\x00\x00") + b"\x00\x90\xbc\x40", 1),
])  # fmt: skip
@pytest.mark.parametrize("tracks", [1, 2])
def test_notes_after_the_end_of_their_track_are_counted(tail, count, tracks):
    data = header(tracks=tracks) + chunk(TWO + END + tail) + chunk(ONE + END) * (tracks - 1)
    reading = read_midi_bytes(data, "a.mid", ReadOptions(ticks_per_quarter=96))
    assert sorted(pitches(reading.piece)) == sorted([60, 62, 60][: 1 + tracks])
    assert reading.dropped == ({"after the end of its track": count} if count else {})
    assert (reading.piece.warnings, reading.piece.tempos) == ((), ())


@pytest.mark.parametrize(("tracks", "title"), [(1, "Lied"), (2, "Lied")])
def test_a_wrong_type_is_that_of_the_tracks(tracks, title):
    body = chunk(meta(3, b"Lied") + ONE + END) * tracks
    piece = read(header(kind=513, tracks=tracks) + body)
    assert (piece.title, piece.tracks[0].name) == (title, "" if tracks == 1 else title)


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_a_file_cut_anywhere_keeps_what_was_read_or_is_refused(at):
    try:
        piece = read(WHOLE[:at])
    except DamagedFile:
        assert at < 22
        return
    ons = (at >= 26) + (at >= 34)
    assert len(piece.notes) <= ons
    assert any(f"{MISSING}: " in text for text in piece.warnings)


@pytest.mark.parametrize(("data", "words"), [
    (b"", "no MThd"),
    (b"MThx" + WHOLE[4:], "no MThd"),
    (header()[:11], "ends in its MIDI header, of which it has 3 bytes"),
    (header(division=0) + chunk(ONE), "0 ticks"),
    (header(division=0x9C28) + chunk(ONE), "100 frames"),
    (header(division=0xE700) + chunk(ONE), "25 frames of 0 ticks"),
    (header(), "no track"),
    (header() + chunk(ONE, name=b"XXXX"), "no track"),
    (header() + chunk(b"\xff\xff\xff\x7f\xb0\x00\x00" * 9 + END), "a track lasts 2415919095 ticks"),
])  # fmt: skip
def test_what_cannot_be_read_is_refused_in_words(data, words):
    with pytest.raises(DamagedFile, match=words):
        read(data)


@pytest.mark.parametrize(("division", "quarter"), [
    (0xE728, 500), (0xE850, 960), (0xE264, 1500), (0xE364, 1498.5),
])  # fmt: skip
def test_video_frames_are_read_at_120_quarters_a_minute(division, quarter):
    second = round(2 * quarter)
    content = b"\x00\x90\x3c\x40" + bytes([128 | second >> 7, second & 127]) + b"\x80\x3c\x00"
    piece = read_track(meta(0x51, b"\x01\x00\x00") + content + END, division=division)
    assert piece.notes["duration"].tolist() == [192]
    assert piece.tempos == (Tempo(0, 120.0),)
    assert piece.warnings[:2] == (
        "division in video frames, read at 120 qpm; MusPy refuses the file",
        "tempos of a file that counts frames left out: 1",
    )
    assert piece.warnings[2].startswith("symusic refuses the file: ")


def test_changes_are_sorted_once_an_onset_and_only_where_something_changes():
    tempo = meta(0x51, b"\x07\xa1\x20") + meta(0x51, b"\x0f\x42\x40") + meta(
        0x51, b"\x0f\x42\x40", 96) + meta(0x51, b"\x07\xa1\x20", 96)  # fmt: skip
    meters = meta(0x58, b"\x03\x02\x18\x08") + meta(0x58, b"\x00\x02\x18\x08", 96) + meta(
        0x58, b"\x06\x03\x18\x08") + meta(0x58, b"\x06\x03\x24\x08", 96)  # fmt: skip
    keys = meta(0x59, b"\xfd\x01") + meta(0x59, b"\x09\x00", 96) + meta(0x59, b"\x07\x00")
    tracks = [content + END for content in (ONE, meters, keys + tempo)]
    piece = read(header(tracks=3) + b"".join(chunk(track) for track in tracks))
    assert piece.tempos == (Tempo(96, 60.0), Tempo(288, 120.0))
    assert piece.meters == (Meter(0, 3, 4), Meter(96, 6, 8))
    assert piece.keys == (Key(0, -3, "minor"), Key(96, 7, "major"))
    assert piece.warnings == (
        "meters that do not exist left out: 1",
        "keys that do not exist left out; MusPy refuses the file: 1",
    )


def test_tempos_that_cannot_be_and_short_ones_are_left_out():
    piece = read_track(meta(0x51, b"\x00\x00\x00") + meta(0x51, b"\x01") + ONE + END)
    assert piece.tempos == ()
    text = "tempos that do not exist left out; MusPy refuses the file: 2"
    assert piece.warnings == (text, NOT_COMPARED)


def test_tens_of_thousands_of_tempos_are_one_each():
    ramp = b"".join(meta(0x51, (500000 + n // 2).to_bytes(3, "big"), 1) for n in range(40_000))
    piece = read_track(ramp + ONE + END)
    assert len(piece.tempos) == 20_000
    assert piece.tempos[1] == Tempo(3, 6e7 / 500001)


@pytest.mark.parametrize(("raw", "text", "guessed"), [
    (b"Fl\xc3\xb6te", "Flöte", ""),
    (b"\xef\xbb\xbfFl\xc3\xb6te", "Flöte", ""),
    (b"Fl\xf6te", "Flöte", "cp1252"),
    (b"\x83\x73\x83\x41\x83\x6d", "ピアノ", "cp932"),
    ("Школьный романс".encode("cp1251"), "Школьный романс", "cp1251"),
    ("Refrain à la fin".encode("cp1252"), "Refrain à la fin", "cp1252"),
    ("Гитара".encode("koi8-r"), "Гитара", "koi8-r"),
    ("Барабаны".encode("cp866"), "Барабаны", "cp866"),
    ("小提琴".encode("gbk"), "小提琴", "gb18030"),
    ("鋼琴".encode("big5"), "鋼琴", "big5hkscs"),
    ("弦楽器".encode("cp932"), "弦楽器", "cp932"),
    ("피아노".encode("euc-kr"), "피아노", "cp949"),
    ("ピアノ".encode("euc-jp"), "ピアノ", "euc-jp"),
    ("Κιθάρα".encode("cp1253"), "Κιθάρα", "cp1253"),
    ("Příčná flétna".encode("cp1250"), "Příčná flétna", "cp1250"),
    ("Stück für Klavier".encode("cp850"), "Stück für Klavier", "cp850"),
    ("小提琴".encode("utf-16"), "小提琴", ""),
    ("\ufeffFlöte".encode("utf-16-be"), "Flöte", ""),
    ("Piano".encode("utf-16-le"), "Piano", ""),
    ("Flöte".encode("utf-16-be"), "Flöte", ""),
    ("Гитара".encode("utf-16-le"), "Гитара", ""),
    ("ピアノ".encode("utf-16-be"), "ピアノ", ""),
    (b"Piano\0\0\0", "Piano", ""),
    (b"caf\xe9 \x81", "café", "latin-1"),  # 0x81 is nothing in cp1252, a control in Latin-1
    (b"  Right\x00 hand\r\n ", "Right hand", ""),
])  # fmt: skip
def test_names_in_any_encoding_are_read_and_a_guess_is_said(raw, text, guessed):
    piece = read(header(tracks=2) + chunk(meta(3, raw) + END) + chunk(meta(3, raw) + ONE + END))
    assert (piece.title, piece.tracks[0].name) == (text, text)
    said = f"names and words in a guessed character set: {guessed}"
    assert piece.warnings == ((said,) if guessed else ())


def test_a_set_is_guessed_from_all_names_of_a_file_but_those_of_a_form_of_their_own():
    names = ["Соло".encode("koi8-r"), b"Bass", "Песня о друге".encode("koi8-r"), b"P\0i\0a\0n\0o\0"]
    tracks = b"".join(chunk(meta(3, name) + ONE + END) for name in names)
    piece = read(header(tracks=4) + tracks)
    assert [track.name for track in piece.tracks] == ["Соло", "Bass", "Песня о друге", "Piano"]


def test_the_name_of_a_file_of_type_0_is_its_title():
    piece = read_track(meta(3, b"Drums") + ONE + END, kind=0)
    assert (piece.title, piece.tracks[0].name, piece.tracks[0].is_drum) == ("Drums", "", False)


def test_an_instrument_names_a_track_that_has_no_name():
    tracks = [meta(4, b"Oboe") + ONE, meta(3, b"Melody") + meta(4, b"Oboe") + ONE]
    piece = read(header(tracks=2) + b"".join(chunk(track + END) for track in tracks))
    assert [(t.name, t.role) for t in piece.tracks] == [("Oboe", "reed"), ("Melody", "melody")]


def test_lyrics_and_markers_are_annotations_and_karaoke_text_is_lyrics_too():
    karaoke = meta(1, b"@KMIDI KARAOKE FILE") + meta(1, b"\\La ", 96) + meta(1, b"/lo", 96)
    piece = read_track(karaoke + meta(6, b" Verse ") + meta(6, b"\x00") + ONE + END)
    lyrics = (Annotation(96, "lyric", "\nLa "), Annotation(192, "lyric", "\nlo"))
    assert piece.annotations == (*lyrics, Annotation(192, "marker", "Verse"))
    piece = read_track(karaoke + meta(5, b"Lo") + ONE + END)
    assert piece.annotations == (Annotation(192, "lyric", "Lo"),)
    assert read_track(meta(1, b"made with love") + ONE + END).annotations == ()
