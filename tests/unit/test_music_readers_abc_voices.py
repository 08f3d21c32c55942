"""ABC: voices declared anywhere, clefs and octaves, overlays, decorations and microtones."""

from fractions import Fraction

import pytest

from ostinato.music.piece import Key, Meter, Tempo
from ostinato.readers.abc_fields import qpm_of, shifts_of
from ostinato.readers.abc_texts import is_chord
from ostinato.readers.directions import direction_of
from ostinato.readers.read import ReadOptions, read
from ostinato.readers.repeat_tree import Jump


def tune(tmp_path, body, head="M:4/4\nL:1/4\nK:C\n", **options):
    path = tmp_path / "tune.abc"
    path.write_text(f"X:1\n{head}{body}\n", encoding="utf-8")
    return read(path, "", ReadOptions(**{"ticks_per_quarter": 24} | options))


def rows(result, track=None):
    """Onset, duration and pitch of every note; 24 ticks are a quarter."""
    return [tuple(row)[1:4] for row in result.piece.notes.tolist() if track in (None, row[0])]


def pitches(result, track=None):
    return [row[2] for row in rows(result, track)]


def onsets(result, kind):
    return [a.onset for a in result.piece.annotations if a.kind == kind]


def test_a_voice_declared_after_the_key_carries_all_that_was_read_before(tmp_path):
    head = 'M:3/4\nL:1/4\nQ:1/4=90\nK:G\nP:A\nM:2/4\nQ:1/4=60\nV:S name="Alto"\nV:B clef=bass-8\n'
    result = tune(tmp_path, "[V:S] |:c d|f g:|\n[V:B] |:C2|F2:|", head, expand_repeats=True)
    assert [track.name for track in result.piece.tracks] == ["Alto", ""]
    assert pitches(result, 0) == [72, 74, 78, 79] * 2
    assert pitches(result, 1) == [48, 54] * 2
    assert result.piece.meters == (Meter(0, 2, 4),)
    assert result.piece.keys == (Key(0, 1, "major"),)
    assert result.piece.tempos == (Tempo(0, 60.0),)
    assert onsets(result, "bar") == [0, 48, 96, 144]
    assert onsets(result, "marker") == [0, 96]


def test_a_voice_after_the_key_has_its_own_repeats_and_endings(tmp_path):
    body = "V:S\nV:B clef=bass\n[V:S] |:c d e f:|g4|]"
    assert pitches(tune(tmp_path, body, expand_repeats=True)) == [72, 74, 76, 77] * 2 + [79]
    body = "V:S\n|:c4|1d4:|2e4|]\nV:B\n|:C4|1D4:|2E4|]"
    result = tune(tmp_path, body, expand_repeats=True)
    assert (pitches(result, 0), pitches(result, 1)) == ([72, 74, 72, 76], [60, 62, 60, 64])


def test_the_first_voice_may_be_named_1_and_have_properties(tmp_path):
    result = tune(tmp_path, 'V:1 name="Bass" clef=treble-8 octave=-1 transpose=-2\nCD\n')
    assert pitches(result) == [34, 36]
    assert result.piece.tracks[0].role == "bass"
    result = tune(tmp_path, 'CD|\nV:2\nEF|\nV:1 octave=1 name="Top"\nG|\n')
    assert (pitches(result, 0), pitches(result, 1)) == ([60, 62, 79], [64, 65])
    assert result.piece.tracks[0].name == "Top"


def test_voices_stand_in_the_order_of_the_header_and_the_first_with_notes_leads(tmp_path):
    head = "L:1/4\nV:S\nV:A\nV:B\nK:C\n"
    result = tune(tmp_path, "V:B\n|:C|D:|\nV:A\n|:c|d:|\n", head, expand_repeats=True)
    assert (pitches(result, 0), pitches(result, 1)) == ([72, 74] * 2, [60, 62] * 2)


def test_fields_of_a_voice_change_no_other(tmp_path):
    body = "V:1\nL:1/8\nK:D\nFF|\nV:2\nFF|\n"
    result = tune(tmp_path, body)
    assert rows(result, 0) == [(0, 12, 66), (12, 12, 66)]
    assert rows(result, 1) == [(0, 24, 65), (24, 24, 65)]


@pytest.mark.parametrize(
    ("body", "heard"),
    [
        ("[K:treble-8] C [K:treble] C [K:bass+8] C [K:clef=bass] C", [48, 60, 72, 60]),
        ("[K:octave=-1] C [K:treble-8] C [K:treble] C [K:octave=0] C", [48, 36, 48, 60]),
        ("[K:transpose=-2] C [K:D] C [K:G transpose=0] F", [58, 59, 66]),
        ("[K:clef=alto t=3] C [K:treble-15] C [K:G] F", [63, 39, 45]),
        ("[V:1 clef=G2-8] C [V:1] C [V:1 clef=F] C", [48, 48, 60]),
    ],
)
def test_clefs_octaves_and_transpositions_replace_only_their_own_kind(tmp_path, body, heard):
    assert pitches(tune(tmp_path, body)) == heard


@pytest.mark.parametrize("key", ["clef=bass", "H", "none", ""])
def test_a_tune_without_a_key_signature_has_a_key_without_signs(tmp_path, key):
    result = tune(tmp_path, "F", f"L:1/4\nK:{key}\n")
    assert (pitches(result), result.piece.keys) == ([65], (Key(0, 0, ""),))


def test_names_of_voices_are_no_clefs():
    assert shifts_of('name="bass-8" snm="alto+8" subname=treble-8') == {}
    assert shifts_of('name="x" clef="treble-8" stem=up') == {"clef": -12}


@pytest.mark.parametrize(
    ("body", "heard"),
    [
        # shorter, longer, several, in the last bar, and below an empty bar
        ("C4 & e2 | G4 |", [(0, 96, 60), (0, 48, 76), (96, 96, 67)]),
        ("C4 & e4 f4 | G4 |", [(0, 96, 60), (0, 96, 76), (96, 96, 77), (96, 96, 67)]),
        ("C4 & e2 & g | G4 |]", [(0, 96, 60), (0, 48, 76), (0, 24, 79), (96, 96, 67)]),
        ("C4 | D4 & f2 |]", [(0, 96, 60), (96, 96, 62), (96, 48, 77)]),
        ("C4 | D4 & f2", [(0, 96, 60), (96, 96, 62), (96, 48, 77)]),
        ("& e2 | G4 |", [(0, 48, 76), (48, 96, 67)]),
        # back over two bar lines, as in the standard's example
        ("C4 | D2 E2 |\n&& g4 | a4 |\nF4 |",
         [(0, 96, 60), (0, 96, 79), (96, 48, 62), (96, 96, 81), (144, 48, 64), (192, 96, 65)]),
        # a tie, with its accidental, over the overlay and within it
        ("^C4- & ^e4- | C4 & e4 |", [(0, 192, 61), (0, 192, 77)]),
        # accidentals and tuplets of one layer do not reach the other
        ("^C4 & (3C | C4 |", [(0, 96, 61), (0, 16, 60), (96, 96, 60)]),
    ],
)  # fmt: skip
def test_an_overlay_of_any_length_does_not_move_what_follows(tmp_path, body, heard):
    assert sorted(rows(tune(tmp_path, body))) == sorted(heard)


@pytest.mark.parametrize(
    "body",
    [
        "!style=rhythm!C !beam-accel!D", "!8va(!C !//!D", "!D.C.alfine!C !<)!D", "!4!C !+!D",
        '"^add a bag"C "<b"D', "{!trill!}uCvD", "+trill+C +D.C.+D +f+", "~C.D", "TCHD",
        '["^face"C]D', "[!f!C][!beam-accel!uD]", '["A"C]["]"D]', "[I:MIDI=bad]C[r:bad]D",
        '"^fr\\"ohliche Bauern"C "a\\"D', '["\\"ach"C]"Am"D',
    ],
)  # fmt: skip
def test_letters_of_decorations_and_texts_are_no_notes(tmp_path, body):
    result = tune(tmp_path, body)
    assert rows(result) == [(0, 24, 60), (24, 24, 62)]
    assert (dict(result.dropped), result.piece.warnings) == ({}, ())


def test_chords_have_decorations_ties_and_the_length_of_their_first_note(tmp_path):
    assert rows(tune(tmp_path, "[!f!CE]2 G")) == [(0, 48, 60), (0, 48, 64), (48, 24, 67)]
    assert rows(tune(tmp_path, "[C2.E4]/2 G")) == [(0, 24, 60), (0, 48, 64), (24, 24, 67)]
    assert rows(tune(tmp_path, "[C-E] [CE]")) == [(0, 48, 60), (0, 24, 64), (24, 24, 64)]
    assert rows(tune(tmp_path, "+CE+2 +eg+")) == [
        (0, 48, 60), (0, 48, 64), (48, 24, 76), (48, 24, 79),
    ]  # fmt: skip
    assert tune(tmp_path, "[{ga}CE] {[Ge]}D").dropped == {"grace note": 4}


def test_a_broken_rhythm_over_a_bar_line_changes_nothing(tmp_path):
    result = tune(tmp_path, "CD|>EF")
    assert rows(result) == [(0, 24, 60), (24, 24, 62), (48, 24, 64), (72, 24, 65)]
    assert result.piece.warnings == ("1 characters are not ABC music: >",)


def test_microtones_sound_as_the_nearest_semitone_towards_the_natural(tmp_path):
    result = tune(tmp_path, "[^1/2CE] ^/D _3/2E ^3/4F _/G _2A ^1/2c c")
    assert pitches(result) == [60, 64, 62, 63, 66, 67, 67, 72, 72]
    assert result.piece.warnings == ("6 microtones are rounded to semitones",)


@pytest.mark.parametrize("start", ["I:", "%%"])
def test_exclamation_marks_may_break_lines_and_plus_signs_mark_decorations(tmp_path, start):
    assert pitches(tune(tmp_path, "CD!EF!GA")) == [60, 62, 67, 69]
    head = f"{start}linebreak !\nL:1/4\nK:C\n"
    assert pitches(tune(tmp_path, "CD!EF!GA+ceg+B", head)) == [60, 62, 64, 65, 67, 69, 71]
    head = f"{start}decoration +\nL:1/4\nK:C\n"
    assert pitches(tune(tmp_path, "+ceg+C!bag!D", head)) == [60, 62]


def test_letters_for_symbols_can_be_redefined(tmp_path):
    assert onsets(tune(tmp_path, "CHD"), "fermata") == [24]
    assert onsets(tune(tmp_path, "U:H=!accent!\nU: q = !fermata!\nqCHD"), "fermata") == [0]


@pytest.mark.parametrize(
    ("text", "unit", "qpm"),
    [
        ("C3=40", Fraction(1, 2), 60.0), ("C=120", Fraction(1, 2), 60.0), ("120", 1, 120.0),
        ("C/2=60", Fraction(1), 30.0), ("1/4 1/8=40", 1, 60.0), ('"Andante" 1/2=50', 1, 100.0),
        ("3/8=50 \"Slowly\"", 1, 75.0), ('"Andante"', 1, None), ("1/0=60", 1, None), ("0", 1, None),
    ],
)  # fmt: skip
def test_tempos_in_all_forms_of_the_standard(text, unit, qpm):
    assert qpm_of(text, Fraction(unit)) == qpm


@pytest.mark.parametrize(
    "text",
    ["A", "Bb", "F#m7b5", "Cmaj7", "CM7", "Gsus4", "Cadd9", "E7#9", "D/f#", "G(Em)", "A7(b9)",
     "C6/9", "Dm(maj7)", "Bdim7", "B°7", "Faug", "F+", "(D7)", "Am7/g", "D m", "B♭", "N.C."],
)  # fmt: skip
def test_chord_symbols(text):
    assert is_chord(text)


@pytest.mark.parametrize(
    "text",
    ["Fine", "Allegro", "D.C. al Fine", "D.S.", "Coda", "Dal segno", "Chorus", "A tempo", "Bass",
     "Grave", "Ending", "Adagio", "Cresc.", "Fife I", "Dolce", "Gently", "Forte", "End", "Canon"],
)  # fmt: skip
def test_words_are_no_chord_symbols(tmp_path, text):
    assert onsets(tune(tmp_path, f'"{text}"C "Am"D'), "chord") == [24]


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("D.C. al Fine", Jump(None, "fine")), ("D.C.", Jump()), ("da capo", Jump()),
        ("^D.S. al Coda", Jump("", "coda")), ("Dal Segno", Jump("")),
        ("D.S.alfine", Jump("", "fine")),
        ("Fine.", "fine"), ("To Coda", "to_coda"), ("dacoda", "to_coda"), ("CODA", "coda"),
        ("_Segno", "segno"), ("Finely", None), ("codas", None), ("", None), ("A", None),
    ],
)  # fmt: skip
def test_directions(text, direction):
    assert direction_of(text) == direction


@pytest.mark.parametrize(
    ("body", "layers", "bars"),
    [
        ("C4|(& c4|d4 & E4|F4 &)|G4|]", [(96, 72), (96, 64), (192, 74), (192, 65)], 4),
        # from within a bar, and a third layer that is shorter
        ("C2(& c2|d4 & E2|F4 & G,2 &)|G4|]", [(48, 72), (48, 64), (48, 55), (96, 74), (96, 65)], 3),
        # the longest layer decides where the music goes on, the last one too
        ("C4|(& c4|d2 & E4|F4 &)|G4|]", [(96, 72), (96, 64), (192, 74), (192, 65)], 4),
        # layers of one bar behave as plain overlays do
        ("C4|(& c4 & E4 &)|G4|]", [(96, 72), (96, 64)], 3),
    ],
)
def test_layers_of_several_bars_begin_together(tmp_path, body, layers, bars):
    result = tune(tmp_path, body)
    heard = [(onset, pitch) for onset, _, pitch in rows(result)]
    last = 96 * (bars - 1)
    assert sorted(heard) == sorted([(0, 60), *layers, (last, 67)])
    assert onsets(result, "bar") == [96 * n for n in range(bars)]


def test_layers_that_are_not_ended_are_said(tmp_path):
    result = tune(tmp_path, "(& c4|d4 & E4|F4|]")
    assert result.piece.warnings == ("1 layers begun with (& are not ended with &)",)
    assert [(onset, pitch) for onset, _, pitch in rows(result)] == [
        (0, 64), (0, 72), (96, 65), (96, 74)
    ]  # fmt: skip
