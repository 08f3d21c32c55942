"""MIDI files become MusPy's notes, split into tracks, every note kept or dropped by reason."""

import io
from collections import Counter, defaultdict

import mido
import muspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.music.piece import Track
from ostinato.readers.base import ReadOptions
from ostinato.readers.midi import read_midi, read_midi_bytes
from ostinato.readers.midi_events import read_events
from ostinato.readers.midi_notes import pair_notes
from ostinato.readers.midi_time import rescale
from ostinato.readers.midi_tracks import is_kit

NATIVE = ReadOptions(ticks_per_quarter=96)
PITCHES, CHANNELS = st.integers(60, 62), st.sampled_from([0, 1, 9])
MESSAGES = st.one_of(
    st.tuples(st.just("note_on"), CHANNELS, PITCHES, st.integers(0, 127)),
    st.tuples(st.just("note_off"), CHANNELS, PITCHES, st.just(64)),
    st.tuples(st.just("program_change"), CHANNELS, st.integers(0, 3), st.just(0)),
    st.tuples(st.just("control_change"), CHANNELS, st.just(7), st.integers(0, 127)),
)
TRACKS = st.lists(st.tuples(st.sampled_from([0, 0, 1, 5, 200]), MESSAGES), max_size=40)


def midi_of(tracks, kind=1, tpq=96):
    """A mido file of lists of (delta, (type, channel, first, second))."""
    midi = mido.MidiFile(type=kind, ticks_per_beat=tpq)
    for messages in tracks:
        track = midi.add_track()
        for delta, (name, channel, first, second) in messages:
            values = {
                "program_change": {"program": first},
                "control_change": {"control": first, "value": second},
            }.get(name, {"note": first, "velocity": second})
            track.append(mido.Message(name, channel=channel, time=delta, **values))
    return midi


def bytes_of(midi):
    out = io.BytesIO()
    midi.save(file=out)
    return out.getvalue()


def read(tracks, kind=1, tpq=96, options=NATIVE, name="a.mid"):
    return read_midi_bytes(bytes_of(midi_of(tracks, kind, tpq)), name, options)


def note(channel, pitch, start, end, velocity=64):
    """Absolute (time, message) pairs of one note."""
    on, off = ("note_on", channel, pitch, velocity), ("note_off", channel, pitch, 0)
    return [(start, on), (end, off)]


def in_order(*notes):
    """Notes as one track's (delta, message) pairs."""
    events = sorted((pair for pairs in notes for pair in pairs), key=lambda pair: pair[0])
    times = [0] + [time for time, _ in events]
    return [(t - before, m) for before, (t, m) in zip(times, events, strict=False)]


def changes_of(midi):
    """(channel, time, track, place in the track, program) of every program change."""
    found = []
    for number, track in enumerate(midi.tracks):
        time = 0
        for place, message in enumerate(track):
            time += message.time
            if message.type == "program_change":
                found.append((message.channel, time, number, place, message.program))
    return found


def slow_program(changes, number, place, channel, time):
    """The latest on the channel; of one tick those of the note's own track hide the others."""
    own = [c for c in changes if c[0] == channel and c[2] == number]
    before = [c for c in own if c[3] < place]
    since, program = (before[-1][1], before[-1][4]) if before else (-1, 0)
    hidden = {c[1] for c in own if c[1] == time}
    others = [c for c in changes if c[0] == channel and c[2] != number
              and since < c[1] <= time and c[1] not in hidden]  # fmt: skip
    return max(others)[4] if others else program


def slow_notes(midi):
    """(track, channel, program at the onset, onset, duration, pitch, velocity), first in first
    out.
    """
    rows, changes = [], changes_of(midi)
    for number, track in enumerate(midi.tracks):
        time, sounding = 0, defaultdict(list)
        for place, message in enumerate(track):
            time += message.time
            if message.type == "note_on" and message.velocity:
                program = slow_program(changes, number, place, message.channel, time)
                sounding[message.channel, message.note].append((time, message.velocity, program))
            elif message.type in ("note_on", "note_off"):
                waiting = sounding[message.channel, message.note]
                if waiting:
                    onset, velocity, program = waiting.pop(0)
                    part = (number, message.channel, program)
                    rows.append((*part, onset, time - onset, message.note, velocity))
        for (channel, pitch), waiting in sounding.items():
            rows += [(number, channel, p, on, time - on, pitch, v) for on, v, p in waiting]
    return rows


@pytest.mark.long
@settings(max_examples=3 * settings.default.max_examples // 2, deadline=None)
@given(st.lists(TRACKS, min_size=1, max_size=3), st.sampled_from([0, 1]))
def test_the_notes_are_those_of_muspy(tracks, kind):
    midi = midi_of(tracks[:1] if kind == 0 else tracks, kind)
    data = bytes_of(midi)
    again = mido.MidiFile(file=io.BytesIO(data))
    expected = slow_notes(again)
    theirs = [n for track in muspy.from_mido(again).tracks for n in track.notes]
    assert Counter((n.time, n.duration, n.pitch, n.velocity) for n in theirs) == Counter(
        row[3:] for row in expected
    )
    raw = pair_notes(read_events(data))
    columns = (raw.track, raw.channel, raw.program, raw.onset, raw.end - raw.onset, raw.pitch)
    ours = zip(*(column.tolist() for column in (*columns, raw.velocity)), strict=True)
    assert Counter(ours) == Counter(expected)


@pytest.mark.long
@settings(max_examples=settings.default.max_examples, deadline=None)
@given(st.lists(TRACKS, min_size=1, max_size=3))
def test_what_is_in_the_piece_is_what_can_be_and_the_rest_is_counted(tracks):
    midi = midi_of(tracks)
    reading = read_midi_bytes(bytes_of(midi), "a.mid", NATIVE)
    rows = slow_notes(midi)
    sounding = [row for row in rows if row[4]]
    longest = {}
    for row in sorted(sounding, key=lambda row: (row[4], row[6])):
        longest[(*row[:4], row[5])] = row
    parts = sorted({row[:3] for row in longest.values()})
    expected = sorted((r[3], parts.index(r[:3]), r[5], r[4], r[6]) for r in longest.values())
    fields = ("onset", "track", "pitch", "duration", "velocity")
    assert [tuple(n) for n in reading.piece.notes[list(fields)].tolist()] == expected
    dropped = {"zero length": len(rows) - len(sounding)}
    dropped["struck twice at once"] = len(sounding) - len(longest)
    assert reading.dropped == {reason: count for reason, count in dropped.items() if count}
    assert [track.program for track in reading.piece.tracks] == [part[2] for part in parts]
    assert [track.is_drum for track in reading.piece.tracks] == [part[1] == 9 for part in parts]
    known = ("notes never ended", "notes whose program another track of their channel set")
    assert all(warning.startswith(known) for warning in reading.piece.warnings)


def test_a_program_counts_from_the_note_after_it_and_a_note_keeps_its_own():
    change = [(48, ("program_change", 0, 40, 0))]
    notes = [note(0, 60, 0, 96), note(0, 62, 96, 192)]
    piece = read([in_order(*notes, change)]).piece
    assert [(t.program, t.role) for t in piece.tracks] == [(0, "piano"), (40, "strings")]
    assert piece.notes["track"].tolist() == [0, 1]


@pytest.mark.parametrize(("second", "kind", "port", "programs", "borrowed"), [
    ([(0, 40)], 1, (), [40, 40], 2),  # a setup track
    ([(96, 40)], 1, (), [0, 40], 1),  # at the tick of the second note
    ([(97, 40)], 1, (), [0], 0),
    ([(0, 40), (96, 41)], 1, (), [40, 41], 2),
    ([(0, 40)], 2, (), [0], 0),  # the tracks of type 2 are pieces of their own
    ([(0, 40)], 1, (0, 1), [0], 0),  # another port has channels of its own
    ([(0, 40)], 1, (1, 1), [40, 40], 2),
])  # fmt: skip
def test_a_program_counts_for_all_tracks_of_its_channel(second, kind, port, programs, borrowed):
    times = [time for time, _ in second]
    changes = [(time, ("program_change", 0, program, 0)) for time, program in second]
    deltas = [(time - before, message) for (time, message), before
              in zip(changes, [0, *times], strict=False)]  # fmt: skip
    midi = midi_of([in_order(note(0, 60, 0, 96), note(0, 62, 96, 192)), deltas], kind)
    for track, number in zip(midi.tracks, port, strict=False):
        track.insert(0, mido.MetaMessage("midi_port", port=number))
    piece = read_midi_bytes(bytes_of(midi), "a.mid", NATIVE).piece
    assert [piece.tracks[n].program for n in piece.notes["track"].tolist()] == [
        *programs, *programs[-1:] * (2 - len(programs))]  # fmt: skip
    said = [w for w in piece.warnings if w.startswith("notes whose program")]
    assert [int(w.rsplit(" ", 1)[1]) for w in said] == [borrowed] * bool(borrowed)


def test_of_one_tick_a_tracks_own_program_hides_that_of_another():
    own = [(0, ("program_change", 0, 11, 0)), *in_order(note(0, 60, 0, 96))]
    other = [(0, ("program_change", 0, 12, 0)), *in_order(note(0, 62, 0, 96))]
    piece = read([own, other]).piece
    assert [(t.program, n) for n, t in enumerate(piece.tracks)] == [(11, 0), (12, 1)]
    assert piece.warnings == ()


def test_at_the_first_tick_of_a_file_too():
    begin, end = in_order(note(0, 60, 0, 96))
    own = [begin, (0, ("program_change", 0, 11, 0)), end]
    other = [(0, ("program_change", 0, 12, 0)), *in_order(note(0, 62, 0, 96))]
    piece = read([own, other]).piece
    assert [t.program for t in piece.tracks] == [0, 12]
    assert piece.warnings == ()


def test_notes_that_never_end_are_closed_with_their_track_and_said():
    tracks = [
        [(0, ("note_on", 0, 60, 64)), (10, ("note_on", 0, 64, 64)), (86, ("note_off", 0, 1, 0))]
    ]
    reading = read(tracks)
    assert reading.piece.notes["duration"].tolist() == [96, 86]
    assert reading.piece.warnings == ("notes never ended, closed with their track: 2",)


def test_absurd_notes_are_dropped_by_name():
    quarter = 96
    notes = [note(0, 60, 0, 4096 * quarter), note(0, 61, 0, 4096 * quarter + 1)]
    late = [note(0, 62, 65536 * quarter + extra, 65536 * quarter + 96) for extra in (0, 1)]
    reading = read([in_order(*notes, late[0], late[1])])
    assert reading.dropped == {"longer than 4096 quarters": 1, "later than 65536 quarters": 1}
    assert reading.piece.notes["pitch"].tolist() == [60, 62]


@pytest.mark.parametrize(("tpq", "onsets", "durations", "error"), [
    (96, [0, 25, 96], [1, 71, 1], 0.0),
    (192, [0, 50, 192], [2, 142, 2], 0.0),
    (4, [0, 1, 4], [1, 3, 1], 1 / 96 / 3),  # 25 of 96 is a fourth and one tick
])  # fmt: skip
def test_another_time_unit_rounds_and_says_by_how_much(tpq, onsets, durations, error):
    tracks = [in_order(note(0, 60, 0, 1), note(0, 60, 25, 96), note(0, 60, 96, 97))]
    reading = read(tracks, options=ReadOptions(ticks_per_quarter=tpq))
    assert reading.piece.notes["onset"].tolist() == onsets
    assert reading.piece.notes["duration"].tolist() == durations
    assert reading.onset_error == pytest.approx(error)


def test_halves_round_up_and_what_does_not_fit_is_refused():
    events = read_events(bytes_of(midi_of([[]])))
    ticks = np.array([11, 12, 13, 36])
    assert rescale(ticks, events.header.resolution, 4).tolist() == [0, 1, 1, 2]
    tracks = [in_order(note(0, 60, 60000 * 96, 60001 * 96))]
    with pytest.raises(ValueError, match=r"60000 quarters .* choose a coarser unit"):
        read(tracks, options=ReadOptions(ticks_per_quarter=100_000))


@pytest.mark.parametrize(("name", "program", "share", "expected"), [
    ("Drums", 0, 1.0, True),
    ("Rock Drum Kit", 118, 0.9, True),
    ("PERCUSSION_1", 0, 1.0, True),
    ("Steel Drums", 0, 1.0, False),
    ("Taiko Drum", 116, 1.0, False),
    ("Drums", 33, 1.0, False),  # a bass is set
    ("Drums", 0, 0.89, False),  # too many other keys
    ("Kitchen", 0, 1.0, False),
    ("Piano", 0, 1.0, False),
])  # fmt: skip
def test_a_kit_off_channel_10_is_told_by_name_program_and_keys(name, program, share, expected):
    assert is_kit(name, program, share) == expected


def test_a_kit_off_channel_10_becomes_drums_with_a_warning(tmp_path):
    midi = midi_of([[], in_order(note(2, 36, 0, 48), note(2, 38, 48, 96)),
                    in_order(note(3, 36, 0, 48), note(3, 100, 48, 96))])  # fmt: skip
    for track in midi.tracks[1:]:
        track.insert(0, mido.MetaMessage("track_name", name="Drum Kit"))
    midi.save(tmp_path / "beat.mid")
    piece = read_midi(tmp_path / "beat.mid", NATIVE).piece
    assert piece.tracks == (Track("Drum Kit", "drums", 0, True), Track("Drum Kit", "piano"))
    assert piece.warnings == ("drums off channel 10, told by their name: 1",)
    assert (piece.id, piece.source, piece.title) == ("beat", "beat.mid", "")


@pytest.mark.long
def test_tens_of_thousands_of_tracks_keep_their_notes_apart():
    track = in_order(note(15, 60, 0, 96))
    data = bytes_of(midi_of([track]))
    head, chunk = data[:14], data[14:]
    many = head[:10] + (20_000).to_bytes(2, "big") + head[12:] + chunk * 20_000
    reading = read_midi_bytes(many, "a.mid", NATIVE)
    assert (len(reading.piece.notes), len(reading.piece.tracks)) == (20_000, 20_000)
    assert reading.dropped == {}


def test_a_file_without_notes_is_a_piece_without_tracks():
    piece = read([[(0, ("program_change", 0, 5, 0))], []]).piece
    assert (len(piece.notes), piece.tracks, piece.warnings) == (0, (), ())
