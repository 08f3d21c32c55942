"""Values that the standards of ABC (2.1), Humdrum **kern, MusicXML (4.0) and MIDI give."""

import io

import mido
import pytest

from ostinato.music.piece import Key, Meter, Tempo
from ostinato.readers.midi import read_midi_bytes
from ostinato.readers.read import ReadOptions, read

PITCHES = {"C": 60, "D": 62, "E": 64, "F": 65, "G": 67, "A": 69, "B": 71}


def reading(tmp_path, name, text, **options):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return read(path, "", ReadOptions(**{"ticks_per_quarter": 24, **options}))


def pitches(result):
    return result.piece.notes["pitch"].tolist()


def abc(tmp_path, body, **options):
    return reading(tmp_path, "tune.abc", f"X:1\nL:1/4\nK:C\n{body}\n", **options)


@pytest.mark.parametrize(("music", "played"), [
    ("C||D:|", "CDD"),  # "from the beginning, or from the latest double bar line"
    ("C|]D:|", "CDD"),
    ("C[|D:|", "CDD"),
    ("C[|]D:|", "CDCD"),  # an invisible bar line
    ("C||D|E:|F||G:|A", "CDEDEFGGA"),
    ("|:C||D:|", "CDCD"),  # an opening sign is stronger
    ("|:C|1D||E:|2F|", "CDECF"),
    ("C||D|1E:|2F|", "CDEDF"),
    ("C||D|1E:|2F:|G:|", "CDEDFGG"),
    ("C||D|1E:|2F||A|B:|", "CDEDFABAB"),
    ("C|D:|E||F:|", "CDCDEFF"),
])  # fmt: skip
def test_a_repeat_without_an_opening_sign_begins_at_a_double_bar_line(tmp_path, music, played):
    found = pitches(abc(tmp_path, music, expand_repeats=True))
    assert found == [PITCHES[letter] for letter in played]


def test_accidentals_of_grace_notes_hold_to_the_bar_line(tmp_path):
    result = abc(tmp_path, "{^f}gf{[_e=f]}fe|fe")
    assert pitches(result) == [79, 78, 77, 75, 77, 76]
    assert result.dropped == {"grace note": 3}


def test_a_tempo_may_stand_in_any_voice_and_the_first_ones_counts_where_two_differ(tmp_path):
    music = "V:1\nCD|[Q:1/4=90]EF|\nV:2\n[Q:1/4=60]C,D,|[Q:1/4=70]E,F,|[Q:1/4=80]G,"
    tempos = abc(tmp_path, music).piece.tempos
    assert tempos == (Tempo(0, 60.0), Tempo(48, 90.0), Tempo(96, 80.0))


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_only_line_ends_end_a_line_of_kern(tmp_path, separator):
    text = f"\ufeff!!!COM: J. S.{separator}4dd\r\n**kern\n4c\r4e\n*-\n"
    result = reading(tmp_path, "song.krn", text)
    assert (pitches(result), dict(result.dropped)) == ([60, 64], {})


def test_a_spine_without_signs_leaves_them_to_the_next(tmp_path):
    text = "**kern\t**kern\t**kern\n*\t*M3/4\t*M6/8\n*MM60\t*k[f#]\t*MM90\n4c\t4e\t4g\n*-\t*-\t*-\n"
    piece = reading(tmp_path, "song.krn", text).piece
    assert piece.meters == (Meter(0, 3, 4),)
    assert piece.keys == (Key(0, 1, ""),)
    assert piece.tempos == (Tempo(0, 60.0),)


def xml(tmp_path, *measures, **options):
    text = "".join(
        f"<measure><attributes><divisions>1</divisions></attributes>{measure}</measure>"
        for measure in measures
    )
    score = f'<score-partwise><part-list/><part id="P1">{text}</part></score-partwise>'
    return reading(tmp_path, "score.musicxml", score, **options)


def note(step, inside="", attributes="", alter=0):
    pitch = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>4</octave></pitch>"
    return f"<note{attributes}>{pitch}<duration>1</duration>{inside}</note>"


def test_a_forward_repeat_may_be_implied(tmp_path):
    closing = '<barline><repeat direction="backward"/></barline>'
    sound = '<sound forward-repeat="yes"/>'
    result = xml(
        tmp_path, note("C"), sound + note("D"), note("E") + closing, note("F"), expand_repeats=True
    )
    assert pitches(result) == [PITCHES[letter] for letter in "CDEDEF"]


@pytest.mark.parametrize(("alter", "pitch"), [
    ("0.5", 60), ("-0.5", 60), ("1.5", 61), ("-1.5", 59), ("0.75", 61), ("2", 62),
])  # fmt: skip
def test_microtones_sound_as_in_abc_with_a_warning(tmp_path, alter, pitch):
    result = xml(tmp_path, note("C", alter=alter))
    warnings = ("microtones are rounded to semitones",) if "." in alter else ()
    assert (pitches(result), result.piece.warnings) == ([pitch], warnings)


@pytest.mark.parametrize(("beat", "number", "qpm"), [
    ("<beat-unit>quarter</beat-unit>" + 2 * "<beat-unit-dot/>", "60", 105.0),
    ("<beat-unit>breve</beat-unit>", "20", 160.0),
    ("<beat-unit>long</beat-unit>", "5", 80.0),
    ("<beat-unit>64th</beat-unit>", "1280", 80.0),
    ("<beat-unit>32nd</beat-unit>", "640", 80.0),
    ("<beat-unit>quarter</beat-unit>", "c. 66,5", 66.5),
])  # fmt: skip
def test_metronome_marks_of_any_unit(tmp_path, beat, number, qpm):
    mark = f"<metronome>{beat}<per-minute>{number}</per-minute></metronome>"
    text = f"<direction><direction-type>{mark}</direction-type></direction>"
    assert xml(tmp_path, text + note("C")).piece.tempos == (Tempo(0, qpm),)


def test_dynamics_are_per_cent_of_a_forte(tmp_path):
    sound = '<sound dynamics="100"/>'
    result = xml(tmp_path, sound + note("C") + note("D", attributes=' dynamics="50"') + note("E"))
    assert result.piece.notes["velocity"].tolist() == [90, 45, 90]


def test_a_transposition_is_of_its_staff(tmp_path):
    def part(number, chromatic):
        return f"<transpose{number}><chromatic>{chromatic}</chromatic></transpose>"

    def staves(step):
        return note(step, "<staff>1</staff>") + note(step, "<staff>2</staff>")

    music = [
        f"<attributes>{part(number, chromatic)}</attributes>{staves(step)}"
        for number, chromatic, step in ((' number="2"', -2, "C"), ("", 3, "D"))
    ]
    assert pitches(xml(tmp_path, *music)) == [60, 58, 65, 65]


@pytest.mark.parametrize(("notes", "is_said"), [
    ("<note><rest/><duration>1</duration></note>", True), (note("D"), False),
])  # fmt: skip
def test_bars_that_only_a_sign_fills_are_said(tmp_path, notes, is_said):
    def sign(kind):
        inside = f'<measure-repeat type="{kind}">1</measure-repeat>'
        return f"<attributes><measure-style>{inside}</measure-style></attributes>"

    rest = "<note><rest/><duration>1</duration></note>"
    result = xml(tmp_path, note("C"), sign("start") + notes, sign("stop") + rest)
    expected = ("bars written as a sign that repeats others have no notes",) if is_said else ()
    assert result.piece.warnings == expected


def midi(*tracks):
    """Messages at ticks, 96 of which are a quarter."""
    file = mido.MidiFile(ticks_per_beat=96)
    for events in tracks:
        track, now = mido.MidiTrack(), 0
        for tick, message in sorted(events, key=lambda event: event[0]):
            track.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    data = io.BytesIO()
    file.save(file=data)
    return read_midi_bytes(data.getvalue(), "song.mid", ReadOptions(ticks_per_quarter=96))


def on(tick, pitch, channel=0):
    return tick, mido.Message("note_on", note=pitch, channel=channel)


def off(tick, pitch):
    return tick, mido.Message("note_off", note=pitch)


def tell(tick, control, channel=0):
    return tick, mido.Message("control_change", control=control, channel=channel)


@pytest.mark.parametrize("control", [120, 123, 124, 125, 126, 127])
def test_a_message_that_silences_a_channel_ends_its_notes(control):
    first = [on(0, 60), tell(96, control), on(96, 60), off(192, 60), on(200, 64, 1), off(960, 64)]
    result = midi(first, [on(0, 62), off(960, 60)], [(960, mido.Message("program_change"))])
    lengths = [(n["onset"], n["pitch"], n["duration"]) for n in result.piece.notes]
    assert lengths == [(0, 60, 96), (0, 62, 96), (96, 60, 96), (200, 64, 760)]
    assert "notes ended by a message to their channel: 2" in result.piece.warnings
    assert "notes never ended, closed with their track: 1" in result.piece.warnings


@pytest.mark.parametrize("tells", [
    [tell(96, 121)], [tell(96, 122)], [tell(96, 123, 1)], [tell(0, 123)], [tell(192, 123)],
])  # fmt: skip
def test_other_messages_end_no_note(tells):
    piece = midi([*tells, on(0, 60), off(192, 60)]).piece
    assert piece.notes["duration"].tolist() == [192]
    assert not [w for w in piece.warnings if w.startswith("notes")]
