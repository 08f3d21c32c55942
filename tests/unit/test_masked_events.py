"""Masked diffusion over events: outlines, values in any order, what its sampler keeps."""

import numpy as np
import pytest
import torch

from ostinato.evaluation.likelihood.masked_events import Scorer
from ostinato.models.masked.parts.bound import bound_of
from ostinato.models.masked_events.parts.kinds import DURATION, PITCH, POSITION, VOICE, check_names
from ostinato.models.masked_events.parts.notes import LONGEST, NOW, UNKNOWN, notes_of
from ostinato.models.masked_events.parts.outline import counts_of
from ostinato.models.registry import build
from ostinato.models.spec import PAD, ArraySpec
from ostinato.representations.events.events import Events
from ostinato.representations.grid.grid import Grid
from ostinato.representations.protocol import Extent
from ostinato.sampling.masked_events.sampler import Sampler
from ostinato.sampling.request import Continue, Fill, Interpolate, Region, Request, Vary
from ostinato.sampling.sampler import Job

REMI = Events(lowest=36, highest=81, max_quarters=4)
TINY = {"width": 16, "voice_hidden": 16, "layers": 1, "heads": 2, "context": 64}
QUICK = {"steps": 4, "gibbs": 3}


def spec_of(representation):
    codec = {"width": 1, "vocabulary": representation.vocabulary}
    return ArraySpec.of(codec | {"timing": representation.timing()})


def tiny(**changes):
    torch.manual_seed(0)
    return build("absorbing_events", TINY | changes, spec_of(REMI)).eval()


def tokens_of(chorale, seed=1, bars=2):
    return torch.from_numpy(REMI.encode(chorale(seed, bars=bars)).astype(np.int64))


def sampled(model, *jobs):
    return Sampler(model, REMI).sample([Job(request, 0, seed) for request, seed in jobs])


def well_formed(tokens, bars=16):
    """Whether the events' own grammar allows every token but the end, which it may want later."""
    grammar = REMI.grammar(Extent(bars), [np.zeros((0, 1), np.int32)])
    for token in tokens[:-1, 0]:
        if not grammar.allowed()[0, token]:
            return False
        grammar.advance(np.array([token]), np.array([True]))
    return tokens[-1, 0] == 0


def test_blocks_of_the_vocabulary_are_what_their_names_say():
    kinds = tiny().kinds
    check_names(kinds, REMI.vocabulary, "remi")
    with pytest.raises(ValueError, match=r"model.pitch_count=40, and encoding remi has 46 pitches"):
        check_names(tiny(pitch_count=40).kinds, REMI.vocabulary, "remi")


@torch.no_grad()
def test_an_untrained_output_costs_ln_v_of_its_kind(chorale):
    model = tiny()
    torch.nn.init.zeros_(model.to_symbols.weight)
    torch.nn.init.zeros_(model.to_symbols.bias)
    torch.nn.init.zeros_(model.outline.out.weight)
    torch.nn.init.zeros_(model.outline.out.bias)
    batch = tokens_of(chorale)[None]
    start, kinds = torch.zeros(1).long(), model.kinds_of(batch[..., 0])
    hidden = model.bound(batch, torch.ones(1), start).sum()
    counts = {kind: int((kinds == kind).sum()) for kind in range(8)}
    values = sum(counts[k] * np.log(model.kinds.count_K[k]) for k in (3, 4, 5, 6))
    bars, notes = counts[1], counts[PITCH]
    outline = (bars + notes) * np.log(4) + bars * np.log(model.kinds.count_K[2])
    assert float(hidden) == pytest.approx(values, rel=1e-4)
    assert float(model.outline.nats(batch[..., 0], kinds, start).sum()) == pytest.approx(outline)
    found = Scorer(model).score(batch)
    assert found.shape == batch.shape
    assert float(found.sum()) == pytest.approx(values + outline, rel=0.05)


@torch.no_grad()
def test_what_is_hidden_and_what_is_padding_is_not_seen(chorale):
    model, piece = tiny(), tokens_of(chorale)[:, 0]
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    kinds = model.kinds_of(piece[None])
    hidden = model.free(kinds) & (torch.arange(len(piece)) % 3 == 0)
    logits = model.logits(model.seen(piece[None], kinds, hidden), hidden)
    first = torch.tensor([*model.kinds.first_K, 0])[kinds[0]]
    other = torch.where(hidden[0], first, piece)
    assert not torch.equal(other, piece)
    assert torch.equal(model.logits(model.seen(other[None], kinds, hidden), hidden), logits)
    longer = torch.nn.functional.pad(piece[None], (0, 7), value=PAD)
    kinds, wide = model.kinds_of(longer), torch.nn.functional.pad(hidden, (0, 7))
    found = model.logits(model.seen(longer, kinds, wide), wide)
    assert torch.allclose(found, logits, atol=1e-5)
    wanted = model.kind_V == kinds[wide][:, None]
    assert (found.isinf() == ~wanted).all()


@torch.no_grad()
def test_an_outline_scores_in_one_pass_what_it_says_step_by_step(chorale):
    model, piece = tiny(), tokens_of(chorale, bars=3)[None, :, 0]
    kinds, start = model.kinds_of(piece), torch.zeros(1, dtype=torch.long)
    nats = model.outline.nats(piece, kinds, start)
    assert float(nats[0, 0]) == 0  # a bar comes first
    for length in (2, 9, 40, piece.shape[1] - 1):
        begun = kinds[:, :length]
        counts = counts_of(begun)
        meter = model.outline.meter_codes(piece[:, :length], begun)
        places = torch.arange(length)[None]
        logits = model.outline.logits(counts, meter, places)[0, -1]
        asked = int(begun[0, -1]) in (2, DURATION)
        code = [0, 1, POSITION, VOICE].index(int(kinds[0, length])) if asked else 0
        found = float(-logits.log_softmax(0)[code]) if asked else 0.0
        if int(kinds[0, length]) != 2:
            assert float(nats[0, length]) == pytest.approx(found, abs=1e-5)


def test_notes_are_found_where_they_are():
    """Soprano 60 for a quarter, alto 55 for two; a soprano that follows on, its pitch hidden."""
    names = ["bar", "meter_4/4", "position_0", "voice_soprano", "pitch_60", "duration_4"]
    names += ["voice_alto", "pitch_55", "duration_8"]
    names += ["position_4", "voice_soprano", "pitch_62", "duration_4"]
    tokens = torch.tensor([[REMI.vocabulary.index(name) for name in names]])
    model = tiny()
    kinds = model.kinds_of(tokens)
    shown = tokens.clone()
    shown[0, 11] = UNKNOWN
    notes = notes_of(model.kinds, shown, kinds, model.bar_steps_V)
    assert notes.voice_BT[0].tolist() == [-1, -1, -1, 0, 0, 0, 1, 1, 1, -1, 0, 0, 0]
    assert notes.pitches_BGU[0, 1, :2].tolist() == [24, 19]
    assert notes.pitches_BGU[0, 2].tolist() == [46] * 4
    assert notes.dues_BGU[0, 2].tolist() == [NOW, 3, 0, 0]
    assert notes.room_BGU[0, 1].tolist() == [4, LONGEST, LONGEST, LONGEST]
    assert notes.next_BG[0, 2] == 4
    shown[0, 9] = UNKNOWN
    notes = notes_of(model.kinds, shown, kinds, model.bar_steps_V)
    assert notes.room_BGU[0, 1, 0] == LONGEST + 1
    assert notes.dues_BGU[0, 2].tolist() == [0] * 4


@torch.no_grad()
def test_a_crop_costs_what_its_values_cost_in_the_piece(chorale):
    """A crop's own bar lines say the places of its notes; outlines are scored once known."""
    model, piece = tiny(), tokens_of(chorale, bars=4)
    bar = int((model.kinds_of(piece[:, 0]) == 1).nonzero()[1])
    crop = piece[None, bar:]
    kinds = model.kinds_of(crop[..., 0])
    nats = model.outline.nats(crop[..., 0], kinds, torch.tensor([bar]))
    whole = model.outline.nats(
        piece[None, :, 0], model.kinds_of(piece[None, :, 0]), torch.zeros(1).long()
    )
    known = counts_of(kinds).bars[0] >= 2
    shifted = torch.nn.functional.pad(known, (1, 0))[:-1]
    assert torch.allclose(nats[0][shifted], whole[0, bar:][shifted], atol=1e-5)
    assert (nats[0, 2 : int(known.nonzero()[0])] == 0).all()


@pytest.mark.starts
def test_a_model_of_four_bars_makes_them_again(chorale):
    piece = chorale(1, bars=4)
    model, batch = tiny(width=32, voice_hidden=32).train(), tokens_of(chorale, bars=4)[None]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batch, start = batch.repeat(2, 1, 1), torch.zeros(2).long()
    kinds = model.kinds_of(batch[..., 0])
    for _ in range(110):
        optimizer.zero_grad()
        loss = model.bound(batch, torch.rand(2), start).sum() / batch.numel()
        (loss + model.outline.nats(batch[..., 0], kinds, start).sum() / batch.numel()).backward()
        optimizer.step()
    options = QUICK | {"temperature": 0.1}
    filled, made = sampled(
        model,
        (Request(task=Fill(piece, Region(bars=(2, 4))), bars=4, options=options), 1),
        (Request(bars=4, min_bars=4, options=QUICK | {"temperature": 0.1, "steps": 48}), 2),
    )
    whole = REMI.encode(piece)
    assert len(filled.tokens) == len(whole)
    assert (filled.tokens == whole).mean() > 0.85
    same = min(len(made.tokens), len(whole))
    assert (made.tokens[:same] == whole[:same]).mean() > 0.7
    with torch.no_grad():
        assert float(bound_of(model.eval(), batch[:1], None, draws=8).mean()) < 0.5


@pytest.mark.parametrize("options", [{}, {"order": "confident"}, {"steps": 0, "gibbs": 0}])
def test_every_piece_of_an_untrained_model_is_well_formed(options):
    model = tiny()
    requests = [Request(bars=3, min_bars=2, options=QUICK | options)] * 3
    for made in sampled(model, *((request, seed) for seed, request in enumerate(requests))):
        assert made.failed is None
        assert well_formed(made.tokens, 3)
        piece = REMI.decode(made.tokens)
        assert np.array_equal(REMI.encode(piece)[:-1], made.tokens[: len(REMI.encode(piece)) - 1])


def test_bars_outside_a_gap_are_kept_and_the_gap_is_made(chorale):
    model, piece = tiny(), chorale(3, bars=4)
    whole = REMI.encode(piece)
    bars = REMI.bar_starts(whole)
    for first, end in ((2, 3), (1, 3), (3, 5)):
        request = Request(task=Fill(piece, Region(bars=(first, end))), bars=4, options=QUICK)
        for seed in range(3):
            (made,) = sampled(model, (request, seed))
            assert well_formed(made.tokens, 4)
            head = bars[first]
            tail = len(whole) - bars[end] if end in bars else 1
            assert made.tokens[:head].tobytes() == whole[:head].tobytes()
            assert made.tokens[-tail:].tobytes() == whole[-tail:].tobytes()
            assert not np.array_equal(made.tokens[head:-tail], whole[head:-tail])


def test_notes_that_sound_into_a_gap_are_left_to_sound(chorale):
    """A soprano is held over the bar line for two quarters, and begins nothing before its end."""
    names = ["bar", "meter_4/4", "position_0", "voice_tenor", "pitch_50", "duration_16"]
    names += ["position_12", "voice_soprano", "pitch_70", "duration_12"]
    names += ["bar", "meter_4/4", "position_8", "voice_alto", "pitch_60", "duration_8"]
    names += ["bar", "meter_4/4", "position_0", "voice_bass", "pitch_40", "duration_16"]
    tokens = np.array([REMI.vocabulary.index(name) for name in names])[:, None]
    piece = REMI.decode(np.append(tokens, [[0]], axis=0).astype(np.int32))
    model = tiny()
    request = Request(task=Fill(piece, Region(bars=(2, 3))), bars=3, options=QUICK)
    sopranos = 0
    for seed in range(8):
        (made,) = sampled(model, (request, seed))
        assert well_formed(made.tokens, 3)
        notes = REMI.decode(made.tokens).voice("soprano")
        inside = notes[(notes["onset"] >= 16) & (notes["onset"] < 32)]
        assert (inside["onset"] >= 24).all()
        sopranos += len(inside)
    assert sopranos


def test_prompts_stay_and_pieces_depend_on_their_seeds_alone(chorale):
    model, piece = tiny(), chorale(4, bars=3)
    request = Request(task=Continue(piece, 2), bars=5, min_bars=4, options=QUICK)
    prompt = REMI.prefix(piece, 8)  # its notes end with its last bar
    first, second = sampled(model, (request, 1), (Request(bars=2, options=QUICK), 2))
    assert np.array_equal(first.tokens[: len(prompt)], prompt)
    assert len(REMI.bar_starts(first.tokens)) >= 4
    (alone,) = sampled(model, (request, 1))
    assert np.array_equal(alone.tokens, first.tokens)
    assert not np.array_equal(second.tokens[: len(prompt)], prompt)


def test_variations_keep_onsets_and_change_more_the_stronger_they_are(chorale):
    model, piece = tiny(), chorale(5, bars=4)
    whole = REMI.encode(piece)
    kinds = model.kinds.kind_V.numpy()[whole[:, 0]]
    changed = []
    for strength in (0.0, 0.5, 1.0):
        (made,) = sampled(model, (Request(task=Vary(piece, strength), options=QUICK), 1))
        assert well_formed(made.tokens)
        differs = (made.tokens != whole)[:, 0]
        assert not differs[(kinds != PITCH) & (kinds != DURATION)].any()
        changed.append(differs[kinds == PITCH].mean())
    assert changed[0] == 0
    assert 0.3 < changed[1] < 0.7 < changed[2]


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (Fill(None, Region(bars=(5, 6))), r"\[5, 6\] lie outside prompt .*bars 1 to 3.*\[1, 4\]"),
        (Fill(None, Region(bars=(0, 2))), r"\[0, 2\] lie outside .*a pickup is bar 1"),
        (Fill(None, Region(bars=(1, 4))), "all of prompt .*nothing would be kept"),
        (Fill(None, Region(roles=("alto",))), "whole bars of events, not voices .alto.*on a grid"),
        (Interpolate(None, None), "it has no vectors .*its tasks: unconditional"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_remedy(chorale, task, words):
    sampler, piece = Sampler(tiny(), REMI), chorale(4, bars=3)
    whole = Fill(piece, task.free) if isinstance(task, Fill) else task
    request = Request(task=whole, options=QUICK)
    with pytest.raises(ValueError, match=words):
        sampler.capabilities().check(request, "absorbing_events")
        sampler.sample([Job(request, 0, 1)])


def test_other_encodings_and_options_are_refused_with_the_remedy():
    grid = Grid(lowest=36, highest=81)
    for spec in (
        ArraySpec.of({"width": 4, "vocabulary": grid.vocabulary}),
        spec_of(Events(scheme="midi_like")),
    ):
        with pytest.raises(ValueError, match=r"encoding such as bach-remi"):
            build("absorbing_events", TINY, spec)
    with pytest.raises(ValueError, match="this encoding names 0"):
        build("absorbing_events", TINY, spec_of(Events(voices=("soprano",))))
    with pytest.raises(ValueError, match=r"events of a choir .*has melody, bass"):
        Sampler(tiny(), Events(voices=("melody", "bass")))
    with pytest.raises(ValueError, match="gibbs=-1 cannot be negative"):
        sampled(tiny(), (Request(options={"gibbs": -1}), 1))
