"""The sustain pedal: kept as annotations, folded into durations as a slow formula has it, or
ignored.
"""

import io

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.music.piece import Annotation
from ostinato.readers.base import ReadOptions
from ostinato.readers.midi import read_midi_bytes

NOTE = st.tuples(st.integers(0, 300), st.integers(1, 120), st.integers(60, 62), st.integers(0, 1))
PEDAL = st.tuples(st.integers(0, 400), st.sampled_from([0, 63, 64, 127]), st.integers(0, 1))


def write(notes, pedals, kind=1):
    """Two tracks with notes (start, length, pitch, channel); pedals (time, value, channel) lie in
    the second.
    """
    midi = mido.MidiFile(type=kind, ticks_per_beat=96)
    tracks = [[], [(t, 0, ("control_change", c, 64, value)) for t, value, c in pedals]]
    for number, (start, length, pitch, channel) in enumerate(notes):
        tracks[number % 2].append((start, 2, ("note_on", channel, pitch, 64)))
        tracks[number % 2].append((start + length, 1, ("note_off", channel, pitch, 64)))
    for events in tracks:
        track, before = midi.add_track(), 0
        for time, _, (name, channel, first, second) in sorted(events, key=lambda e: e[:2]):
            keys = ("control", "value") if name == "control_change" else ("note", "velocity")
            values = dict(zip(keys, (first, second), strict=True))
            track.append(mido.Message(name, channel=channel, time=time - before, **values))
            before = time
    out = io.BytesIO()
    midi.save(file=out)
    return out.getvalue()


def read(data, pedal):
    return read_midi_bytes(data, "a.mid", ReadOptions(ticks_per_quarter=96, pedal=pedal)).piece


def spans(pedals, channel, end):
    """Times in which a channel's pedal is down, from what holds after all events of a tick."""
    spans, down = [], None
    mine = sorted((p for p in pedals if p[2] == channel), key=lambda p: p[0])
    for time, value, _ in mine:
        if value >= 64 and down is None:
            down = time
        elif value < 64 and down is not None:
            spans.append((down, time))
            down = None
    return spans + ([(down, end)] if down is not None else [])


@pytest.mark.long
@settings(max_examples=3 * settings.default.max_examples // 2, deadline=None)
@given(st.lists(NOTE, max_size=12), st.lists(PEDAL, max_size=8))
def test_a_note_under_a_pedal_lasts_until_it_is_released_or_struck_again(notes, pedals):
    data = write(notes, pedals)
    plain, folded = read(data, "ignore"), read(data, "fold")
    last = max([0, *(t for t, _, _ in pedals), *(n[0] + n[1] for n in notes)])
    channels = channels_of(data, plain)
    expected = []
    for n in plain.notes.tolist():
        end = n[1] + n[2]
        for down, up in spans(pedals, channels[n[0]], last):
            if down <= end < up:
                again = [
                    m[1] for m in plain.notes.tolist()
                    if channels[m[0]] == channels[n[0]] and m[3] == n[3] and m[1] >= end
                ]  # fmt: skip
                end = max(end, min([up, *again]))
                break
        expected.append((n[0], n[1], end - n[1], n[3], n[4]))
    assert sorted(folded.notes.tolist()) == sorted(expected)
    assert not folded.annotations
    assert not plain.annotations
    assert plain.tracks == folded.tracks


def channels_of(data, piece):
    """The channel of every track: tracks are ordered by MIDI track and channel."""
    found = set()
    for number, track in enumerate(mido.MidiFile(file=io.BytesIO(data)).tracks):
        found |= {(number, m.channel) for m in track if m.type == "note_on"}
    channels = [channel for _, channel in sorted(found)]
    assert len(channels) == len(piece.tracks)
    return channels


def test_changes_of_the_pedal_are_annotations_of_all_tracks_on_its_channel():
    notes = [(0, 96, 60, 0), (0, 96, 64, 0), (0, 96, 67, 1)]
    piece = read(write(notes, [(10, 127, 0), (20, 90, 0), (30, 0, 0), (40, 0, 0)]), "keep")
    assert piece.annotations == tuple(
        Annotation(onset, "pedal", f"{track} {state}")
        for onset, state in ((10, "down"), (30, "up"))
        for track in (0, 2)
    )


def test_in_a_file_of_type_2_a_pedal_holds_its_own_track_alone():
    data = write([(0, 48, 60, 0), (0, 48, 64, 0)], [(10, 127, 0), (96, 0, 0)], kind=2)
    assert read(data, "fold").notes["duration"].tolist() == [48, 96]
    assert [a.value for a in read(data, "keep").annotations] == ["1 down", "1 up"]


def test_a_pedal_that_is_never_released_holds_to_the_end_of_the_file():
    data = write([(0, 48, 60, 0), (96, 96, 62, 0)], [(10, 127, 0)])
    assert read(data, "fold").notes["duration"].tolist() == [192, 96]
