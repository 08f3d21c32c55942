"""Interval tables: their values by hand, the same in every key, and step by step as in parallel."""

import pytest
import torch
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.intervals import Heard, Intervals, sounding_rows
from ostinato.models.policy.tuned import start
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec, Voices

PITCHES, LOWEST, HOLD, INSIDE = 9, 1, 10, 11  # 0 rests, 12 is the blank
VOICES = Voices(first=1, end=4, lowest=LOWEST, pitches=PITCHES, hold=HOLD)
NO_HOLD = Voices(first=1, end=4, lowest=LOWEST, pitches=PITCHES)
SPEED = 3.0
ORDER = (0, 1, 3, 2)  # a column of its own, the highest voice, the lowest, the one between
SIZES = {
    "lstm": {"layers": 1, "dropout": 0.0},
    "gpt": {"layers": 1, "heads": 2, "context": 6, "dropout": 0.0},
    "gpt2": {"layers": 1, "heads": 2, "context": 16, "dropout": 0.0, "attention_dropout": 0.0},
    "music_transformer": {"layers": 1, "heads": 2, "context": 6, "dropout": 0.0, "max_distance": 4},
}
kinds = pytest.mark.parametrize("voices", [NO_HOLD, VOICES], ids=["cells", "hold"])


def filled(voices):
    """Tables of random numbers."""
    torch.manual_seed(3)
    tables = Intervals(voices, ORDER, SPEED)
    with torch.no_grad():
        for weight in tables.parameters():
            weight.normal_()
    return tables


def make(family, voices):
    torch.manual_seed(0)
    shape = ArraySpec(width=4, vocabulary=12, voices=voices)
    settings = {"width": 16, "voice_hidden": 8, "order": ORDER, "pair_tables": True}
    model = build(family, settings | SIZES[family], shape).eval()
    with torch.no_grad():
        for weight in model.intervals.parameters():
            weight.normal_()
    return model


def rows(count=3, length=11):
    """With rests, holds and structure in them."""
    rng = torch.Generator().manual_seed(5)
    tokens = torch.randint(0, HOLD + 1, (count, length, 4), generator=rng)
    tokens[..., 0] = INSIDE
    stays = torch.rand(tokens.shape, generator=rng) < 0.4
    for step in range(1, length):
        tokens[:, step] = torch.where(stays[:, step], tokens[:, step - 1], tokens[:, step])
    return tokens


@pytest.mark.parametrize("family", SIZES)
@kinds
def test_step_by_step_is_the_parallel_pass(family, voices):
    model, tokens = make(family, voices), rows()
    nats = torch.zeros(tokens.shape)
    with torch.inference_mode():
        state = model.start(3, 11)
        for step in range(tokens.shape[1]):
            for column in model.order:
                chosen = tokens[:, step, column]
                logits = model.next_logits(state)
                nats[:, step, column] = F.cross_entropy(logits, chosen, reduction="none")
                model.push(state, chosen)
        assert torch.allclose(nats, model.score(tokens), atol=1e-5)


def test_values_of_the_last_voice_by_hand():
    """The middle voice, after 5 3 1 (pitches), where the outer ones go to 6 and 2."""
    tables = filled(NO_HOLD)
    before, chosen = torch.tensor([[11, 6, 4, 2]]), torch.tensor([[11, 7, 12, 3]])
    zeros = torch.zeros(1, 12)
    found = tables.step(zeros, 2, chosen, Heard(tables.rows(), before))[0]
    same = PITCHES - 1  # place of interval 0
    order_of_pairs = {(2, 0): 0, (1, 0): 1, (1, 2): 2}
    for pitch in range(PITCHES):
        expected = tables.melody[1, pitch - 3 + same]
        for other, was, now in ((0, 5, 6), (2, 1, 2)):
            number, kind = order_of_pairs[1, other], (3 - was) % 12 * 3 + 2  # both go up
            interval = pitch - now + same
            expected = expected + tables.pair[number, 0, interval]
            expected = expected + tables.motion[number, kind, interval]
        expected = expected + tables.chord[(6 - 2) % 12, (pitch - 2) % 12]
        assert torch.isclose(found[LOWEST + pitch], SPEED * expected, atol=1e-4)
    assert found[[0, 10, 11]].abs().max() == 0  # rest, and what is no pitch


@kinds
def test_they_are_the_same_in_every_key(voices):
    tables, tokens = filled(voices), rows()
    music = torch.where((tokens >= 4) & (tokens <= 6), tokens, 0)  # rests elsewhere
    music[..., 0] = INSIDE
    higher = torch.where(music[..., 1:] > 0, music[..., 1:] + 2, 0)
    moved = torch.cat([music[..., :1], higher], dim=-1)
    zeros = torch.zeros(3, 10, 4, 12)
    here = tables(zeros, music[:, :-1], music[:, 1:])[..., 1:, LOWEST : LOWEST + PITCHES]
    there = tables(zeros, moved[:, :-1], moved[:, 1:])[..., 1:, LOWEST : LOWEST + PITCHES]
    chords = tables.chord_of[1]
    assert chords == [0]
    assert torch.allclose(here[..., :-2], there[..., 2:], atol=1e-5)
    assert here.abs().max() > 1


def test_a_hold_gets_what_its_pitch_would_get_and_a_rest_gives_nothing():
    tables, zeros = filled(VOICES), torch.zeros(1, 12)
    heard = Heard(tables.rows(), torch.tensor([[11, 5, 0, 3]]))
    found = tables.step(zeros, 3, torch.tensor([[11, HOLD, 12, 12]]), heard)[0]
    spelled = tables.step(zeros, 3, torch.tensor([[11, 5, 12, 12]]), heard)[0]
    assert torch.equal(found, spelled)
    assert found[HOLD] == found[3] != 0
    silent = tables.step(zeros, 2, torch.tensor([[11, 0, 12, 0]]), heard)[0]
    assert silent.abs().max() == 0


def test_sounding_rows_put_pitches_in_place_of_holds():
    line = torch.tensor([10, 10, 4, 10, 10, 0, 10, 7])[None, :, None]
    assert sounding_rows(line, HOLD).flatten().tolist() == [10, 10, 4, 4, 4, 0, 0, 7]
    assert sounding_rows(line, -1) is line


def test_they_see_nothing_that_comes_later():
    model, tokens = make("lstm", VOICES), rows(1, 8)
    flat = [(step, column) for step in range(8) for column in model.order]
    with torch.inference_mode():
        before = model.score(tokens)
        for place, (step, column) in enumerate(flat):
            other = tokens.clone()
            other[0, step, column] = (tokens[0, step, column] + 1) % 12
            change = (model.score(other) - before)[0].abs()
            assert max([float(change[at]) for at in flat[:place]], default=0.0) < 1e-6


def test_a_spec_finds_the_voices_of_a_codec_and_other_encodings_are_refused():
    names = ["rest", "pitch_36", "pitch_37", "hold", "inside", "end"]
    structure = {"voice_columns": [1, 2], "bar_column": 0, "structural": [4, 5], "inside": 4}
    structure |= {"bar": None, "meters": {}, "end": 5}
    codec = {"width": 3, "vocabulary": names, "structure": structure}
    expected = Voices(first=1, end=3, lowest=1, pitches=2, hold=3)
    assert ArraySpec.of(codec).voices == expected
    assert ArraySpec.of({"width": 1, "vocabulary": names}).voices is None
    assert ArraySpec.of({"width": 88, "vocabulary": ["off", "on"]}).voices is None
    with pytest.raises(ValueError, match="set pair_tables to false"):
        build("lstm", {"width": 8, "pair_tables": True}, ArraySpec(width=1, vocabulary=9))


def test_a_speed_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"pair_speed=0\.0 must be above 0"):
        build("lstm", {"width": 8, "pair_speed": 0.0}, ArraySpec(width=1, vocabulary=9))


def test_a_tuned_model_begins_at_its_base_with_slower_tables():
    settings = {"width": 16, "voice_hidden": 8, "order": ORDER, "pair_tables": True}
    settings |= SIZES["lstm"] | {"pair_speed": 8.0}
    shape = ArraySpec(width=4, vocabulary=12, voices=VOICES)
    base = build("lstm", settings, shape).eval()
    with torch.no_grad():
        for weight in base.intervals.parameters():
            weight.normal_()
    config = {"base": {"family": "lstm", "model": settings}}
    ours = {"method": "expected", "beta": 0.1, "kl_budget": 1.0} | config
    tuned = build("tuned", ours, shape).eval()
    tuned.load_state_dict(start(config, base.state_dict()))
    assert tuned.intervals.speed == 2
    assert torch.equal(tuned.score(rows()), base.score(rows()))
