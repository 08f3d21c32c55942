"""Grammars side by side say what each would say alone: on random walks, after prompts of unlike
length, while neighbours have ended, and after a choice among the sequences.
"""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostinato.music.piece import VOICES, Piece, Tempo, Track, make_notes
from ostinato.representations.grammars import OneByOne, SideBySide, side_by_side
from ostinato.representations.protocol import build

FOLDER = Path(__file__).parents[2] / "conf" / "representation"
ALL = {
    path.stem: build(yaml.safe_load(path.read_text()))
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.stem not in ("trio", "pop", "lead")  # `band` stands for them
} | {
    "pitch_all": build({"kind": "pitch", "roles": []}),
    "grid_triplets": build({"kind": "grid", "steps_per_quarter": 3, "hold": True}),
    "remi_tracks": build({"kind": "events", "scheme": "remi", "voices": [], "max_quarters": 2}),
    "midi_like_alone": build(
        {"kind": "events", "scheme": "midi_like", "voices": ["soprano"], "max_quarters": 1}
    ),
    "midi_like_drums": build(
        {"kind": "events", "scheme": "midi_like", "voices": ["bass", "drums"], "needed": "any"}
    ),
}
TABLES = {name: kind for name, kind in ALL.items() if isinstance(kind, SideBySide)}
each = pytest.mark.parametrize("name", TABLES)
few = settings(
    max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module", autouse=True)
def tables_for_few():
    """Of events too, which are asked one by one where they are few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ostinato.representations.events.representation.ENOUGH_FOR_TABLES", 0)
        yield


def music(seed, roles, quarters=6):
    """A few notes of every role, at random."""
    rng = np.random.default_rng(seed)
    tracks = tuple(Track(name=r, role=r, is_drum=r == "drums") for r in roles)
    rows = [
        (voice, 6 * int(rng.integers(4 * quarters)), 6 * int(rng.integers(1, 12)), 60, 80)
        for voice in range(len(roles))
        for _ in range(4)
    ]
    rows = [(v, on, length, int(rng.integers(45, 70)), 80) for v, on, length, _, _ in rows]
    rows.append((0, 0, 6, 60, 80))
    return Piece(
        id="random",
        ticks_per_quarter=24,
        notes=make_notes(rows),
        tracks=tracks,
        tempos=(Tempo(0, 90.0),),
    )


def prompts_of(representation, seed, count=5):
    """Prompts of unlike length, one of them empty."""
    options = representation.codec()
    roles = options.get("voices") or options.get("roles") or VOICES
    empty = np.zeros((0, representation.width), np.int32)
    pieces = [music(seed + number, roles) for number in range(1, count)]
    return [empty, *(representation.prefix(p, 0.5 + n) for n, p in enumerate(pieces))]


def agree(representation, tables, alone, column):
    """The masks of both, (B, V), which must be the same for all that have not ended."""
    found = tables.allowed(column)
    shape = (len(alone), len(representation.vocabulary))
    found = np.ones(shape, bool) if found is None else found
    assert found.shape == shape
    for number, grammar in enumerate(alone):
        if not grammar.finished():
            wrong = np.flatnonzero(found[number] != grammar.allowed(column))
            assert not len(wrong), [representation.vocabulary[token] for token in wrong]
    return found


def step(representation, tables, alone, rng):
    """Walk all that have not ended, but some at random, by a position; whether any is left."""
    walking = ~tables.finished()
    assert walking.tolist() == [not grammar.finished() for grammar in alone]
    moving = walking & (rng.random(len(alone)) < 0.8)
    for column in rng.permutation(representation.width).tolist():
        masks = agree(representation, tables, alone, column)
        tokens = np.zeros(len(alone), dtype=np.int64)
        for number in np.flatnonzero(moving):
            tokens[number] = rng.choice(np.flatnonzero(masks[number]))
            alone[number].advance(int(tokens[number]), column)
        tables.advance(tokens, moving, column)
    return walking.any()


@each
@few
@given(seed=st.integers(0, 2**32), quarters=st.integers(0, 6))
def test_side_by_side_they_say_what_each_says_alone(name, seed, quarters):
    representation, rng = TABLES[name], np.random.default_rng(seed)
    prompts = prompts_of(representation, seed)
    tables = representation.grammars(quarters, prompts)
    assert not isinstance(tables, OneByOne)
    alone = [representation.grammar(quarters, prompt) for prompt in prompts]
    for _ in range(250):
        if not step(representation, tables, alone, rng):
            break
    lengths = [len(prompt) for prompt in prompts]
    assert tables.most is None or tables.most >= max(lengths)


@each
def test_chosen_sequences_go_on_where_they_were(name):
    representation, rng = TABLES[name], np.random.default_rng(1)
    prompts = prompts_of(representation, 3)
    tables = representation.grammars(12, prompts)
    alone = OneByOne([representation.grammar(12, prompt) for prompt in prompts])
    for _ in range(4):
        for _ in range(5):
            step(representation, tables, alone._grammars, rng)
        chosen = rng.integers(0, len(prompts), len(prompts) + 2)[: len(prompts)]
        tables.select(chosen)
        alone.select(chosen)
        agree(representation, tables, alone._grammars, 0)


def test_what_has_no_tables_is_asked_one_by_one():
    class Plain:
        """A grid that knows single grammars only."""

        grammar = ALL["grid_hold"].grammar

    prompts = prompts_of(ALL["grid_hold"], 0)
    assert isinstance(side_by_side(Plain(), 4, prompts), OneByOne)
    assert not isinstance(side_by_side(ALL["grid_hold"], 4, prompts), OneByOne)
    plain, tables = (side_by_side(kind, 4, prompts) for kind in (Plain(), ALL["grid_hold"]))
    rng = np.random.default_rng(0)
    while step(ALL["grid_hold"], tables, plain._grammars, rng):
        assert plain.finished().tolist() == tables.finished().tolist()
        assert np.array_equal(plain.allowed(1), tables.allowed(1))


@pytest.mark.parametrize("name", ["grid", "grid_triplets", "pitch"])
def test_most_is_the_length_of_the_longest(name):
    representation, rng = ALL[name], np.random.default_rng(0)
    prompts = prompts_of(representation, 0)
    tables = representation.grammars(8, prompts)
    alone = [representation.grammar(8, prompt) for prompt in prompts]
    lengths = np.array([len(prompt) for prompt in prompts])
    while not tables.finished().all():
        before = ~tables.finished()
        moving = before.copy()
        for column in range(representation.width):
            masks = agree(representation, tables, alone, column)
            tokens = np.array([rng.choice(np.flatnonzero(row)) for row in masks])
            for number in np.flatnonzero(moving):
                alone[number].advance(int(tokens[number]), column)
            tables.advance(tokens, moving, column)
        lengths += moving
    assert lengths.max() == tables.most


def test_a_hold_is_allowed_only_where_its_voice_sounds():
    grid = build({"kind": "grid", "hold": True})
    hold = grid.vocabulary.index("hold")
    prompt = np.array([[0, 5, 0, hold]], dtype=np.int32)
    grammar = grid.grammar(1, prompt)
    assert [bool(grammar.allowed(column)[hold]) for column in range(4)] == [0, 1, 0, 1]
    grammar.advance(7, column=2)
    assert grammar.allowed(2)[hold]
