import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.corpus.store import Entry
from ostinato.music.piece import Key, Meter, Piece, Tempo, Track, make_notes
from ostinato.report.corpus_collect import clusters, collect, draw, reasons
from ostinato.report.corpus_count import Bins, longest, octaves, pitches, ranking, sounding
from ostinato.report.corpus_data import CLUSTERS_SHOWN, REJECTED_SHOWN, TOP, DescribeOptions
from ostinato.report.corpus_names import DRUMS, INSTRUMENTS, instrument_name, key_name, pitch_name

TPQ = 24
TRACKS = (
    Track("Right", "piano", 0),
    Track("Left", "bass", 33),
    Track("Kit", "drums", 0, is_drum=True),
)


def make_piece(seed, notes=60, **facts):
    rng = np.random.default_rng(seed)
    rows = [
        (
            int(rng.integers(3)),
            int(rng.integers(0, 16 * TPQ)),
            int(rng.integers(1, 3 * TPQ)),
            int(rng.integers(35, 82)),
            90,
        )
        for _ in range(notes)
    ]
    values = {
        "tempos": (Tempo(0, 60.0), Tempo(8 * TPQ, 90.0)),
        "meters": (Meter(0, 3, 4), Meter(3 * TPQ, 4, 4)),
        "keys": (Key(0, -3, "minor"),),
        "labels": {"style": f"style {seed % 3}"},
        "warnings": (f"{seed} notes overlap",),
    }
    return Piece(f"piece-{seed}", TPQ, make_notes(rows), TRACKS, **(values | facts))


PIECES = [make_piece(seed) for seed in range(9)]
SPLITS = ("train", "valid", "test")
SUMMARY = {"dataset": "demo", "files": 12, "notes_read": 600, "notes_kept": 540}
SUMMARY |= {"notes_dropped": {"zero length": 60}, "melodies": 9}
REJECTED = [{"file": f"{i}.mid", "reason": "unreadable", "detail": f"byte {i}"} for i in range(3)]


def look(music=PIECES, rejected=REJECTED, summary=SUMMARY, **options):
    entries = [Entry(p, SPLITS[i % 3], p.id, f"g{i // 2}") for i, p in enumerate(music)]
    rows = [{"id": e.piece.id, "split": e.split, "group": e.group, "copies": ""} for e in entries]
    options = DescribeOptions(**({"pieces": 2, "seconds": 2.0} | options))
    return collect(rows, iter(entries), summary, rejected, options)


@pytest.fixture(scope="module")
def data():
    return look()


def named(items, title):
    return next(item for item in items if item.title.startswith(title))


def counts(histogram):
    return {bar.label: bar.count for bar in histogram.bins if bar.count}


def test_pitches_are_those_of_all_tuned_notes(data):
    tuned = np.concatenate([p.notes["pitch"][p.notes["track"] < 2] for p in PIECES])
    expected = Counter(f"{pitch_name(x)} ({x})" for x in tuned.tolist())
    assert counts(named(data.music, "Pitch")) == expected


def test_durations_fall_into_the_nearest_fifth_of_an_octave(data):
    tuned = np.concatenate([p.notes["duration"][p.notes["track"] < 2] for p in PIECES]) / TPQ
    expected = Counter(np.rint(5 * np.log2(tuned)).astype(int).tolist())
    bins = named(data.music, "Duration").bins
    found = {round(5 * math.log2(math.sqrt(b.low * b.high))): b.count for b in bins if b.count}
    assert found == expected


def test_note_values_have_bins_of_their_own():
    axis = octaves(-6, 6, 5)
    values = [k * 2.0**n for n in range(-4, 4) for k in (1, 1.5, 4 / 3)]
    assert len(set(axis.place(values).tolist())) == len(values)


def test_polyphony_counts_every_tick(data):
    expected = Counter()
    for piece in PIECES:
        notes = piece.notes[piece.notes["track"] < 2]
        end = int((notes["onset"] + notes["duration"]).max())
        for tick in range(end):
            sounds = (notes["onset"] <= tick) & (tick < notes["onset"] + notes["duration"])
            expected[str(int(sounds.sum()))] += 1 / TPQ
    found = counts(named(data.music, "Notes sounding"))
    assert found == pytest.approx({name: n for name, n in expected.items() if n})


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=30))
def test_all_time_to_the_last_end_is_counted(spans):
    notes = make_notes([(0, onset, duration, 60, 80) for onset, duration in spans])
    sounds, ticks = sounding(notes)
    assert ticks.min(initial=0) >= 0
    assert sounds[ticks > 0].min(initial=0) >= 0
    assert ticks.sum() == max(onset + duration for onset, duration in spans)
    assert (sounds * ticks).sum() == sum(duration for _, duration in spans)


def test_density_length_and_tempo_are_one_for_each_piece(data):
    for title in ("Density: notes per second", "Density: notes per quarter", "Length", "Tempo"):
        assert named(data.music, title).total == len(PIECES)
    expected = Counter()
    for piece in PIECES:
        seconds = 8 + (piece.quarters - 8) * 60 / 90
        tempo = round(60 * piece.quarters / seconds)
        expected[f"{tempo - tempo % 10} to {tempo - tempo % 10 + 9}"] += 1
    assert counts(named(data.music, "Tempo")) == expected


def test_meters_keys_programs_roles_and_drums(data):
    assert named(data.music, "Meter").rows == (("4/4", 9),)
    assert "9 change theirs" in named(data.music, "Meter").text
    assert named(data.music, "Key").rows == (("C minor", 9),)
    notes = np.concatenate([piece.notes for piece in PIECES])
    per_track = np.bincount(notes["track"]).tolist()
    assert dict(named(data.instruments, "Roles").rows) == dict(
        zip(("piano", "bass", "drums"), per_track, strict=True)
    )
    names = ("Acoustic Grand Piano", "Fingered Electric Bass", "Drums")
    assert dict(named(data.instruments, "Instruments").rows) == dict(
        zip(names, per_track, strict=True)
    )
    kit = named(data.instruments, "Drums")
    assert kit.total == per_track[2]
    assert (
        dict(kit.rows).items()
        <= Counter(DRUMS[x] for x in notes["pitch"][notes["track"] == 2].tolist()).items()
    )


def test_labels_are_counted_by_name_and_missing_ones_stated():
    pieces = [*PIECES, make_piece(99, labels={"composer": "Bach"})]
    style, composer = (named(look(pieces).labels, x) for x in ("Style", "Composer"))
    assert style.rows == (("style 0", 3), ("style 1", 3), ("style 2", 3))
    assert "1 pieces have none" in style.text
    assert composer.rows == (("Bach", 1),)


def test_a_corpus_without_tempo_meter_or_key_says_so():
    data = look([replace(p, tempos=(), meters=(), keys=()) for p in PIECES])
    assert named(data.music, "Meter").rows == named(data.music, "Key").rows == (("none stated", 9),)
    assert not [item for item in data.music if item.title.startswith("Tempo")]
    assert "9 without a tempo" in named(data.music, "Length of pieces in time").text


def test_shares_add_up(data):
    assert [share.split for share in data.shares] == list(SPLITS)
    assert (data.pieces, data.notes) == (9, 540)
    assert data.seconds == pytest.approx(sum(8 + (p.quarters - 8) * 60 / 90 for p in PIECES))


@given(st.lists(st.floats(-1e9, 1e9), max_size=40))
def test_nothing_is_lost_beyond_an_axis(values):
    for axis in (octaves(-3, 3, 5), pitches()):
        bins = Bins(axis)
        bins.add(values)
        assert bins.done("", "notes").total == len(values)


def test_a_histogram_begins_and_ends_where_something_is():
    bins = Bins(pitches())
    bins.add([60, 64])
    bars = bins.done("Pitch", "notes").bins
    assert [bar.count for bar in bars] == [1, 0, 0, 0, 1]
    assert not Bins(pitches()).done("Pitch", "notes").bins


def test_few_marks_stand_on_an_axis_and_the_anchor_is_among_them():
    axis = octaves(-6, 12, 5)
    for low, high in itertools.combinations(range(-6, 13), 2):
        ticks = axis.ticks_between(2.0**low, 2.0**high)
        assert 1 <= len(ticks) <= 10
        assert (1.0, "1") in ticks or not low <= 0 <= high


def test_a_ranking_sums_what_it_does_not_name():
    names = Counter({f"name {i:02}": 50 - i for i in range(30)})
    found = ranking("Names", "pieces", names)
    assert [name for name, _ in found.rows] == [f"name {i:02}" for i in range(TOP)]
    assert found.others == (10, sum(50 - i for i in range(20, 30)))
    assert found.total == names.total()


def test_the_value_in_force_for_longest_wins_however_often_it_returns():
    changes = (Meter(0, 3, 4), Meter(10, 4, 4), Meter(25, 3, 4), Meter(32, 2, 4))
    assert longest(changes, 35) == Meter(0, 3, 4)
    assert longest(changes, 60) == Meter(32, 2, 4)
    assert longest((), 60) is None
    assert longest((Meter(0, 5, 8),), 0) == Meter(0, 5, 8)


def test_rejected_files_are_cut_with_their_number_stated_and_rare_reasons_kept_whole():
    rows = [{"file": f"{i:04}", "reason": "unreadable", "detail": ""} for i in range(1000)]
    rows += [{"file": f"{i}", "reason": "time limit", "detail": ""} for i in range(3)]
    often, rare = reasons(rows)
    assert (often.name, often.count, len(often.shown)) == ("unreadable", 1000, REJECTED_SHOWN - 3)
    assert (rare.name, rare.count, len(rare.shown)) == ("time limit", 3, 3)
    assert reasons(rows[::-1]) == (often, rare)
    many = [{"file": "x", "reason": f"reason {i}", "detail": ""} for i in range(500)]
    assert sum(len(reason.shown) for reason in reasons(many)) == REJECTED_SHOWN


def test_clusters_are_cut_and_those_across_splits_stand_first():
    rows = [{"id": f"{i:03}", "split": "train", "copies": f"c{i // 3}"} for i in range(600)]
    rows += [{"id": "v", "split": "valid", "copies": "torn"}, {"id": "t", "split": "train"}]
    rows[-1]["copies"] = "torn"
    rows += [{"id": "alone", "split": "test", "copies": ""}, {"id": "bare", "split": "test"}]
    rows += [{"id": "only", "split": "test", "copies": "one"}]
    found = clusters(rows, "copies")
    assert (found.groups, found.pieces, found.crossing) == (201, 602, 1)
    assert len(found.shown) == CLUSTERS_SHOWN
    assert found.shown[0].shown == (("t", "train"), ("v", "valid"))
    assert found.shown[1].shown == (("000", "train"), ("001", "train"), ("002", "train"))
    assert clusters(rows[::-1], "copies") == found


def test_who_is_drawn_depends_on_the_seed_and_not_on_the_order():
    ids = [f"piece-{i}" for i in range(200)]
    options = DescribeOptions(pieces=6, seed=1)
    drawn = draw(ids, options)
    assert draw(ids[::-1], options) == drawn
    assert len(set(drawn)) == 6
    assert draw(ids, DescribeOptions(pieces=6, seed=2)) != drawn
    assert len(set(draw([*ids, "new"], options)) - set(drawn)) <= 1
    assert len(draw(ids[:3], options)) == 3


@pytest.mark.parametrize("wrong", [{"pieces": -1}, {"seconds": 0.0}, {"seconds": 1e6}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DescribeOptions(**wrong)


def test_warnings_count_once_for_each_piece_whatever_their_numbers(data):
    assert data.warnings.rows == (("# notes overlap", 9),)
    assert data.warned == 9


@pytest.mark.parametrize(
    ("fifths", "mode", "name"),
    [
        (0, "major", "C major"),
        (-3, "major", "E♭ major"),
        (3, "minor", "F♯ minor"),
        (-7, "minor", "A♭ minor"),
        (7, "major", "C♯ major"),
        (8, "major", "G♯ major"),
        (0, "dorian", "D dorian"),
        (-1, "phrygian", "A phrygian"),
        (0, "", "no sharps or flats"),
        (1, "", "1 sharp"),
        (-2, "", "2 flats"),
    ],
)
def test_keys_have_names(fifths, mode, name):
    assert key_name(Key(0, fifths, mode)) == name


def test_general_midi_is_complete():
    assert (len(INSTRUMENTS), len(DRUMS), min(DRUMS), max(DRUMS)) == (128, 47, 35, 81)
    anchors = {0: "Acoustic Grand Piano", 24: "Nylon-string Guitar", 40: "Violin", 56: "Trumpet"}
    anchors |= {64: "Soprano Sax", 73: "Flute", 80: "Lead 1 (square)", 104: "Sitar", 127: "Gunshot"}
    assert {number: instrument_name(number) for number in anchors} == anchors
    assert (DRUMS[38], DRUMS[42], DRUMS[60], DRUMS[81]) == (
        "Acoustic Snare",
        "Closed Hi-hat",
        "High Bongo",
        "Open Triangle",
    )


def test_pieces_are_counted_by_role_and_style_and_few_pieces_of_a_style_are_named():
    data = look(PIECES)
    roles = dict(named(data.labels, "Roles").rows)
    together = dict(named(data.labels, "Styles and roles").rows)
    assert max(roles.values()) == len(PIECES)
    for role, count in roles.items():
        assert sum(n for key, n in together.items() if key.endswith(f", {role}")) == count
    styles = dict(named(data.labels, "Style").rows)
    assert len(data.few) == len([n for n in styles.values() if n < 20])
    assert f"has {styles['style 0']} piece" in data.few[0]
