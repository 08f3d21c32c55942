"""Interval tables of events: values by hand, the same in every key, step by step as in parallel."""

import pytest
import torch
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.note_intervals import NoteIntervals
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec, Notes, Timing

PITCHES, LONGEST, SPEED = 30, 8, 3.0
NAMES = [
    "end",
    *(f"voice_{name}" for name in ("soprano", "alto", "bass")),
    "bar",
    "meter_2/4",
    *(f"position_{number}" for number in range(8)),
    *(f"pitch_{number}" for number in range(40, 40 + PITCHES)),
    *(f"duration_{number}" for number in range(1, LONGEST + 1)),
]
AT = {name: number for number, name in enumerate(NAMES)}
TIMING = Timing(
    shift=(0,) * len(NAMES),
    bar=tuple(int(name == "bar") for name in NAMES),
    meter=tuple(8 * (name == "meter_2/4") for name in NAMES),
    place=tuple(int(n.split("_")[1]) if n.startswith("position") else -1 for n in NAMES),
)
CODEC = {"width": 1, "vocabulary": NAMES, "timing": vars(TIMING)}
SHAPE = ArraySpec.of(CODEC)
SETTINGS = {"width": 16, "layers": 1, "dropout": 0.0, "pair_tables": True, "pair_speed": SPEED}
FAMILIES = {"lstm": {}, "gpt": {"heads": 2, "context": 9, "time_heads": 1}}


def filled():
    torch.manual_seed(3)
    tables = NoteIntervals(SHAPE.notes, TIMING, SPEED)
    with torch.no_grad():
        for weight in tables.parameters():
            weight.normal_()
    return tables


def make(family):
    torch.manual_seed(0)
    model = build(family, SETTINGS | FAMILIES[family], SHAPE).eval()
    with torch.no_grad():
        for weight in model.intervals.parameters():
            weight.normal_()
    return model


def symbols(text):
    """Such as "bar meter_2/4 position_0 s45-4 a42-2": notes by voice, pitch and duration."""
    voices = {"s": "voice_soprano", "a": "voice_alto", "b": "voice_bass"}
    found = []
    for word in text.split():
        if word in AT:
            found.append(AT[word])
            continue
        pitch, _, steps = word[1:].partition("-")
        found += [AT[voices[word[0]]], AT[f"pitch_{pitch}"], AT[f"duration_{steps}"]]
    return torch.tensor(found)[None, :, None]


def values(tables, text, voice):
    """What every pitch gets as the next note of a voice, (P,)."""
    tokens = torch.cat([symbols(text), torch.tensor([[[AT[voice]]]])], dim=1)
    found = tables(torch.zeros(1, tokens.shape[1], 1, len(NAMES)), tokens, tokens)[0, -1, 0]
    assert found[: AT["pitch_40"]].abs().max() == 0
    assert found[AT["duration_1"] :].abs().max() == 0
    return found[AT["pitch_40"] : AT["duration_1"]]


MUSIC = "bar meter_2/4 position_0 s60-4 a55-4 b48-8 position_4 s62-4"


def test_values_by_hand():
    """The alto at step 4: the soprano has just gone up from 20 to 22, the bass goes on with 8."""
    tables = filled()
    found = values(tables, MUSIC, "voice_alto")
    mine, same = 15, PITCHES - 1
    for pitch in range(PITCHES):
        expected = tables.melody[1, pitch - mine + same]
        for voice, was, now in ((0, 20, 22), (2, 8, 8)):
            pair = 1 * 3 + voice
            kind = pair * 39 + (mine - was) % 12 * 3 + (now > was) + 1
            expected = expected + tables.pair[pair, pitch - now + same]
            expected = expected + tables.motion[kind, pitch - now + same]
        bass, nobody = (8 - 22) % 12, 12
        chord = ((1 * 3 + 0) * 13 + bass) * 13 + nobody
        expected = expected + tables.chord[chord, (pitch - 22) % 12]
        assert torch.isclose(found[pitch], SPEED * expected, atol=1e-4)


@pytest.mark.parametrize(("other", "is_heard"), [
    ("bar meter_2/4 position_0 s60-4 a55-4 b48-3 position_4 s62-4", False),  # the bass has ended
    ("bar meter_2/4 position_0 s60-4 a55-4 b47-8 position_4 s62-4", True),
    ("bar meter_2/4 position_0 s61-4 a55-4 b48-8 position_4 s62-4", True),
    ("bar meter_2/4 position_6 s59-2 bar position_0 s60-4 a55-4 b48-8 position_4 s62-4", None),
])  # fmt: skip
def test_what_sounds_and_how_it_moved_is_heard(other, is_heard):
    tables = filled()
    before, after = values(tables, MUSIC, "voice_alto"), values(tables, other, "voice_alto")
    assert torch.allclose(before, after) == (is_heard is None)
    with torch.no_grad():  # of a bass that has ended only its melody is known, to itself
        tables.pair.zero_(), tables.motion.zero_(), tables.chord.zero_()
    melody = values(tables, MUSIC, "voice_alto")
    assert torch.allclose(melody, values(tables, other, "voice_alto"))


def test_they_are_the_same_in_every_key():
    tables = filled()
    low = values(tables, MUSIC, "voice_alto")
    high = values(
        tables, "bar meter_2/4 position_0 s63-4 a58-4 b51-8 position_4 s65-4", "voice_alto"
    )
    assert torch.allclose(low[:-3], high[3:], atol=1e-5)
    assert low.abs().max() > 1


def test_the_first_note_gets_nothing():
    assert values(filled(), "bar meter_2/4 position_0", "voice_soprano").abs().max() == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_step_by_step_is_the_parallel_pass(family):
    """For music, and for symbols in an order that no piece has."""
    model, random = make(family), torch.Generator().manual_seed(5)
    music = symbols(f"{MUSIC} a57-2 b50-2 position_6 a55-2 b52-2 {MUSIC} end")
    mixed = torch.randint(0, len(NAMES), (3, music.shape[1], 1), generator=random)
    tokens = torch.cat([music, mixed])
    nats = torch.zeros(tokens.shape)
    with torch.inference_mode():
        state = model.start(4, tokens.shape[1])
        for step in range(tokens.shape[1]):
            logits, chosen = model.next_logits(state), tokens[:, step, 0]
            nats[:, step, 0] = F.cross_entropy(logits, chosen, reduction="none")
            model.push(state, chosen)
            if step == 20:  # the order of sequences may change
                order = torch.tensor([2, 0, 3, 1])
                model.select(state, order)
                tokens, nats = tokens[order], nats[order]
        assert torch.allclose(nats, model.score(tokens), atol=1e-5)


def test_they_see_nothing_that_comes_later():
    model, tokens = make("lstm"), symbols(f"{MUSIC} a57-2 b50-2")
    with torch.inference_mode():
        before = model.score(tokens)
        for place in range(tokens.shape[1]):
            other = tokens.clone()
            other[0, place] = (tokens[0, place] + 1) % len(NAMES)
            change = (model.score(other) - before)[0, :place].abs()
            assert float(change.max() if place else 0) < 1e-6


def test_which_encodings_say_notes():
    assert SHAPE.notes == Notes(
        voice=1, voices=3, lowest=AT["pitch_40"], pitches=30, duration=AT["duration_1"], longest=8
    )
    assert ArraySpec.of(CODEC | {"timing": None}).notes is None
    apart = ["voice_soprano", *NAMES]  # two blocks of voices
    long = {name: (*found, 0) for name, found in vars(TIMING).items()}
    assert ArraySpec.of(CODEC | {"vocabulary": apart, "timing": long}).notes is None
    without = [name.replace("duration", "length") for name in NAMES]
    assert ArraySpec.of(CODEC | {"vocabulary": without}).notes is None
    gap = [*NAMES[:-1], "duration_12"]
    assert ArraySpec.of(CODEC | {"vocabulary": gap}).notes is None
    with pytest.raises(ValueError, match="events that say the voice, pitch and duration"):
        build("lstm", SETTINGS, ArraySpec.of(CODEC | {"vocabulary": gap}))
