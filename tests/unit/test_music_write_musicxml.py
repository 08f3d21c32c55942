"""A score that was written is read back the same: notes, bars, voices, spelling."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.music.chords import KINDS, Chord, parse_chord
from ostinato.music.piece import Annotation, Key, Meter, Piece, Tempo, Track, make_notes
from ostinato.music.write_musicxml import spelled, write_musicxml
from ostinato.readers.read import ReadOptions, read_piece


def there_and_back(folder, piece):
    write_musicxml(folder / "a.musicxml", piece)
    return read_piece(folder / "a.musicxml", ReadOptions(ticks_per_quarter=piece.ticks_per_quarter))


def notes_of(piece):
    return np.sort(piece.notes[["track", "onset", "duration", "pitch"]])


@st.composite
def dense_pieces(draw):
    """Tracks whose notes overlap and cross bars anyhow, on no grid."""
    tpq = draw(st.sampled_from([1, 4, 10, 12, 480]))
    row = st.tuples(
        st.integers(0, 1), st.integers(0, 12 * tpq), st.integers(1, 7 * tpq), st.integers(0, 127),
        st.just(80),
    )  # fmt: skip
    rows = draw(st.lists(row, min_size=1, max_size=25, unique_by=lambda r: r[:2] + r[3:4]))
    rows = [(0, 0, tpq, 1, 80), (1, tpq, tpq, 1, 80), *(r for r in rows if r[3] > 1)]
    return Piece(
        id="dense",
        ticks_per_quarter=tpq,
        notes=make_notes(rows),
        tracks=(Track("Upper", "", 3), Track("Kit", "drums", 0, is_drum=True)),
        meters=(Meter(0, draw(st.integers(1, 7)), draw(st.sampled_from([2, 4]))),),
        keys=(Key(0, draw(st.integers(-7, 7)), "minor"),),
    )


@pytest.mark.long
@settings(max_examples=min(50, settings.default.max_examples), deadline=None)
@given(dense_pieces())
def test_notes_of_any_length_and_overlap_survive(tmp_path_factory, piece):
    back = there_and_back(tmp_path_factory.mktemp("xml"), piece)
    found, true = notes_of(back), notes_of(piece)
    for number, columns in ((0, list(found.dtype.names)), (1, ["onset", "pitch"])):
        # the length of a hit is not kept
        rows = [sorted(x[x["track"] == number][columns].tolist()) for x in (found, true)]
        assert rows[0] == rows[1]
    assert (back.meters, back.keys) == (piece.meters, piece.keys)
    assert [t.is_drum for t in back.tracks] == [False, True]
    assert back.tracks[0].program == 3
    assert back.warnings == ()


def test_drums_are_hits_on_a_percussion_staff_up_to_the_next_one(tmp_path):
    rows = [(0, 0, 1, 36, 80), (0, 0, 1, 42, 80), (0, 3, 1, 38, 80), (0, 24, 9, 90, 80)]
    kit = (Track("Kit", "drums", 0, is_drum=True),)
    piece = Piece("kit", 12, make_notes(rows), kit, meters=(Meter(0, 4, 4),))
    back = there_and_back(tmp_path, piece)
    found = notes_of(back)[["onset", "duration", "pitch"]].tolist()
    assert sorted(found) == [(0, 3, 36), (0, 3, 42), (3, 9, 38), (24, 9, 90)]
    root = ElementTree.parse(tmp_path / "a.musicxml")
    assert root.findtext(".//clef/sign") == "percussion"
    assert root.findtext(".//clef/line") is None
    staff = [
        (n.findtext("unpitched/display-step"), n.findtext("notehead"))
        for n in root.findall(".//note[unpitched]")
    ]
    assert staff == [("F", None), ("G", "x"), ("C", None), ("B", "triangle")]
    sounds = {m.get("id"): m.findtext("midi-unpitched") for m in root.iter("midi-instrument")}
    assert [
        sounds[n.find("instrument").get("id")] for n in root.findall(".//note[instrument]")
    ] == [*("37", "43", "39", "91")]


def test_chord_symbols_survive(tmp_path, chorale):
    symbols = [Chord(n % 12, kind, n % 12).name for n, kind in enumerate(KINDS)] + ["Dm7/G", "N.C."]
    marks = [Annotation(120 * n, "chord", name) for n, name in enumerate([*symbols, "unknown"])]
    back = there_and_back(tmp_path, replace(chorale(3), annotations=tuple(marks)))
    found = [a.value for a in back.annotations if a.kind == "chord"]
    assert list(map(parse_chord, found)) == list(map(parse_chord, symbols))
    assert [a.onset for a in back.annotations if a.kind == "chord"] == [a.onset for a in marks[:-1]]


def test_a_pickup_bars_tempos_fermatas_and_changes_survive(tmp_path, chorale):
    bars = (0, 480, 2400, 4320, 5280, 6240)
    piece = replace(
        chorale(3),
        title="Ach Gott & <Herr>",
        annotations=tuple(
            sorted(
                [Annotation(onset, "bar") for onset in bars] + [Annotation(480, "fermata")],
                key=lambda a: (a.onset, a.kind),
            )
        ),
        meters=(Meter(0, 4, 4), Meter(4320, 2, 4)),
        keys=(Key(0, -3, "major"), Key(2640, 2, "dorian")),
        tempos=(Tempo(0, 90.5), Tempo(2880, 60.0)),
    )
    back = there_and_back(tmp_path, piece)
    assert np.array_equal(notes_of(back), notes_of(piece))
    for name in ("tempos", "meters", "keys", "title", "tracks"):
        assert getattr(back, name) == getattr(piece, name), name
    assert [a.onset for a in back.annotations if a.kind == "bar"] == list(bars)
    assert [a.onset for a in back.annotations if a.kind == "fermata"] == [480]
    measures = ElementTree.parse(tmp_path / "a.musicxml").findall("part[1]/measure")
    assert [m.get("implicit") for m in measures] == ["yes", *[None] * 5]


def test_music21_reads_the_same_notes(tmp_path, chorale):
    """The file is right for others as well, and not only for our own reader."""
    import music21

    piece = replace(chorale(5), keys=(Key(0, 4, "major"),))
    write_musicxml(tmp_path / "a.musicxml", piece)
    score = music21.converter.parse(tmp_path / "a.musicxml").stripTies()
    found = [
        (number, round(note.offset * 480), round(note.quarterLength * 480), note.pitch.midi)
        for number, part in enumerate(score.parts)
        for note in part.flatten().notes
    ]
    assert sorted(found) == sorted(notes_of(piece).tolist())
    assert score.parts[0].recurse().getElementsByClass("KeySignature")[0].sharps == 4


def test_durations_get_note_values_triplets_and_ties(tmp_path):
    rows = [
        (0, 0, 320, 60, 80),
        (0, 320, 720, 62, 80),
        (0, 1040, 600, 64, 80),
        (0, 1640, 7, 65, 80),
    ]
    piece = Piece("a", 480, make_notes(rows), (Track("x"),), meters=(Meter(0, 4, 4),))
    write_musicxml(tmp_path / "a.musicxml", piece)
    notes = ElementTree.parse(tmp_path / "a.musicxml").findall(".//note[pitch]")
    values = [
        (n.findtext("type"), len(n.findall("dot")), n.find("time-modification") is not None)
        for n in notes
    ]
    assert values == [
        ("quarter", 0, True), ("quarter", 1, False), ("quarter", 0, False), ("16th", 0, False),
        (None, 0, False),
    ]  # fmt: skip
    assert [len(n.findall("tie")) for n in notes] == [0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("pitch", "fifths", "name"),
    [
        (60, 0, ("C", 0, 4)), (70, 0, ("B", -1, 4)), (66, 0, ("F", 1, 4)), (61, -5, ("D", -1, 4)),
        (61, 5, ("C", 1, 4)), (60, 7, ("B", 1, 3)), (59, -6, ("C", -1, 4)), (0, 0, ("C", 0, -1)),
    ],
)  # fmt: skip
def test_pitches_are_spelled_by_the_key(pitch, fifths, name):
    assert spelled(pitch, fifths) == name


def test_the_same_bytes_each_time_and_no_score_without_a_part(tmp_path, chorale):
    path = Path(tmp_path / "a.musicxml")
    write_musicxml(path, chorale(1))
    before = path.read_bytes()
    write_musicxml(path, chorale(1))
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="chorale-1 has no track"):
        write_musicxml(path, replace(chorale(1), tracks=(), notes=make_notes([])))
