"""Notes of clips, and messages as commands."""

from dataclasses import replace

import pytest

from ostinato.live.clips import ClipNote, beats_of, clips_of, merged, notes_from, piece_of
from ostinato.live.commands import command_of, places
from ostinato.music.piece import Annotation, cut


def test_clips_and_pieces_hold_the_same_notes(chorale):
    piece = chorale(3)
    clips = clips_of(piece)
    back, left_out = piece_of(clips, 90.0, (4, 4))
    assert left_out == 0
    assert clips_of(back) == clips
    assert beats_of(piece) == 16


def test_a_pickup_ends_at_a_bar_line(chorale):
    """A piece that begins with one beat of pickup begins in the clip on beat 4."""
    piece = cut(chorale(3), 3 * 480, 11 * 480)
    bars = tuple(Annotation(onset, "bar") for onset in (0, 480, 5 * 480))
    upbeat = replace(piece, annotations=bars)
    first = min(note.start for notes in clips_of(upbeat).values() for note in notes)
    assert first == 3
    assert beats_of(upbeat) == 12
    after = clips_of(upbeat, skip_bars=1)["soprano"]
    later = [n for n in upbeat.voice("soprano") if n["onset"] >= 5 * 480]
    assert len(after) == len(later)


def test_a_clip_of_one_bar_that_ends_early_begins_at_its_start():
    """It is no pickup, although it is shorter than a bar."""
    notes = [ClipNote(0, 60, 2), ClipNote(2, 62, 1.5)]
    piece, _ = piece_of({"melody": notes}, 120, (4, 4))
    assert clips_of(piece) == {"melody": notes}
    assert beats_of(piece) == 4


def test_muted_notes_and_notes_before_the_start_are_left_out_and_counted():
    notes = [ClipNote(-1, 60, 1), ClipNote(0, 62, 1, 80, True), ClipNote(1, 64, 1)]
    piece, left_out = piece_of({"melody": notes}, 120, (3, 4))
    assert (len(piece.notes), left_out) == (1, 2)
    assert piece.first_meter().numerator == 3


def test_one_clip_holds_a_key_once_at_a_time():
    clips = {
        "alto": [ClipNote(0, 60, 2), ClipNote(4, 60, 1)],
        "tenor": [ClipNote(0, 60, 1), ClipNote(1, 60, 1), ClipNote(1, 55, 1)],
    }
    notes, changed = merged(clips)
    assert changed == 2
    assert [(n.pitch, n.start, n.duration) for n in notes] == [
        (60, 0, 1),
        (55, 1, 1),
        (60, 1, 1),
        (60, 4, 1),
    ]


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ([60, 0.0, 1.0, 80], "4 values are not notes"),
        ([60, 0.0, 1.0, 80, 0, 128, 0.0, 1.0, 80, 0], "note 2 has pitch 128"),
        ([60, 0.0, 0.0, 80, 0], "note 1 .* a duration is above 0"),
        (["c", 0.0, 1.0, 80, 0], "note 1 is .* must be numbers"),
        ([72.7, 0.0, 1.0, 80, 0], "note 1 has pitch 72.7: pitches are whole numbers"),
        ([60, float("nan"), 1.0, 80, 0], "note 1"),
    ],
)
def test_other_things_are_not_notes(values, wrong):
    with pytest.raises(ValueError, match=wrong):
        notes_from(values)


@pytest.mark.parametrize(
    ("address", "arguments", "wrong"),
    [
        ("/ostinato/generat", [], "did you mean /ostinato/generate"),
        ("/elsewhere", [], "unknown address /elsewhere"),
        ("/ostinato/generate", ["bars"], "bars has no value"),
        ("/ostinato/generate", [8], "8 where a name is expected"),
        ("/ostinato/generate", ["bar", 8], "'bar' where a name .* its names: bars"),
        ("/ostinato/generate", ["bars", 0], "bars=0 must be a whole number from 1 to 256"),
        ("/ostinato/generate", ["bars", 2.5], "bars=2.5 must be a whole number"),
        ("/ostinato/generate", ["bars", "8"], "bars='8' must be a whole number"),
        ("/ostinato/generate", ["bars", True], "bars=True must be a whole number"),
        (
            "/ostinato/generate",
            ["to", "tape"],
            "to='tape' must be one of: clip, arrangement, reply, port",
        ),
        ("/ostinato/generate", ["notes", 60], "'notes' where a name"),
        ("/ostinato/status", ["bars", 8], "its names: none"),
        ("/ostinato/vary", ["strength", 2.0], "strength=2.0 must be a number from 0 to 1"),
    ],
)
def test_wrong_messages_say_what_is_right(address, arguments, wrong):
    with pytest.raises(ValueError, match=wrong):
        command_of(address, arguments, ["temperature"])


def test_messages_become_commands():
    floats = command_of("/ostinato/generate", ["bars", 8.0, "temperature", 0.9], ["temperature"])
    assert floats.values == {"bars": 8, "temperature": 0.9}
    assert command_of("/ostinato/variations", [3]).values == {"n": 3}
    assert command_of("/ostinato/model", ["models/gpt"]).values == {"folder": "models/gpt"}
    inline = command_of("/ostinato/continue", ["bars", 2, "notes", 60, 0.0, 1.0, 80, 0])
    assert inline.notes == (ClipNote(0.0, 60, 1.0),)
    assert places("soprano:0, bass:3") == {"soprano": 0, "bass": 3}
    with pytest.raises(ValueError, match="must be a role and the index"):
        places("soprano=0")
