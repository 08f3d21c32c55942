"""Roles and bars: which tracks play which role, exact numbers of bars, parts that can be named.

What every representation promises is tried in test_representations.py.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.music.piece import Annotation, Meter, Piece, Track, cut, make_notes, same_music
from ostinato.music.roles import role_of
from ostinato.representations.protocol import Unencodable
from ostinato.representations.registry import build

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from one_sequence import OneSequence, exactly

SOURCES = {"piano": ["piano", "organ"], "strings": ["strings", "pad"]}
BAND = build(
    {
        "kind": "roles",
        "roles": ["piano", "bass", "strings", "drums"],
        "order": ["drums", "bass", "piano", "strings"],
        "sources": SOURCES,
        "registers": {"bass": [28, 60]},
        "programs": [0, 33, 48, 0],
        "meters": ["3/4", "4/4"],
    }
)
few = settings(max_examples=min(25, settings.default.max_examples), deadline=None, derandomize=True)


COMMON = (Meter(0, 4, 4),)


def piece_of(tracks, rows, meters=COMMON, bars=()):
    """tracks: (name, program, drums), with the roles that a corpus gives them."""
    return Piece(
        id="made",
        ticks_per_quarter=4,
        notes=make_notes(rows),
        tracks=tuple(
            Track(name, role_of(name, program, drums), program, drums)
            for name, program, drums in tracks
        ),
        meters=meters,
        annotations=tuple(Annotation(onset, "bar") for onset in bars),
    )


TRACKS = [("", 0, False), ("", 16, False), ("", 33, False), ("Kit", 0, True), ("", 71, False)]
MADE = piece_of(
    TRACKS,
    [
        (0, 0, 4, 60, 90), (1, 0, 4, 64, 90), (1, 4, 4, 65, 90),  # piano and organ
        (2, 0, 8, 40, 90), (2, 20, 4, 72, 90),  # a bass, beyond its register at last
        (3, 0, 1, 36, 90), (3, 8, 1, 38, 90),  # bass drum, snare
        (4, 0, 4, 70, 90),  # a clarinet
    ],
)  # fmt: skip


def words(representation, tokens):
    return " ".join(representation.vocabulary[token] for token in tokens[:, 0])


def walk(representation, bars, prompt, seed):
    """Tokens after a prompt, drawn evenly from all that the grammar allows."""
    grammar = OneSequence(representation, exactly(bars), prompt)
    rng, tokens = np.random.default_rng(seed), prompt[:, 0].tolist()
    while not grammar.finished():
        tokens.append(int(rng.choice(np.flatnonzero(grammar.allowed()))))
        grammar.advance(tokens[-1])
    return np.array(tokens, np.int32)[:, None]


def named(representation, *roles):
    """A prompt that says which roles play, and nothing else."""
    tokens = sorted(representation.vocabulary.index(f"with_{role}") for role in roles)
    return np.array(tokens, np.int32)[:, None]


def test_every_bar_has_a_part_of_each_role_that_plays():
    found = BAND.quantize(MADE)
    assert words(BAND, BAND.write(found.piece)) == (
        "with_drums with_bass with_piano bar_4/4 "
        "drums drums_position_0 drums_pitch_36 drums_duration_1 "
        "drums_position_8 drums_pitch_38 drums_duration_1 "
        "bass bass_position_0 bass_pitch_40 bass_duration_8 "
        "piano piano_position_0 piano_pitch_60 piano_duration_4 piano_pitch_64 piano_duration_4 "
        "piano_position_4 piano_pitch_65 piano_duration_4 end"
    )
    assert found.dropped == {"outside the register of its role": 1, "in none of the roles": 1}
    assert [track.role for track in found.piece.tracks] == ["piano", "bass", "strings", "drums"]
    assert [track.program for track in found.piece.tracks] == [0, 33, 48, 0]
    assert found.piece.tracks[3].is_drum


def test_of_several_tracks_of_a_role_the_busiest_may_be_chosen_and_the_others_are_counted():
    chosen = replace(BAND, several="busiest").quantize(MADE)
    assert chosen.dropped == {
        "outside the register of its role": 1,
        "in another track of its role": 1,
        "in none of the roles": 1,
    }
    assert chosen.piece.voice("piano")["pitch"].tolist() == [64, 65]
    tie = replace(MADE, notes=MADE.notes[MADE.notes["pitch"] != 65])
    assert replace(BAND, several="busiest").quantize(tie).piece.voice("piano")["pitch"] == [60]


def test_every_note_is_kept_or_counted():
    for several in ("merge", "busiest"):
        found = replace(BAND, several=several).quantize(MADE)
        assert len(found.piece.notes) + sum(found.dropped.values()) == len(MADE.notes)


def test_all_roles_may_be_needed_and_a_meter_must_be_known():
    with pytest.raises(Unencodable, match="no strings; roles in the piece: bass, drums, piano"):
        replace(BAND, needed="all").encode(MADE)
    with pytest.raises(Unencodable, match="5/4 is none of 3/4, 4/4"):
        BAND.encode(replace(MADE, meters=(Meter(0, 5, 4),)))
    with pytest.raises(
        Unencodable, match=r"no track plays a role\. Tracks: unnamed \(reed\)\. Played: piano by"
    ):
        BAND.encode(piece_of([("", 71, False)], [(0, 0, 4, 70, 90)]))
    with pytest.raises(Unencodable, match="lies outside the registers"):
        BAND.encode(piece_of([("", 33, False)], [(0, 0, 4, 70, 90)]))


def test_meters_change_within_a_piece_and_a_pickup_begins_with_rests():
    rows = [(0, 0, 4, 60, 90), (0, 4, 12, 62, 90), (0, 16, 16, 64, 90)]
    meters = (Meter(0, 3, 4), Meter(16, 4, 4))
    piece = piece_of(TRACKS[:1], rows, meters, bars=(0, 4, 16))
    tokens = BAND.encode(piece)
    assert words(BAND, tokens) == (
        "with_piano bar_3/4 piano piano_position_8 piano_pitch_60 piano_duration_4 "
        "bar_3/4 piano piano_position_0 piano_pitch_62 piano_duration_12 "
        "bar_4/4 piano piano_position_0 piano_pitch_64 piano_duration_16 end"
    )
    assert BAND.bar_starts(tokens) == {1: 1, 2: 6, 3: 11}
    assert BAND.decode(tokens).meters == (Meter(0, 3, 4), Meter(24, 4, 4))


def test_a_pickup_that_a_file_writes_as_a_meter_of_its_own_is_one():
    rows = [(0, 0, 4, 60, 90), (0, 4, 12, 62, 90)]
    piece = piece_of(TRACKS[:1], rows, (Meter(0, 1, 4), Meter(4, 3, 4)))
    bars = (0, 4)
    printed = piece_of(TRACKS[:1], rows, (Meter(0, 3, 4),), bars)
    assert np.array_equal(BAND.encode(piece), BAND.encode(printed))
    with pytest.raises(Unencodable, match="1/4 is none of"):
        BAND.encode(replace(piece, meters=(Meter(0, 1, 4), Meter(8, 3, 4))))


def test_a_note_that_sounds_into_a_bar_makes_it_a_bar_of_the_piece():
    piece = piece_of(TRACKS[:1], [(0, 0, 20, 60, 90)])
    tokens = replace(BAND, meters=("3/4", "4/4", "6/4")).encode(piece)
    assert words(BAND, tokens).count("bar_4/4 piano") == 2


def test_a_prompt_is_whole_bars_and_names_roles_that_come_in_later():
    rows = [(0, 0, 24, 60, 90), (2, 32, 16, 40, 90)]
    piece = piece_of(TRACKS, rows)
    wide = replace(BAND, meters=("4/4", "6/4"))
    prompt = wide.prefix(piece, 6)  # in the second bar
    assert words(wide, prompt) == (
        "with_bass with_piano bar_4/4 bass piano piano_position_0 piano_pitch_60 piano_duration_16"
    )
    assert len(wide.prefix(piece, 3.9)) == 0
    whole = wide.encode(piece)
    assert np.array_equal(wide.prefix(piece, 12), whole[:-1])


@few
@given(bars=st.integers(1, 4), seed=st.integers(0, 2**32), more=st.integers(1, 3))
def test_bars_and_roles_that_are_asked_for_are_kept_exactly(bars, seed, more):
    tokens = walk(BAND, bars, named(BAND, "bass", "strings"), seed)
    assert len(BAND.bar_starts(tokens)) == bars
    piece = BAND.decode(tokens)
    assert {piece.tracks[n].role for n in np.unique(piece.notes["track"])} == {"bass", "strings"}
    assert np.array_equal(BAND.encode(piece), tokens)  # each role plays, something sounds at last
    longer = walk(BAND, bars + more, tokens[:-1], seed)
    assert len(BAND.bar_starts(longer)) == bars + more
    assert np.array_equal(longer[: len(tokens) - 1], tokens[:-1])
    end = sum(BAND.layout.bar_steps[BAND.layout.values[tokens[BAND.layout.kinds[tokens] == 2]]])
    notes = cut(BAND.decode(longer), 0, int(end)).notes
    assert same_music(replace(piece, notes=notes), piece)


def test_only_a_meter_that_is_asked_for_is_said():
    grammar = OneSequence(BAND, exactly(2, "3/4"), named(BAND, "bass"))
    allowed = {BAND.vocabulary[i] for i in np.flatnonzero(grammar.allowed())}
    assert allowed == {"bar_3/4"}
    with pytest.raises(ValueError, match="meter=6/8 is none of 3/4, 4/4"):
        BAND.grammar(exactly(2, "6/8"), [])


def test_voices_of_a_choir_sound_one_note_at_a_time_until_a_player_sings():
    choir = build({"kind": "roles"})
    tokens = choir.encode(piece_of([("Alto", 0, False)], [(0, 0, 8, 60, 90)]))[:-1]
    for singing, expected in ((False, False), (True, True)):
        grammar = OneSequence(choir, exactly(1), np.zeros((0, 1), np.int32))
        if singing:
            grammar.grammar.relax()
        for token in tokens[:, 0].tolist():
            grammar.advance(token)
        assert bool(grammar.allowed()[choir.vocabulary.index("alto_pitch_64")]) is expected


def test_one_part_may_be_asked_for_alone():
    """As refilling does: the rest of the bar is not there yet."""
    tokens = BAND.prefix(MADE, 0)
    grammar = BAND.grammar(exactly(2), [np.concatenate([tokens, named(BAND, "bass", "piano")])])
    everyone, layout = np.ones(1, bool), BAND.layout
    for name in ("bar_4/4", "bass"):
        grammar.advance(np.array([BAND.vocabulary.index(name)]), everyone)
    symbols = [BAND.vocabulary[layout.opens[1] + i] for i in np.flatnonzero(grammar.part(1))]
    assert symbols == ["bass", *(f"bass_position_{i}" for i in range(16))]
    for name in ("bass_position_12", "bass_pitch_40"):
        grammar.advance(np.array([BAND.vocabulary.index(name)]), everyone)
    grammar.end_within(16)
    lengths = [BAND.vocabulary[layout.opens[1] + i] for i in np.flatnonzero(grammar.part(1))]
    assert lengths == [f"bass_duration_{i}" for i in range(1, 5)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"roles": []}, "one or more"),
        ({"roles": ["bass", "bass"]}, "each once"),
        ({"order": ["bass"]}, "each of roles"),
        ({"several": "all"}, "merge or busiest"),
        ({"needed": "most"}, "all or any"),
        ({"programs": [1]}, "one for each of roles"),
        ({"programs": [0, 0, 0, 128]}, "0 to 127"),
        ({"meters": []}, "one or more"),
        ({"steps_per_quarter": 0}, "at least 1"),
        ({"sources": {"lute": ["guitar"]}}, "sources names lute; roles are soprano"),
        ({"sources": {"alto": ["soprano"]}}, "soprano plays more than one role"),
        ({"registers": {"alto": [60, 50]}}, "registers.alto"),
    ],
)
def test_contradictory_options_say_the_remedy(options, message):
    with pytest.raises(ValueError, match=message):
        build({"kind": "roles", **options})


def test_more_roles_have_more_room_before_a_piece_has_gone_astray():
    one, all_of_them = (
        BAND.grammar(exactly(2), [named(BAND, *roles)]).most for roles in (["bass"], BAND.roles)
    )
    assert all_of_them == len(BAND.roles) * one
