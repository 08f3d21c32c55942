"""The family band: exact likelihoods, no look ahead, what is heard, parts made anew."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from ostinato.evaluation.autoregressive.exact import stepwise_nats
from ostinato.models.ensemble.parts.intervals import Intervals
from ostinato.models.registry import build
from ostinato.models.spec import PAD, ArraySpec, Given
from ostinato.music.piece import Meter, Piece, Track, make_notes
from ostinato.representations.protocol import Extent
from ostinato.representations.registry import build as representation_of
from ostinato.representations.store import codec_of
from ostinato.sampling.ensemble.together import Together
from ostinato.sampling.registry import sampler_of
from ostinato.sampling.request import Continue, Fill, Region, Request, Vary
from ostinato.sampling.sampler import Job

ROLES = ["melody", "bass", "drums"]
CONFIG = {
    "kind": "roles",
    "roles": ROLES,
    "order": ["drums", "bass", "melody"],
    "meters": ["3/4", "4/4"],
    "registers": {"melody": [60, 84], "bass": [36, 60], "drums": [35, 50]},
    "several": "merge",
}
FORM = representation_of(CONFIG)
STYLE = {"name": "style", "values": ["jazz", "rock"], "pieces": [3, 2]}
SPEC = ArraySpec.of(codec_of(FORM) | {"conditions": [STYLE]})
MICRO = {"width": 16, "layers": 1, "heads": 2, "coordinator_layers": 1, "heard": 4}
MICRO |= {"memory": 24, "coordinator_memory": 12, "dropout": 0.0}  # shorter than the pieces


@cache
def model_of(**settings):
    torch.manual_seed(1)
    model = build("band", MICRO | settings, SPEC).eval()
    with torch.no_grad():  # away from the zeros that some weights begin with
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return model


@cache
def tune(seed=0, bars=6, roles=(1, 2, 0)):
    """A random piece that the grammar allows, whose roles are named by their places."""
    named = np.array(sorted(1 + role for role in roles), np.int32)[:, None]
    grammar = FORM.grammar(Extent(bars=bars, least=bars), [named])
    rng, tokens = np.random.default_rng(seed), named[:, 0].tolist()
    while not grammar.finished()[0]:
        allowed = np.flatnonzero(grammar.allowed()[0])
        closes = np.isin(FORM.layout.kinds[allowed], [0, 2, 3])  # short parts
        weights = np.where(closes, 4 * len(allowed), 1)
        tokens.append(int(rng.choice(allowed, p=weights / weights.sum())))
        grammar.advance(np.array(tokens[-1:]), np.ones(1, bool))
    return torch.tensor(tokens)[:, None]


@pytest.mark.parametrize(
    "settings", [{}, {"motion_speed": 8.0}, {"motion_speed": 8.0, "hears": (0,)}]
)
def test_the_parallel_pass_costs_what_single_steps_cost(settings):
    model = model_of(**settings)
    for piece in (tune(), tune(1, roles=(0, 2)), tune(2, bars=3, roles=(1,))):
        paid = model.score(piece[None])[0]
        assert torch.allclose(paid, stepwise_nats(model, piece), rtol=1e-4, atol=1e-4)


def test_bars_of_one_meter_alone_can_be_learned():
    """The coordinator then has two symbols: a bar of this meter, and the end."""
    form = representation_of(CONFIG | {"meters": ["4/4"]})
    spec = ArraySpec.of(codec_of(form) | {"conditions": []})
    model = build("band", MICRO, spec).eval()
    notes = make_notes([(0, 0, 480, 72, 80), (0, 960, 960, 74, 80)])
    piece = Piece("a", 480, notes, (Track("", "melody"),), meters=(Meter(0, 4, 4),))
    tokens = torch.from_numpy(form.encode(piece)).long()
    assert torch.allclose(
        model.score(tokens[None])[0], stepwise_nats(model, tokens), rtol=1e-4, atol=1e-4
    )


def test_steps_are_distributions_over_all_tokens():
    model, piece = model_of(), tune()
    state = model.start(1, len(piece))
    with torch.inference_mode():
        for token in piece[:, 0]:
            assert torch.logsumexp(model.next_logits(state), dim=1).abs() < 1e-4
            model.push(state, token[None])


def test_padding_costs_nothing_and_changes_nothing():
    model, pieces = model_of(), [tune(), tune(1, roles=(0, 2))]
    length = max(map(len, pieces)) + 3
    batch = torch.full((2, length, 1), PAD)
    for row, piece in enumerate(pieces):
        batch[row, : len(piece)] = piece
    paid = model.score(batch)
    for row, piece in enumerate(pieces):
        assert not paid[row, len(piece) :].any()
        assert torch.allclose(paid[row, : len(piece)], model.score(piece[None])[0], atol=1e-4)


@pytest.mark.parametrize("speed", [0.0, 8.0])
def test_nothing_sees_what_comes_later(speed):
    model, piece = model_of(motion_speed=speed), tune()
    paid = model.score(piece[None])[0]
    for cut in range(len(ROLES) + 1, len(piece), 7):
        assert torch.allclose(model.score(piece[None, :cut])[0], paid[:cut], atol=1e-4)


def test_a_crop_costs_about_what_it_costs_in_its_piece_once_bars_are_known():
    """Crops begin anywhere: the nats are finite and every token of them is scored."""
    model, piece = model_of(), tune()
    for start in range(1, len(piece) - 20, 9):
        inputs, targets = piece[None, start - 1 : start + 19], piece[None, start : start + 20]
        nats = model(inputs, targets, torch.tensor([start]))
        assert nats.isfinite().all()
        assert (nats >= 0).all()


def test_a_role_hears_the_ones_before_it_in_the_bar_and_not_those_after():
    model, piece = model_of(), tune(roles=(0, 1, 2), bars=1)
    tokens, opens = piece[:, 0].tolist(), FORM.layout.opens.tolist()
    drums, bass, melody = (tokens.index(first) for first in opens)

    def costs(changed):
        return model.score(torch.tensor(changed)[None, :, None])[0, :, 0]

    pitch = next(i for i in range(drums, bass) if FORM.layout.kinds[tokens[i]] == 6)
    other = [*tokens[:pitch], tokens[pitch] + 1, *tokens[pitch + 1 :]]
    moved = (costs(other) - costs(tokens)).abs()
    assert moved[bass + 1 : melody].max() > 1e-4
    assert moved[melody + 1 :].max() > 1e-4
    late = next(i for i in range(melody, len(tokens)) if FORM.layout.kinds[tokens[i]] == 6)
    other = [*tokens[:late], tokens[late] + 1, *tokens[late + 1 :]]
    assert (costs(other) - costs(tokens)).abs()[:late].max() < 1e-6
    alone = model_of(alone=True)
    other = [*tokens[:pitch], tokens[pitch] + 1, *tokens[pitch + 1 :]]
    both = [
        alone.score(torch.tensor(t)[None, :, None])[0, bass + 1 : -1, 0] for t in (other, tokens)
    ]
    assert torch.equal(*both)


def test_values_by_how_another_role_moved():
    """The melody's next pitch, after number 5, where the bass has just gone up from 3 to 4."""
    layout = model_of().layout
    tables = Intervals(layout, 0, 2.0)
    with torch.no_grad():
        tables.motion_RCX.normal_()
    bass, roles, pitches = 1, len(layout.blocks), layout.pitches
    sounding, earlier = torch.zeros(2, 1, 1, roles, pitches)
    sounding[0, 0, bass, 4] = sounding[0, 0, bass, 1] = earlier[0, 0, bass, 3] = 1
    own = layout.blocks[0].pitches
    logits, last = torch.zeros(1, 1, layout.blocks[0].size), torch.tensor([[5]])
    found = tables(logits, sounding, earlier, last, torch.tensor([[True]]))[0, 0]
    for pitch in range(own):
        expected = tables.motion_RCX[bass, (5 - 3) * 3 + 2, pitch - 4 + pitches - 1]
        assert torch.isclose(found[tables.first + pitch], 2 * expected)
    assert found[: tables.first].abs().max() == 0
    silent = tables(logits, sounding, earlier, last, torch.tensor([[False]]))
    assert silent.abs().max() == 0


def test_conditions_change_what_is_expected_and_may_be_left_open():
    model, piece = model_of(conditions=("style",)), tune()[None]
    codes = [Given(torch.tensor([[code]])) for code in (-1, 0, 1)]
    free, jazz, rock = (model.score(piece, given).sum() for given in codes)
    assert free == model.score(piece).sum()
    assert not torch.isclose(jazz, rock, rtol=1e-5)
    assert [spec.name for spec in model.conditions] == ["style"]


def test_a_random_order_of_roles_is_drawn_in_training_alone():
    model = build("band", MICRO | {"shuffle": 1.0}, SPEC)
    torch.manual_seed(2)
    orders = {tuple(row) for row in model._orders(64, torch.device("cpu")).tolist()}
    assert len(orders) == 6
    assert len({tuple(row) for row in model.eval()._orders(64, torch.device("cpu")).tolist()}) == 1


def test_every_weight_learns():
    torch.manual_seed(3)
    model = build("band", MICRO | {"conditions": ["style"]}, SPEC)
    codes = Given(torch.tensor([[1]]))
    model(*model._shifted(tune()[None]), codes).sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize(
    "settings", [{"hears": [0, 0]}, {"heard": 0}, {"shuffle": 2.0}, {"motion_speed": -1.0}]
)
def test_contradictory_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        build("band", MICRO | settings, SPEC)


def test_other_encodings_are_refused_with_the_remedy():
    for other in ({"kind": "events"}, {"kind": "grid"}):
        spec = ArraySpec.of(codec_of(representation_of(other)))
        with pytest.raises(ValueError, match="such as roles_choir"):
            build("band", MICRO, spec)
    with pytest.raises(ValueError, match="another encoding"):
        model_of().score(torch.tensor([[[9999]]]))


def sampler():
    return sampler_of(model_of(), FORM, "band")


def made(seed=5, **request):
    return sampler().sample([Job(Request(seed=1, **request), 0, seed)])[0]


def test_a_piece_has_the_roles_the_meter_and_the_bars_that_were_asked_for():
    options = {"roles": ("bass", "drums"), "meter": "3/4"}
    found = made(bars=3, min_bars=3, options=options)
    piece = FORM.decode(found.tokens)
    assert FORM.playing(found.tokens) == ["drums", "bass"]
    assert len(FORM.bar_starts(found.tokens)) == 3
    assert piece.meters == (Meter(0, 3, 4),)
    for one in (found, made(bars=3, min_bars=3, options=options | {"best_of": 3})):
        nats = model_of().score(torch.from_numpy(one.tokens.astype(np.int64))[None])
        assert np.allclose(nats[0].detach().numpy(), one.nats, atol=1e-3)
    with pytest.raises(ValueError, match="roles names flute; this model's roles are melody, bass"):
        made(bars=3, options={"roles": ("flute",)})
    with pytest.raises(ValueError, match="meter=5/4 is none of 3/4, 4/4"):
        made(bars=3, options={"meter": "5/4"})


@pytest.mark.long
def test_a_continuation_and_a_session_are_one_piece():
    prompt = FORM.decode(tune().numpy())
    request = Request(task=Continue(prompt, 2), bars=4, min_bars=4, seed=1)
    job = Job(request, 0, 7)
    whole = sampler().sample([job])[0]
    beginning = FORM.prefix(prompt, FORM.decode(tune(bars=6).numpy()).quarters)
    first = FORM.bar_starts(beginning)[3]
    assert np.array_equal(whole.tokens[:first], beginning[:first])
    session = sampler().session(job)
    session.advance()
    assert np.array_equal(session.advance().tokens, whole.tokens)
    with pytest.raises(ValueError, match="roles of its prompt"):
        sampler().sample([replace(job, request=replace(request, options={"roles": ("bass",)}))])


@pytest.mark.long
@pytest.mark.parametrize(
    ("region", "free"),
    [
        (Region((2, 4), ("bass",)), {("bass", 2), ("bass", 3)}),
        (
            Region(None, ("melody", "drums")),
            {(r, b) for r in ("melody", "drums") for b in range(9)},
        ),
        (Region((3, 4)), {(role, 3) for role in ROLES}),
    ],
)
def test_refilling_keeps_everything_outside_the_region_exactly(region, free):
    piece = FORM.decode(tune(4).numpy())
    found = made(task=Fill(piece, region), bars=6, options={"particles": 2})
    result = FORM.decode(found.tokens)
    assert np.array_equal(FORM.write(result), found.tokens)
    assert result.meters == piece.meters
    starts = np.array([line for line, _ in bars_of(found.tokens)])

    def notes(source):
        bars = np.searchsorted(starts, source.notes["onset"], side="right")
        roles = [source.tracks[track].role for track in source.notes["track"]]
        kept = [(role, bar) not in free for role, bar in zip(roles, bars.tolist(), strict=True)]
        return source.notes[kept]

    assert np.array_equal(notes(result), notes(piece))
    again = made(task=Fill(piece, region), bars=6, options={"particles": 2})
    assert np.array_equal(again.tokens, found.tokens)
    other = made(9, task=Fill(piece, region), bars=6, options={"particles": 2})
    assert not np.array_equal(other.tokens, found.tokens)


@pytest.mark.long
def test_a_variation_keeps_more_the_weaker_it_is():
    tokens = tune(4).numpy()
    piece = FORM.decode(tokens)
    found = {
        strength: made(task=Vary(piece, strength), bars=6, options={"particles": 1}).tokens
        for strength in (0.0, 0.3, 1.0)
    }
    assert np.array_equal(found[0.0], tokens)
    assert not np.array_equal(found[0.3], tokens)
    parts = {
        strength: {
            (bar, role): tokens.tobytes()
            for bar in range(1, 7)
            for role, tokens in enumerate(parts_in(new, bar))
        }
        for strength, new in found.items()
    }
    same = [sum(parts[0.0][at] == part for at, part in parts[s].items()) for s in (0.0, 0.3, 1.0)]
    assert same[0] == 18
    assert same[0] > same[1] > same[2]
    with pytest.raises(ValueError, match="not bar by bar"):
        sampler().session(Job(Request(task=Vary(piece, 0.5), bars=6), 0, 1))


def parts_in(tokens, bar):
    """The tokens of every role in a bar, counted from 1."""
    number = np.cumsum(FORM.layout.kinds[tokens[:, 0]] == 2)
    owners = FORM.layout.owners[tokens[:, 0]]
    return [tokens[(number == bar) & (owners == role), 0] for role in range(len(ROLES))]


def bars_of(tokens):
    """Onset and meter of every bar."""
    meters = FORM.layout.values[tokens[FORM.layout.kinds[tokens[:, 0]] == 2, 0]]
    steps = FORM.layout.bar_steps[meters]
    return list(zip((np.cumsum(steps) - steps).tolist(), meters.tolist(), strict=True))


def test_a_role_that_the_piece_is_without_can_be_added():
    tracks = (Track("Melody", "melody"), Track("Bass", "bass"), Track("Drums", "drums", 0, True))
    tune = Piece("t", 4, make_notes([(0, 0, 16, 70, 80), (0, 16, 16, 72, 80)]), tracks)
    found = made(task=Fill(tune, Region(None, ("bass",))), bars=4, options={"particles": 1})
    result = FORM.decode(found.tokens)
    assert FORM.playing(found.tokens) == ["bass", "melody"]
    assert len(result.voice("bass")) > 0
    assert result.voice("melody")["pitch"].tolist() == [70, 72]


def test_a_region_outside_the_piece_names_the_bars_that_it_has():
    piece = FORM.decode(tune(4).numpy())
    with pytest.raises(ValueError, match="which has bars 1 to 6: name bars"):
        made(task=Fill(piece, Region((7, 9), ("bass",))), bars=16)


@pytest.mark.parametrize("memory", [12, 3])  # of the coordinator: all slots of a bar, and fewer
@torch.inference_mode()
def test_a_line_that_waits_is_the_models_own_bit_by_bit(memory):
    model = model_of(coordinator_memory=memory, coordinator_layers=2, motion_speed=4.0)
    own, waiting = model.start(1, 0), Together(model).start(1, 0)
    for token in tune(seed=3)[:, 0]:
        assert torch.equal(model.next_logits(own), model.next_logits(waiting))
        model.push(own, token[None])
        Together(model).push(waiting, token[None])
