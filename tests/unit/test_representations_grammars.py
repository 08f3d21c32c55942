"""A sequence of a batch is masked as it would be alone: on random walks, after prompts of different
lengths, while its neighbours have ended, and after a selection among the sequences.
"""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostinato.music.piece import VOICES, Piece, Tempo, Track, make_notes
from ostinato.representations.protocol import Extent
from ostinato.representations.registry import build

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from one_sequence import OneSequence, exactly

FOLDER = Path(__file__).parents[2] / "conf" / "representation"
ALL = {
    path.stem: build(yaml.safe_load(path.read_text()))
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.stem
    not in ("trio", "pop", "lead", "mel")  # `band` stands for them; sound has no grammar
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
each = pytest.mark.parametrize("name", ALL)
few = settings(
    max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


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


def agree(representation, together, alone, column):
    """The masks of both, (B, V), which must be the same for all that have not ended."""
    found = together.allowed(column)
    shape = (len(alone), len(representation.vocabulary))
    found = np.ones(shape, bool) if found is None else found
    assert found.shape == shape
    for number, grammar in enumerate(alone):
        if not grammar.finished():
            wrong = np.flatnonzero(found[number] != grammar.allowed(column))
            assert not len(wrong), [representation.vocabulary[token] for token in wrong]
    return found


def step(representation, together, alone, rng):
    """Walk all that have not ended, but some at random, by a position; whether any is left."""
    walking = ~together.finished()
    assert walking.tolist() == [not grammar.finished() for grammar in alone]
    for ask in ("bars", "ended"):
        each_alone = [getattr(one.grammar, ask)()[0] for one in alone]
        assert getattr(together, ask)().tolist() == each_alone
    moving = walking & (rng.random(len(alone)) < 0.8)
    for column in rng.permutation(representation.width).tolist():
        masks = agree(representation, together, alone, column)
        tokens = np.zeros(len(alone), dtype=np.int64)
        for number in np.flatnonzero(moving):
            tokens[number] = rng.choice(np.flatnonzero(masks[number]))
            alone[number].advance(int(tokens[number]), column)
        together.advance(tokens, moving, column)
    return walking.any()


@each
@few
@given(seed=st.integers(0, 2**32), bars=st.integers(1, 3), least=st.integers(0, 1))
def test_a_batch_masks_each_sequence_as_it_would_be_alone(name, seed, bars, least):
    representation, rng = ALL[name], np.random.default_rng(seed)
    prompts = prompts_of(representation, seed)
    extent = Extent(bars, least)
    together = representation.grammar(extent, prompts)
    alone = [OneSequence(representation, extent, prompt) for prompt in prompts]
    for _ in range(250):
        if not step(representation, together, alone, rng):
            break
    lengths = [len(prompt) for prompt in prompts]
    assert together.most is None or together.most >= max(lengths)


@each
def test_chosen_sequences_go_on_where_they_were(name):
    representation, rng = ALL[name], np.random.default_rng(1)
    prompts = prompts_of(representation, 3)
    together = representation.grammar(exactly(3), prompts)
    alone = [OneSequence(representation, exactly(3), prompt) for prompt in prompts]
    for _ in range(4):
        for _ in range(5):
            step(representation, together, alone, rng)
        chosen = rng.integers(0, len(prompts), len(prompts) + 2)[: len(prompts)]
        together.select(chosen)
        alone = [copy.deepcopy(alone[i]) for i in chosen]
        agree(representation, together, alone, 0)


@pytest.mark.parametrize("name", ["grid_cells", "grid_triplets", "pitch"])
def test_most_is_the_length_of_the_longest(name):
    representation, rng = ALL[name], np.random.default_rng(0)
    prompts = prompts_of(representation, 0)
    together = representation.grammar(exactly(2), prompts)
    alone = [OneSequence(representation, exactly(2), prompt) for prompt in prompts]
    lengths = np.array([len(prompt) for prompt in prompts])
    while not together.finished().all():
        before = ~together.finished()
        moving = before.copy()
        for column in range(representation.width):
            masks = agree(representation, together, alone, column)
            tokens = np.array([rng.choice(np.flatnonzero(row)) for row in masks])
            for number in np.flatnonzero(moving):
                alone[number].advance(int(tokens[number]), column)
            together.advance(tokens, moving, column)
        lengths += moving
    assert lengths.max() == together.most


def test_a_hold_is_allowed_only_where_its_voice_sounds():
    grid = build({"kind": "grid", "hold": True})
    hold = grid.vocabulary.index("hold")
    prompt = np.array([[0, 5, 0, hold]], dtype=np.int32)
    grammar = OneSequence(grid, Extent(1), prompt)
    assert [bool(grammar.allowed(column)[hold]) for column in range(4)] == [0, 1, 0, 1]
    grammar.advance(7, column=2)
    assert grammar.allowed(2)[hold]


def walked(representation, prompt, seed, bars):
    """The piece of a random walk after a prompt."""
    rng, tokens = np.random.default_rng(seed), [*prompt[:, 0].tolist()]
    grammar = OneSequence(representation, Extent(bars), prompt)
    for _ in range(400):
        if grammar.finished():
            break
        tokens.append(int(rng.choice(np.flatnonzero(grammar.allowed(0)))))
        grammar.advance(tokens[-1], 0)
    return representation.decode(np.array(tokens, np.int32)[:, None])


def overlaps(piece, track, after=0):
    """How many notes of a track begin while another one of it sounds, from a step on."""
    notes = piece.notes[piece.notes["track"] == track]
    notes = notes[np.argsort(notes["onset"], kind="stable")]
    ends = np.maximum.accumulate(notes["onset"] + notes["duration"])
    return int(((notes["onset"][1:] < ends[:-1]) & (notes["onset"][1:] >= after)).sum())


@pytest.mark.parametrize("scheme", ["remi", "midi_like"])
@pytest.mark.parametrize("voices", [list(VOICES), ["soprano"]], ids=["choir", "alone"])
def test_a_voice_of_a_choir_sounds_one_note_at_a_time_also_after_a_prompt_with_two(scheme, voices):
    options = {"kind": "events", "scheme": scheme, "voices": voices, "max_quarters": 4}
    form, notes = build(options), 0
    chord = make_notes([(v, 0, 24 * (4 + i), 55 + 3 * v + i, 80) for v in range(4) for i in (0, 1)])
    tracks = tuple(Track(name=role, role=role) for role in VOICES)
    piece = Piece(id="", ticks_per_quarter=24, notes=chord, tracks=tracks)
    for seed in range(4):
        for prompt in (np.zeros((0, 1), np.int32), form.prefix(piece, 2)):
            made = walked(form, prompt, seed, 3)
            after = 8 if len(prompt) else 0  # the prompt has two quarters of four steps
            notes += len(made.notes)
            assert [overlaps(made, v, after) for v in range(len(voices))] == [0] * len(voices)
    assert notes > 10


def test_the_bass_of_a_band_may_play_chords():
    form = build({"kind": "events", "voices": ["melody", "bass"], "needed": "any"})
    empty = np.zeros((0, 1), np.int32)
    assert sum(overlaps(walked(form, empty, seed, 3), 1) for seed in range(4))
