"""Pieces become objects of MusPy and pretty_midi and back, and the MIDI files that MusPy writes."""

import io
import json
import subprocess
import sys
from dataclasses import fields, replace

import muspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.music import convert_pretty_midi
from ostinato.music.convert_muspy import from_muspy, to_muspy, unsaid
from ostinato.music.convert_pretty_midi import (
    from_piano_roll,
    from_pretty_midi,
    piano_roll,
    to_pretty_midi,
)
from ostinato.music.piece import Annotation, Key, Meter, Piece, Tempo, Track, make_notes
from ostinato.music.roles import role_of
from ostinato.music.timing import seconds_at
from ostinato.music.write import to_mido, write_midi

TICKS = st.integers(0, 20_000)
WORDS = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["C"]), max_size=8)

QPM = st.floats(5, 999)


def changes(of):
    """Up to three changes at different times, in their order."""
    lists = st.lists(of, max_size=3, unique_by=lambda change: change.onset)
    return lists.map(lambda found: tuple(sorted(found, key=lambda change: change.onset)))


@st.composite
def pieces(draw, words=WORDS, qpm=QPM):
    """Pieces of everything that a Piece can hold, empty ones too."""
    tracks = draw(
        st.lists(
            st.builds(
                Track, words, st.sampled_from(["", "bass"]), st.integers(0, 127), st.booleans()
            ),
            max_size=18,
        )
    )
    row = st.tuples(
        st.integers(0, max(0, len(tracks) - 1)),
        TICKS,
        st.integers(0, 3000),
        st.integers(0, 127),
        st.integers(1, 127),
    )
    notes = draw(st.lists(row, max_size=12)) if tracks else []
    words_at = st.builds(Annotation, TICKS, st.sampled_from(["bar", "chord", "fermata", ""]), words)
    bars = st.builds(Annotation, TICKS, st.just("bar"))
    return Piece(
        id=draw(words),
        ticks_per_quarter=draw(st.sampled_from([1, 4, 24, 480, 10_080])),
        notes=make_notes(notes),
        tracks=tuple(tracks),
        tempos=draw(changes(st.builds(Tempo, TICKS, qpm))),
        meters=draw(
            changes(st.builds(Meter, TICKS, st.integers(1, 30), st.sampled_from([1, 2, 4, 16])))
        ),
        keys=draw(
            changes(
                st.builds(
                    Key,
                    TICKS,
                    st.integers(-9, 9),
                    st.sampled_from(["", "major", "minor", "dorian"]),
                )
            )
        ),
        annotations=tuple(
            sorted(
                draw(st.lists(words_at | bars, max_size=4)),
                key=lambda a: (a.onset, a.kind, a.value),
            )
        ),
        labels=draw(st.dictionaries(words, words, max_size=2)),
        title=draw(words),
        source=draw(words),
        warnings=tuple(draw(st.lists(words, max_size=2))),
    )


def assert_equal(a, b, leave_out=()):
    for field in fields(Piece):
        if field.name not in leave_out:
            one, other = getattr(a, field.name), getattr(b, field.name)
            equal = np.array_equal(one, other) if field.name == "notes" else one == other
            assert equal, f"{field.name}: {one} is not {other}"


@given(pieces())
def test_a_piece_survives_muspy_in_every_field(piece):
    music = to_muspy(piece)
    assert unsaid(music) == {}
    assert_equal(from_muspy(music), piece)


@pytest.mark.long
@settings(max_examples=min(40, settings.default.max_examples))
@given(pieces())
def test_it_survives_muspys_json_file_as_well(piece):
    text = io.StringIO()
    muspy.save_json(text, to_muspy(piece))
    assert_equal(from_muspy(muspy.load_json(io.StringIO(text.getvalue()))), piece)
    json.loads(text.getvalue())


@given(pieces())
def test_music_that_a_piece_can_hold_comes_back_equal(piece):
    music = to_muspy(piece)
    assert to_muspy(from_muspy(music)) == music
    assert from_muspy(music, "another").id == "another"


def test_what_a_piece_cannot_hold_is_counted():
    music = muspy.Music(
        metadata=muspy.Metadata(creators=["Bach", "Sohn"], source_filename="a/b.mid"),
        key_signatures=[
            muspy.KeySignature(0, root=9, mode="minor"),
            muspy.KeySignature(24, root=3, mode="major"),
            muspy.KeySignature(48, root=2),
        ],
        beats=[muspy.Beat(0), muspy.Beat(24)],
        lyrics=[muspy.Lyric(0, "la")],
        annotations=[muspy.Annotation(0, [1, 2]), muspy.Annotation(0, "Verse", "marker")],
        tracks=[
            muspy.Track(
                name="Flute",
                program=73,
                notes=[muspy.Note(0, 60, 24, 90, "C4"), muspy.Note(24, 62, 24)],
                chords=[muspy.Chord(0, [60, 64], 24)],
                lyrics=[muspy.Lyric(24, "la")],
            )
        ],
    )
    music.tracks[0].notes[1].velocity = None
    assert unsaid(music) == {
        "annotations that are no text": 1, "beats": 2, "chords": 1, "creators": 1,
        "keys without fifths or root": 1, "lyrics": 2, "notes without a velocity": 1,
        "spelled pitches": 1,
    }  # fmt: skip
    piece = from_muspy(music)
    assert piece.id == "b"
    assert piece.keys == (Key(0, 0, "minor"), Key(24, -3, "major"))
    assert piece.annotations == (Annotation(0, "marker", "Verse"),)
    assert piece.tracks == (Track("Flute", "pipe", 73),)
    assert piece.notes["velocity"].tolist() == [90, 80]


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_a_root_gives_the_fifths_that_music_theory_gives(mode):
    names = {"major": "C G D A E B F# Db Ab Eb Bb F", "minor": "A E B F# C# G# D# Bb F C G D"}
    steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    signs = {"#": 1, "b": -1, "": 0}
    for number, name in enumerate(names[mode].split()):
        root = (steps[name[0]] + signs[name[1:]]) % 12
        music = muspy.Music(key_signatures=[muspy.KeySignature(0, root=root, mode=mode)])
        assert from_muspy(music).keys[0].fifths == (number if number < 7 else number - 12)


def as_pretty_midi_can_say(piece, draw):
    """The piece with what PrettyMIDI holds, and nothing else."""
    number = len(piece.tracks)
    pedal = st.builds(
        Annotation,
        TICKS,
        st.just("pedal"),
        st.builds(
            "{} {}".format, st.integers(0, max(0, number - 1)), st.sampled_from(["up", "down"])
        ),
    )
    words = st.builds(Annotation, TICKS, st.sampled_from(["lyric", "text"]), st.text(max_size=4))
    notes = draw(st.lists(words | pedal if number else words, max_size=4))
    tempos = tuple(tempo for tempo in piece.tempos if tempo.onset)
    return replace(
        piece,
        tracks=tuple(replace(t, role=role_of(t.name, t.program, t.is_drum)) for t in piece.tracks),
        tempos=(Tempo(0, draw(st.integers(5, 999)) / 4), *tempos),
        keys=tuple(
            replace(key, fifths=(key.fifths + 5) % 12 - 5, mode=key.mode or "major")
            for key in piece.keys
            if key.mode != "dorian"
        ),
        annotations=tuple(sorted(notes, key=lambda a: (a.onset, a.kind))),
    )


@pytest.mark.long
@settings(max_examples=min(60, settings.default.max_examples))
@given(st.data())
def test_a_piece_survives_pretty_midi_in_what_it_can_say(data):
    piece = data.draw(pieces(qpm=st.integers(20, 4000).map(lambda quarters: quarters / 4)))
    piece = as_pretty_midi_can_say(piece, data.draw)
    midi = to_pretty_midi(piece)
    assert convert_pretty_midi.unsaid(midi) == {}
    back = from_pretty_midi(midi, piece.id)
    assert sorted(back.annotations, key=repr) == sorted(piece.annotations, key=repr)
    assert_equal(back, piece, ("annotations", "labels", "title", "source", "warnings"))
    onsets = [note.start for instrument in midi.instruments for note in instrument.notes]
    np.testing.assert_allclose(
        sorted(onsets), np.sort(seconds_at(piece, piece.notes["onset"])), rtol=1e-12
    )


def test_what_pretty_midi_cannot_say_is_as_documented(chorale):
    piece = replace(
        chorale(2),
        tempos=(),
        keys=(Key(0, -6, "major"), Key(480, 1, "dorian")),
        annotations=(Annotation(0, "bar"), Annotation(0, "fermata")),
    )
    back = from_pretty_midi(to_pretty_midi(piece))
    assert np.array_equal(back.notes, piece.notes)
    assert back.tempos == (Tempo(0, 120.0),)
    assert back.keys == (Key(0, 6, "major"), Key(480, 1, "major"))
    assert (back.annotations, back.title, back.id) == ((), "", "")


def test_bends_and_controls_are_counted(chorale):
    import pretty_midi

    midi = to_pretty_midi(chorale(2))
    midi.instruments[0].pitch_bends.append(pretty_midi.PitchBend(100, 0.5))
    midi.instruments[0].control_changes.append(pretty_midi.ControlChange(7, 100, 0.5))
    midi.instruments[1].control_changes.append(pretty_midi.ControlChange(64, 63, 0.5))
    assert convert_pretty_midi.unsaid(midi) == {"pitch bends": 1, "control changes": 1}
    assert from_pretty_midi(midi).annotations[0].value == "1 up"


def test_a_written_midi_file_is_read_by_pretty_midi_as_the_piece(tmp_path, chorale):
    import pretty_midi

    write_midi(tmp_path / "a.mid", chorale(3))
    theirs = from_pretty_midi(pretty_midi.PrettyMIDI(str(tmp_path / "a.mid")))
    assert np.array_equal(theirs.notes, chorale(3).notes)
    assert theirs.meters == chorale(3).meters
    assert theirs.keys == chorale(3).keys


def test_a_piano_roll_has_pretty_midis_shape_and_values(chorale):
    piece = chorale(4)
    roll = piano_roll(piece, fs=3)  # a quarter lasts two frames, an eighth one
    assert roll.shape == (128, 3 * 60 / 90 * piece.quarters)
    expected = np.zeros_like(roll)
    for note in piece.notes:
        start, end = (int(t * 2 // 480) for t in (note["onset"], note["onset"] + note["duration"]))
        expected[note["pitch"], start:end] += note["velocity"]
    assert np.array_equal(roll, expected)
    drums = replace(piece, tracks=tuple(replace(t, is_drum=True) for t in piece.tracks))
    assert not piano_roll(drums).any()


@settings(max_examples=min(40, settings.default.max_examples))
@given(st.integers(1, 200), st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_a_roll_of_runs_comes_back_the_same(fs, seed, frames):
    rng = np.random.default_rng(seed)
    roll = rng.choice([0, 0, 40, 100], size=(128, frames)).astype(float)
    piece = from_piano_roll(roll, fs)
    back = np.zeros_like(roll)
    for note in piece.notes:
        back[note["pitch"], note["onset"] : note["onset"] + note["duration"]] = note["velocity"]
    assert np.array_equal(back, roll)
    assert seconds_at(piece, fs) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="shape"):
        from_piano_roll(roll[0])


def midi_bytes(midi):
    file = io.BytesIO()
    midi.save(file=file)
    return file.getvalue()


@pytest.mark.long
@settings(max_examples=settings.default.max_examples)
@given(pieces())
def test_midi_files_have_the_bytes_that_muspy_writes(piece):
    """Left out: keys, which MusPy cannot all spell, and annotations, which it writes as text.

    Names beyond Latin-1 make MusPy fail, unless it is told the encoding.
    """
    piece = replace(piece, keys=(), annotations=())
    ours, theirs = to_mido(piece), muspy.to_mido(to_muspy(piece))
    theirs.charset = ours.charset
    assert midi_bytes(ours) == midi_bytes(theirs)


def test_names_beyond_latin_1_are_written_in_utf_8(chorale, tmp_path):
    from ostinato.readers.read import read_piece

    piece = chorale(1, bars=1)
    piece = replace(piece, title="Ода к радости", tracks=(Track("Хор"), *piece.tracks[1:]))
    write_midi(tmp_path / "a.mid", piece)
    back = read_piece(tmp_path / "a.mid")
    assert (back.title, back.tracks[0].name) == (piece.title, "Хор")


def test_writing_midi_imports_neither_muspy_nor_torch(tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from ostinato.music.piece import Piece, Track, make_notes\n"
        "from ostinato.music.write import write_midi\n"
        "piece = Piece('a', 4, make_notes([(0, 0, 4, 60, 80)]), (Track(),))\n"
        "write_midi(Path(sys.argv[1]), piece)\n"
        "print(sorted({'muspy', 'music21', 'torch', 'pretty_midi'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "a.mid")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
