"""Chord symbols: what they mean, as notes and back, estimates, and keys."""

from dataclasses import replace

import pytest

from ostinato.music.chord_estimate import estimate_chords
from ostinato.music.chords import (
    KINDS,
    ROLE,
    Chord,
    chord_of,
    chords_as_annotations,
    parse_chord,
    parse_progression,
    with_chord_role,
)
from ostinato.music.keys import key_of_piece, parse_key
from ostinato.music.piece import Annotation, Meter, Piece, Track, make_notes, tonic_of

BAR = 16  # ticks


def piece_of(rows, **more):
    return Piece(
        id="x",
        ticks_per_quarter=4,
        notes=make_notes(rows),
        tracks=(Track("Piano", "piano"), Track("Drums", "drums", 0, True)),
        meters=(Meter(0, 4, 4),),
        **more,
    )


def chord_bar(bar, pitches):
    return [(0, bar * BAR, BAR, pitch, 80) for pitch in pitches]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("C", "C"),
        ("C-7", "Cm7"),
        ("Cj7911#", "Cmaj7"),
        ("CΔ", "Cmaj7"),
        ("CmMaj7", "Cmmaj7"),
        ("F#m7/A", "F#m7/A"),
        ("Cb", "B"),
        ("Bb7(b9)", "Bb7"),
        ("C-7b5", "Cm7b5"),
        ("Cø", "Cm7b5"),
        ("Co7", "Cdim7"),
        ("C+7", "Caug7"),
        ("Csus79", "C7sus4"),
        ("C6/9", "C6"),
        ("C(add9)", "C"),
        ("C79b13", "C7"),
    ],
)
def test_symbols_of_several_sources_mean_the_same_chords(written, name):
    chord = parse_chord(written)
    assert chord is not None
    assert chord.name == name


def test_no_chord_is_none_and_other_words_are_refused_with_what_is_known():
    assert parse_chord("N.C.") is None
    for text in ("H7", "Cfoo", "", "m7"):
        with pytest.raises(ValueError, match="Cm7b5"):
            parse_chord(text)


def test_every_chord_is_what_its_notes_say():
    for root, moved in ((0, 0), (7, -5), (11, 6)):
        for kind in KINDS:
            for bass in (root, 0, 5, 10):
                chord = Chord(root, kind, bass)
                assert parse_chord(chord.name) == chord
                # transposed notes say the transposed chord
                found = chord_of(pitch + moved for pitch in chord.pitches)
                assert found is not None
                assert found.classes == {(c + moved) % 12 for c in chord.classes}
                assert found.bass == (bass + moved) % 12


def test_progressions_are_bars_of_chords():
    bars = parse_progression("Dm7 G7 | Cmaj7 | % | N.C.")
    assert [[chord and chord.name for chord in bar] for bar in bars] == [
        ["Dm7", "G7"],
        ["Cmaj7"],
        ["Cmaj7"],
        [None],
    ]
    for text in ("C || G", "", "%"):
        with pytest.raises(ValueError, match="chord"):
            parse_progression(text)


def test_symbols_become_a_role_struck_at_bar_lines_and_symbols_again():
    symbols = [Annotation(0, "chord", "Am7"), Annotation(2 * BAR, "chord", "Foo")]
    symbols += [Annotation(2 * BAR + 8, "chord", "D7")]
    piece = piece_of(chord_bar(0, [60]) + chord_bar(2, [62]), annotations=tuple(symbols))
    played, unread = with_chord_role(piece)
    assert unread == 1
    notes = played.voice(ROLE)
    assert sorted(set(notes["onset"].tolist())) == [0, BAR, 2 * BAR, 2 * BAR + 8]
    back = chords_as_annotations(played)
    assert [(a.onset, a.value) for a in back.annotations] == [(0, "Am7"), (2 * BAR + 8, "D7")]
    assert [track.role for track in back.tracks] == ["piano", "drums"]
    assert back.notes.tolist() == piece.notes.tolist()


def test_estimated_chords_are_those_that_are_played():
    rows = chord_bar(0, [36, 60, 64, 67]) + chord_bar(1, [41, 57, 60, 65])
    rows += chord_bar(2, [43, 59, 65, 67, 74]) + chord_bar(4, [45, 60, 64])
    rows += [(1, BAR * 3, 4, 38, 80)]  # a drum is not heard
    found = [(at, chord and chord.name) for at, chord in estimate_chords(piece_of(rows))]
    assert found == [(0, "C"), (BAR, "F"), (2 * BAR, "G7"), (3 * BAR, None), (4 * BAR, "Am")]
    assert estimate_chords(piece_of([(1, 0, 4, 38, 80)])) == []


def test_keys_are_read_and_found():
    assert tonic_of(parse_key("F#m")) == 6
    assert parse_key("d minor").mode == "minor"
    for text in ("H", "C dorian", ""):
        with pytest.raises(ValueError, match="F#m"):
            parse_key(text)
    scale = piece_of([(0, 4 * i, 4, p, 80) for i, p in enumerate([62, 64, 66, 67, 69, 71, 73, 62])])
    assert key_of_piece(scale) == (2, "major")
    found = key_of_piece(scale, "minor")
    assert found is not None
    assert found[1] == "minor"
    assert key_of_piece(replace(scale, notes=scale.notes[:0])) is None
