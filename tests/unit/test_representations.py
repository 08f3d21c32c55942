"""What every representation promises, tried on random pieces: see representations/protocol.py."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostinato.music.piece import (
    VOICES,
    Annotation,
    Meter,
    Piece,
    Track,
    cut,
    make_notes,
    same_music,
)
from ostinato.representations.protocol import Unencodable
from ostinato.representations.registry import build

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from one_sequence import OneSequence, as_long_as, end_of_bar, exactly

FOLDER = Path(__file__).parents[2] / "conf" / "representation"
METERS = ((4, 4), (3, 4), (6, 8), (3, 2), (12, 8), (2, 4))
SETTINGS = {
    **{path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))},
    "grid_triplets": {"kind": "grid", "steps_per_quarter": 3, "hold": True},
    "grid_flat_hold": {"kind": "grid_flat", "hold": True, "order": ["bass", *VOICES[:3]]},
    "pitch_all": {"kind": "pitch", "roles": []},
    "pitch_two": {"kind": "pitch", "roles": ["bass", "alto"]},
    "remi_tracks": {"kind": "events", "scheme": "remi", "voices": [], "max_quarters": 2},
    "remi_twelfths": {"kind": "events", "scheme": "remi", "steps_per_quarter": 12},
    "midi_like_tracks": {"kind": "events", "scheme": "midi_like", "voices": [], "max_quarters": 1},
    "roles_any": {"kind": "roles", "roles": ["piano", "bass", "strings", "drums"]},
}
ALIKE = {"trio", "pop", "lead", "tracks"}  # others stand for them: band, remi_tracks, roles_any
ALIKE |= {"mel"}  # sound has no symbols: tests/unit/test_representations_mel.py
ALIKE |= {name for name in SETTINGS if "roles_" in name and name != "roles_any"}
ALL = {name: build(options) for name, options in SETTINGS.items() if name not in ALIKE}
EVENTS = [name for name in ALL if SETTINGS[name]["kind"] == "events"]
VOICES_OF = {name: list(options.get("voices", VOICES)) for name, options in SETTINGS.items()}
VOICES_OF["roles_any"] = SETTINGS["roles_any"]["roles"]
VOICES_OF["roll"] = []  # it reads all tracks, whatever their roles
each = pytest.mark.parametrize("name", ALL)
each_event = pytest.mark.parametrize("name", EVENTS)
tried = {"max_examples": min(20, settings.default.max_examples), "derandomize": True}
few = settings(**tried, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def pieces(draw):
    """Four voices in any order and perhaps a drum, off the grid, overlaps, rests, pickups."""
    tpq = draw(st.sampled_from([4, 24, 480]))
    roles = draw(st.permutations(VOICES))
    tracks = [Track(name=role, role=role, program=draw(st.integers(0, 20))) for role in roles]
    if draw(st.booleans()):
        tracks.insert(draw(st.integers(0, 4)), Track(name="drums", program=0, is_drum=True))
    start = draw(st.sampled_from([0, 0, 3 * tpq, 9 * tpq + 1]))
    step = max(1, tpq // 4)

    def ticks(quarters):
        on_grid = st.integers(0, quarters * tpq // step).map(lambda n: n * step)
        return on_grid | st.integers(0, quarters * tpq)

    note = st.tuples(
        st.integers(0, len(tracks) - 1),
        ticks(8).map(lambda onset: onset + start),
        (ticks(2) | ticks(20)).map(lambda length: max(1, length)),
        st.integers(59, 61) | st.integers(48, 70),
        st.integers(1, 127),
    )
    notes = make_notes(draw(st.lists(note, min_size=1, max_size=14)))
    changes = draw(st.lists(st.tuples(ticks(12), st.sampled_from(METERS)), max_size=4))
    at = {0: (4, 4)} if draw(st.booleans()) else {}
    at |= dict(sorted(changes))
    bars = draw(st.sampled_from([(), (0, tpq, 5 * tpq), (0, 4 * tpq), (tpq // 2, 3 * tpq)]))
    return Piece(
        id="random",
        ticks_per_quarter=tpq,
        notes=notes,
        tracks=tuple(tracks),
        meters=tuple(Meter(onset, *meter) for onset, meter in sorted(at.items())),
        annotations=tuple(Annotation(onset, "bar") for onset in bars),
    )


def fit(name, piece):
    """The piece with its chorale voices played by the last voices of a representation."""
    roles = VOICES_OF[name]
    if not roles or SETTINGS[name]["kind"] == "pitch":
        return piece
    given = {role: roles[-1 - i % len(roles)] for i, role in enumerate(reversed(VOICES))}
    tracks = []
    for track in piece.tracks:
        role = given.get(track.role, track.role)
        tracks.append(replace(track, role=role, is_drum=track.is_drum or role == "drums"))
    return replace(piece, tracks=tuple(tracks))


def quantized(representation, piece):
    try:
        return representation.quantize(piece)
    except Unencodable:
        assert representation.codec()["kind"] in ("events", "roles")
        assert not len(piece.notes) or not any(
            piece.tracks[i].role for i in piece.notes["track"]
        )  # nothing else in these pieces is out of reach
        return None


def walk(representation, bars, prompt, seed):
    """Tokens after a prompt, drawn evenly from all that the grammar allows."""
    grammar = OneSequence(representation, exactly(bars), prompt)
    rng = np.random.default_rng(seed)
    rows = [prompt]
    for _ in range(20_000):
        if grammar.finished():
            assert grammar.grammar.bars()[0] >= bars
            return np.concatenate(rows)
        row = np.zeros((1, representation.width), dtype=np.int32)
        for column in rng.permutation(representation.width).tolist():
            mask = grammar.allowed(column)
            assert mask.shape == (len(representation.vocabulary),)
            assert mask.any(), "nothing may follow"
            row[0, column] = rng.choice(np.flatnonzero(mask))
            grammar.advance(int(row[0, column]), column)
        rows.append(row)
    raise AssertionError("the grammar never ends")


def stepped(name):
    """Positions of a step where the length follows from the bars asked for."""
    kind = "" if SETTINGS[name].get("bars") else SETTINGS[name]["kind"]
    return {"grid": 1, "grid_flat": 4, "roll": 1}.get(kind, 0)


def none(representation):
    return np.zeros((0, representation.width), dtype=np.int32)


@each
@few
@given(piece=pieces())
def test_decoding_an_encoding_gives_the_quantized_piece_back(name, piece):
    piece = fit(name, piece)
    if found := quantized(ALL[name], piece):
        tokens = ALL[name].encode(piece)
        assert tokens.dtype == np.int32
        assert tokens.shape[1] == ALL[name].width
        assert tokens.min(initial=0) >= 0
        assert tokens.max(initial=0) < len(ALL[name].vocabulary)
        decoded = ALL[name].decode(tokens)
        assert same_music(decoded, found.piece)
        assert decoded.tempos == found.piece.tempos


@each
@few
@given(piece=pieces())
def test_a_quantized_piece_is_not_changed_again(name, piece):
    piece = fit(name, piece)
    if found := quantized(ALL[name], piece):
        again = ALL[name].quantize(found.piece)
        assert same_music(again.piece, found.piece)
        assert again.moved == 0
        assert not again.dropped


@pytest.mark.parametrize("name", [name for name in ALL if name != "roll"])  # it moves columns
@few
@given(piece=pieces(), semitones=st.integers(-12, 11))
def test_transposing_tokens_is_encoding_the_transposed_piece(name, piece, semitones):
    piece = fit(name, piece)
    if quantized(ALL[name], piece):
        notes = piece.notes.copy()
        drums = [number for number, track in enumerate(piece.tracks) if track.is_drum]
        notes["pitch"] += semitones * ~np.isin(notes["track"], drums)
        moved = ALL[name].shift(semitones)[ALL[name].encode(piece)]
        assert moved.min(initial=0) >= 0
        assert np.array_equal(moved, ALL[name].encode(replace(piece, notes=notes)))


@each
def test_what_leaves_the_vocabulary_in_transposition_is_marked(name):
    vocabulary = ALL[name].vocabulary
    table = ALL[name].shift(3)
    assert len(set(vocabulary)) == len(vocabulary) == len(table)
    for number, token in enumerate(vocabulary):
        kind, _, value = token.rpartition("_")
        if kind.endswith("_pitch"):
            want = f"{kind}_{int(value) + 3 * (kind != 'drums_pitch')}"
            assert (vocabulary[table[number]] == want) is (want in vocabulary)
        elif token == "on":
            assert table[number] == -1  # another column, which no table of symbols can say
        elif kind in ("pitch", "note_on", "note_off"):
            expected = f"{kind}_{int(value) + 3}"
            found = vocabulary[table[number]] if table[number] >= 0 else None
            assert found == (expected if expected in vocabulary else None)
        else:
            assert table[number] == number


@each
@few
@given(piece=pieces())
def test_the_grammar_allows_every_encoded_piece_and_ends_with_it(name, piece):
    piece = fit(name, piece)
    if quantized(ALL[name], piece):
        tokens = ALL[name].encode(piece)
        grammar = OneSequence(ALL[name], as_long_as(ALL[name], tokens), none(ALL[name]))
        if hasattr(grammar.grammar, "relax"):
            grammar.grammar.relax()  # voices of these pieces sound several notes at once
        for row in tokens.tolist():
            assert not grammar.finished()
            for column, token in enumerate(row):
                assert grammar.allowed(column)[token], ALL[name].vocabulary[token]
                grammar.advance(token, column)
        assert grammar.finished()


@each
@few
@given(bars=st.integers(0, 3), seed=st.integers(0, 2**32))
def test_whatever_the_grammar_allows_is_music_of_the_length_asked_for(name, bars, seed):
    piece = ALL[name].decode(tokens := walk(ALL[name], bars, none(ALL[name]), seed))
    if positions := stepped(name):
        assert len(tokens) == 4 * bars * piece.ticks_per_quarter * positions
    elif SETTINGS[name]["kind"] == "events":
        assert piece.quarters == end_of_bar(piece, bars)
    if len(piece.notes):
        assert ALL[name].quantize(piece).dropped == {}
        assert same_music(ALL[name].decode(ALL[name].encode(piece)), piece)


@each
@few
@given(seed=st.integers(0, 2**32), share=st.floats(0, 1))
def test_a_sequence_that_breaks_off_decodes_to_music_that_encodes(name, seed, share):
    tokens = walk(ALL[name], 6, none(ALL[name]), seed)
    piece = ALL[name].decode(tokens[: round(share * len(tokens))])
    if len(piece.notes):
        assert same_music(ALL[name].decode(ALL[name].encode(piece)), piece)


@pytest.mark.parametrize("name", [n for n in ALL if n != "roles_any"])  # has whole bars only
@few
@given(piece=pieces(), quarters=st.integers(0, 40), odd=st.booleans(), seed=st.integers(0, 2**32))
def test_a_continuation_leaves_its_prompt_as_it_was(name, piece, quarters, odd, seed):
    representation, piece = ALL[name], fit(name, piece)
    if not (found := quantized(representation, piece)):
        return
    at = quarters + 0.25 * odd
    whole = found.piece
    steps = min(round(at * whole.ticks_per_quarter), whole.length)
    prompt = representation.prefix(piece, at)
    assert np.array_equal(representation.decode(prompt).notes, cut(whole, 0, steps).notes)
    bars = max(representation.bar_starts(prompt), default=0) + 1
    tokens = walk(representation, bars, prompt, seed)
    assert np.array_equal(tokens[: len(prompt)], prompt)
    longer = representation.decode(tokens)
    assert np.array_equal(cut(longer, 0, steps).notes, cut(whole, 0, steps).notes)
    assert SETTINGS[name]["kind"] != "events" or longer.quarters == end_of_bar(longer, bars)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_build_an_equal_representation_again(name):
    codec = json.loads(json.dumps(build(SETTINGS[name]).codec()))
    assert build(codec) == build(SETTINGS[name])
    later = {"bars": False, "end": False}  # left out of a codec
    said = {k: v for k, v in SETTINGS[name].items() if v is not later.get(k)}
    assert codec | said == codec
    if (FOLDER / f"{name}.yaml").exists():
        assert codec == said  # a file writes out every option


@each
def test_an_unknown_option_names_the_valid_ones(name):
    kind = SETTINGS[name]["kind"]
    with pytest.raises(ValueError, match=r"has no setting loudness; its settings are .*qpm"):
        build({"kind": kind, "loudness": 3})
    with pytest.raises(ValueError, match=r"known kinds: events, grid, .*pitch"):
        build({"kind": f"{kind}s"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "octuple"}, "remi, midi_like"),
        ({"meters": ["4"]}, "like 3/4"),
        ({"meters": ["3/8"], "steps_per_quarter": 3}, "steps_per_quarter"),
        ({"meters": []}, "one or more"),
        ({"voices": ["alto", "alto"]}, "twice"),
        ({"lowest": 80, "highest": 70}, "below"),
        ({"max_quarters": 0}, "at least 1"),
        ({"meters": ["4/1"], "steps_per_quarter": 16}, "lower steps_per_quarter"),
        ({"needed": "most"}, "all or any"),
        ({"merged": True}, "leave voices"),
        ({"programs": [0, 0, 0]}, "one for each of voices"),
        ({"programs": [0, 0, 0, 128]}, "0 to 127"),
    ],
)
def test_contradictory_options_of_events_say_the_remedy(options, message):
    with pytest.raises(ValueError, match=message):
        build({"kind": "events", **options})


COMMON = (Meter(0, 4, 4),)


def chorale(rows, meters=COMMON, bars=()):
    return Piece(
        id="made",
        ticks_per_quarter=4,
        notes=make_notes(rows),
        tracks=tuple(Track(role=role) for role in VOICES),
        meters=meters,
        annotations=tuple(Annotation(onset, "bar") for onset in bars),
    )


def words(name, piece):
    return " ".join(ALL[name].vocabulary[token] for token in ALL[name].encode(piece)[:, 0])


@pytest.mark.parametrize("name", [n for n in ALL if n not in ("pitch_all", "band", "roles_any")])
def test_what_cannot_be_said_is_refused_with_its_reason(name):
    low = fit(name, chorale([(voice, 0, 4, 20, 80) for voice in range(4)]))
    with pytest.raises(Unencodable, match="pitch 20 lies outside"):
        ALL[name].encode(low)
    if VOICES_OF[name] == list(VOICES):
        lonely = replace(low, tracks=(Track(role="tenor"),) * 4)
        with pytest.raises(Unencodable, match=r"soprano|alto|bass"):
            ALL[name].encode(lonely)


@each_event
def test_events_refuse_no_notes_and_other_meters(name):
    with pytest.raises(Unencodable, match="no notes"):
        ALL[name].encode(fit(name, chorale([])))
    with pytest.raises(Unencodable, match="13/16 is none of"):
        ALL[name].encode(fit(name, chorale([(0, 0, 4, 60, 80)], meters=(Meter(0, 13, 16),))))


def test_a_pickup_moves_to_the_end_of_a_full_bar():
    piece = chorale([(0, 0, 4, 60, 80), (0, 4, 4, 62, 80)], bars=(0, 4, 20))
    assert words("remi", piece) == (
        "bar meter_4/4 position_12 voice_soprano pitch_60 duration_4 "
        "bar meter_4/4 position_0 voice_soprano pitch_62 duration_4 end"
    )
    assert words("midi_like", piece) == (
        "meter_4/4 time_shift_12 voice_soprano note_on_60 time_shift_4 voice_soprano note_off_60 "
        "voice_soprano note_on_62 time_shift_4 voice_soprano note_off_62 end"
    )


@pytest.mark.parametrize("name", ["remi", "midi_like"])
def test_meters_of_equal_bars_stay_apart_and_change_on_bar_lines(name):
    meters = (Meter(0, 3, 4), Meter(12, 6, 8), Meter(25, 4, 4))
    piece = chorale([(0, 0, 60, 60, 80)], meters=meters)
    assert ALL[name].quantize(piece).piece.meters == (*meters[:2], Meter(36, 4, 4))
    assert words(name, piece).count("meter_6/8") == (2 if name == "remi" else 1)


def test_a_prompt_ends_where_the_next_note_may_begin():
    piece = chorale([(0, 0, 40, 60, 80), (1, 2, 4, 55, 80)])

    def prompt(name, quarters):
        tokens = ALL[name].prefix(piece, quarters)[:, 0]
        return " ".join(ALL[name].vocabulary[token] for token in tokens)

    first = "bar meter_4/4 position_0 voice_soprano pitch_60"
    second = "position_2 voice_alto pitch_55 duration_4"
    assert prompt("remi", 4) == f"{first} duration_16 {second} bar"
    assert prompt("remi", 3) == f"{first} duration_12 {second} position_12"
    assert prompt("midi_like", 1) == (
        "meter_4/4 voice_soprano note_on_60 time_shift_2 voice_alto note_on_55 time_shift_2"
    )


def test_long_notes_and_notes_struck_twice_are_counted():
    piece = chorale([(0, 0, 80, 60, 80), (0, 0, 8, 60, 80), (1, 0, 8, 60, 80), (1, 4, 8, 60, 80)])
    found = ALL["remi"].quantize(piece)
    assert found.piece.notes["duration"].tolist() == [64, 4, 8]
    assert found.dropped == {"struck twice at once in its voice": 1, "cut at 16 quarters": 1}
    assert ALL["midi_like"].quantize(piece).piece.notes["duration"].tolist() == [80, 4, 8]


def test_note_names_come_by_onset_and_then_from_high_to_low():
    piece = chorale([(3, 0, 4, 48, 80), (0, 0, 4, 60, 80), (1, 2, 4, 55, 80), (2, 0, 9, 60, 80)])
    assert words("pitch_all", piece) == "pitch_60 pitch_60 pitch_48 pitch_55 end"
    assert words("pitch", piece) == "pitch_60 end"
