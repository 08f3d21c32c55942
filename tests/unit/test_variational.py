"""Variational families: bounds are bounds, vectors carry bars, pieces come back from them."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from ostinato.evaluation.likelihood.variational import Scorer
from ostinato.evaluation.measures.latents import measure
from ostinato.models.registry import build
from ostinato.models.spec import PAD, ArraySpec
from ostinato.models.variational.parts.attributes import REGISTER, attributes_of
from ostinato.models.variational.parts.bound import bound_of, elbo, importance_weighted
from ostinato.models.variational.parts.gaussian import Gaussian
from ostinato.models.variational.parts.intervals import Intervals
from ostinato.models.variational.parts.segments import FAR
from ostinato.models.variational.vae import Config, Model, chosen
from ostinato.music.piece import Meter
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.request import Continue, Fill, Interpolate, Region, Request, Vary
from ostinato.sampling.sampler import Job
from ostinato.sampling.variational.decoding import Decoding
from ostinato.sampling.variational.sampler import Sampler, probabilities

BARS = Grid(lowest=36, highest=81, bars=True, end=True, meters=("3/4", "4/4"))
CELLS = Grid(lowest=36, highest=81)
TINY = {"latent": 4, "width": 16, "encoder_hidden": 8, "voice_hidden": 16, "dropout": 0.0}


def spec_of(grid):
    codec = {"width": grid.width, "vocabulary": grid.vocabulary, "structure": grid.structure()}
    return ArraySpec.of(codec)


def tiny(grid=BARS, **changes):
    torch.manual_seed(0)
    return build("vae", TINY | changes, spec_of(grid)).eval()


def rows(chorale, grid=BARS, seed=1, bars=2):
    return torch.from_numpy(grid.encode(chorale(seed, bars=bars)).astype(np.int64))


def padded(pieces):
    out = torch.full((len(pieces), max(map(len, pieces)), pieces[0].shape[1]), PAD)
    for row, piece in zip(out, pieces, strict=True):
        row[: len(piece)] = piece
    return out


def sampled(model, *requests, grid=BARS):
    return Sampler(model, grid).sample([Job(one, 0, 1) for one in requests])


def test_kl_and_densities_are_those_of_torch():
    torch.manual_seed(0)
    p, q = (Gaussian(torch.randn(3, 5), torch.randn(3, 5) * 0.5) for _ in range(2))
    theirs = [Normal(g.mean, g.log_std.exp()) for g in (p, q)]
    assert torch.allclose(q.kl(p), kl_divergence(theirs[1], theirs[0]), atol=1e-5)
    z = torch.randn(3, 5)
    assert torch.allclose(p.log_density(z), theirs[0].log_prob(z).sum(dim=1), atol=1e-5)


def test_segments_hold_every_cell_once_and_know_their_place(chorale):
    model = tiny(span=8)
    pieces = [rows(chorale, seed=seed, bars=bars) for seed, bars in ((1, 3), (2, 1))]
    pieces[1] = pieces[1][12:]  # a pickup of four steps
    batch = padded(pieces)
    segments = model.segments(batch)
    assert segments.piece.tolist() == [0] * 6 + [1]
    assert segments.length.tolist() == [8] * 6 + [4]
    assert segments.to_end.tolist() == [5, 4, 3, 2, 1, 0, 0]
    assert segments.since.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert segments.until.tolist() == [1, 0, 1, 0, 1, 0, 0]
    assert torch.equal(segments.before[1], batch[0, 7, 1:])
    assert (segments.before[[0, 6]] == PAD).all()
    back = segments.to_rows(segments.cells)
    assert torch.equal(back[0, :48], batch[0, :48, 1:])
    assert torch.equal(back[1, :4], batch[1, :4, 1:])
    assert (back[0, 48:] == 0).all()


def test_what_a_crop_does_not_show_is_unknown(chorale):
    model, batch = tiny(span=8), rows(chorale, bars=3)[None]
    segments = model.segments(batch[:, 4:28], torch.tensor([4]))
    assert segments.length.tolist() == [8, 4, 8, 4]
    assert segments.since.tolist() == [FAR, FAR, 0, 1]
    assert segments.until.tolist() == [1, 0, FAR, FAR]
    assert segments.to_end.tolist() == [FAR] * 4


def test_segments_without_bar_lines_lie_on_a_grid_of_the_whole_piece(chorale):
    model = tiny(CELLS, span=8)
    segments = model.segments(rows(chorale, CELLS)[None, :20], torch.tensor([12]))
    assert segments.length.tolist() == [4, 8, 8]
    assert segments.since.tolist() == [FAR, 0, 1]


def test_an_untrained_output_costs_ln_v_for_each_cell(chorale):
    model = tiny()
    for layer in (model.decoder.to_symbols, model.decoder.to_copy):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    segments = model.segments(rows(chorale)[None])
    nats, said = elbo(model, segments, None, draws=1)
    assert float(nats.detach().mean()) == pytest.approx(math.log(model.symbols), rel=1e-4)
    assert (said >= 0).all()


@torch.no_grad()
def test_a_bound_lies_above_the_likelihood_and_weights_tighten_it(chorale):
    """Segments with two numbers each: the likelihood is an integral over a plane."""
    model = tiny(latent=2)
    model.to_context[0].weight[:, :2] = 2 * torch.randn(16, 2)  # so that the numbers matter
    segments = model.segments(rows(chorale, bars=1)[None])
    before, *_ = model.encoded(segments)
    line = torch.linspace(-6, 6, 49)
    grid = torch.cartesian_prod(line, line)
    index = torch.arange(len(before)).repeat_interleave(len(grid))  # every point for each segment
    z = grid.repeat(len(before), 1)
    logs = model.prior(before[index]).log_density(z)
    logs = logs - model.decoded(chosen(segments, index), before[index], z).sum(dim=(1, 2))
    truth = -float((logs.view(len(before), -1).logsumexp(dim=1) + 2 * math.log(12 / 48)).sum())
    torch.manual_seed(0)
    nats, said = elbo(model, segments, None, draws=100)
    plain = float(nats.sum() + said.sum())
    few, many = (
        float(
            torch.stack(
                [importance_weighted(model, segments, None, draws=k).sum() for _ in range(200 // k)]
            ).mean()
        )
        for k in (3, 200)
    )
    assert many == pytest.approx(truth, abs=0.3)
    assert max(truth, many) + 0.1 < few < plain - 0.1


@torch.no_grad()
def test_a_bound_does_not_depend_on_the_batch_and_is_0_in_padding(chorale):
    model = tiny()
    scorer = Scorer(model)
    piece, longer = rows(chorale, bars=2), rows(chorale, seed=2, bars=3)
    alone = bound_of(model, piece[None], None, draws=1, weighted=False)
    beside = model.segments(padded([piece, longer]))
    own = model.segments(piece[None])
    for one, other in zip(model.encoded(own)[1], model.encoded(beside)[1], strict=True):
        assert torch.allclose(one, other[: len(one)], atol=1e-6)
    score = scorer.score(padded([piece, longer]))
    assert (score[0, len(piece) :] == 0).all()
    assert (score[0, len(piece) - 1, 1:] == 0).all()
    assert torch.equal(alone[..., 0], model.bar_lines.nats(piece[None][..., 0]))
    assert torch.equal(scorer.score(piece[None]), scorer.score(piece[None]))


@torch.no_grad()
def test_a_bar_does_not_see_later_bars(chorale):
    model, piece = tiny(), rows(chorale, bars=3)
    other = piece.clone()
    other[32:48, 1:] += 1
    z = torch.randn(12, 4)
    found = []
    for one in (piece, other):
        segments = model.segments(one[None])
        before, *_ = model.encoded(segments)
        found.append((before, model.decoded(segments, before, z)))
    assert torch.equal(found[0][0][:9], found[1][0][:9])
    assert torch.equal(found[0][1][:8], found[1][1][:8])
    assert not torch.equal(found[0][1][8:], found[1][1][8:])


@torch.no_grad()
def test_writing_picks_from_the_logits_that_are_scored(chorale):
    model, piece = tiny(order=(0, 3, 1, 2)), rows(chorale, bars=2)
    segments = model.segments(piece[None])
    before, posterior, _ = model.encoded(segments)
    nats = model.decoded(segments, before, posterior.mean)
    led = model.led(posterior.mean, before, segments.length)
    written = torch.zeros(segments.cells.shape)

    def pick(logits, place, voice):
        cells = segments.cells[:, place, voice]
        written[:, place, voice] = torch.nn.functional.cross_entropy(
            logits, cells, reduction="none"
        )
        return cells

    nothing = torch.full_like(segments.cells, PAD)
    out = model.decoder.write(led, segments.before, nothing, segments.length, pick)
    assert torch.equal(out, segments.cells)
    assert torch.allclose(written, nats, atol=1e-5)


@pytest.fixture(scope="module")
def overfitted(chorale):
    """A model of two pieces of four bars."""
    torch.manual_seed(0)
    model = tiny(latent=8, width=32, encoder_hidden=16, voice_hidden=16, free_nats=200.0, hide=0.5)
    batch = torch.stack([rows(chorale, seed=seed, bars=4) for seed in (1, 2)])
    start = torch.zeros(2, dtype=torch.long)
    optimizer = torch.optim.Adam(model.train().parameters(), lr=0.02)
    for step in range(110):
        optimizer.zero_grad()
        model.loss(batch, start, step).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    return model.eval()


def test_four_bars_come_back_from_their_vectors(overfitted, chorale):
    found = Scorer(overfitted).latents(rows(chorale, bars=4)[None])
    assert float(found.same_N.sum() / found.cells_N.sum()) > 0.95


def test_the_ends_of_an_interpolation_are_its_pieces(overfitted, chorale):
    ends = [chorale(seed, bars=4) for seed in (1, 2)]
    wanted = [BARS.encode(piece) for piece in ends]
    options = {"temperature": 0.0}
    task = Interpolate(*ends)
    # the first of very many, and the last: as near to the ends as can be asked for
    many = Request(task=task, bars=4, n=10_000, options=options)
    first, last = Sampler(overfitted, BARS).sample([Job(many, index, 1) for index in (0, 9999)])
    shares = [[(made.tokens == piece).mean() for piece in wanted] for made in (first, last)]
    assert shares[0][0] > 0.95 > shares[0][1] + 0.2
    assert shares[1][1] > 0.95 > shares[1][0] + 0.2
    for made in (first, last):
        assert made.ended
        BARS.decode(made.tokens)


def test_pieces_of_different_lengths_are_not_interpolated(chorale):
    model = tiny()
    long, short = chorale(1, bars=5), chorale(2, bars=3)
    words = "chorale-1.mid has 5 bars and chorale-2.mid has 3.*give bars=3"
    with pytest.raises(ValueError, match=words):
        sampled(model, Request(task=Interpolate(long, short), bars=8))
    (made,) = sampled(model, Request(task=Interpolate(long, short), bars=3))
    assert len(made.tokens) == 48  # of the nearer, longer one: without its end
    waltz = replace(short, meters=(Meter(0, 4, 4), Meter(2 * 4 * 480, 3, 4)), source="waltz.mid")
    words = "bar 3 of chorale-1.mid is in 4/4 and that of waltz.mid in 3/4.*same meter, or bars=2"
    with pytest.raises(ValueError, match=words):
        sampled(model, Request(task=Interpolate(long, waltz), bars=4))


def test_variations_are_the_nearer_the_smaller_their_strength(overfitted, chorale):
    piece = chorale(1, bars=4)
    whole, changed = BARS.encode(piece), []
    for strength in (0.0, 0.6, 1.0):
        request = Request(task=Vary(piece, strength), bars=4, options={"temperature": 0.0})
        made = Sampler(overfitted, BARS).sample([Job(request, 0, seed) for seed in range(2)])
        assert all(np.array_equal(one.tokens[:, 0], whole[:, 0]) for one in made)
        changed.append(np.mean([(one.tokens != whole)[:, 1:].mean() for one in made]))
    assert changed[0] == 0
    assert changed[1] < changed[2]
    assert changed[2] > 0.1


def test_continuations_begin_with_their_prompt_even_within_a_bar(chorale):
    piece = chorale(4, bars=3)
    for bars, kept in ((2, 32), (1.5, 24)):
        (made,) = sampled(tiny(), Request(task=Continue(piece, bars), bars=4))
        assert np.array_equal(made.tokens[:kept], BARS.encode(piece)[:kept])
        assert len(made.tokens) > kept
        BARS.decode(made.tokens)


def test_a_piece_depends_on_its_seed_alone():
    sampler, request = Sampler(tiny(), BARS), Request(bars=2)
    many = sampler.sample([Job(request, number, number) for number in range(3)])
    (alone,) = sampler.sample([Job(request, 2, 2)])
    assert np.array_equal(many[2].tokens, alone.tokens)
    assert not np.array_equal(many[1].tokens, alone.tokens)


def test_samples_without_bar_lines_are_as_long_as_asked():
    (made,) = sampled(tiny(CELLS), Request(bars=2), grid=CELLS)
    assert (made.tokens.shape, made.ended) == ((32, 4), False)


def test_attributes_move_the_music_as_they_say(overfitted, chorale):
    segments = overfitted.segments(rows(chorale, bars=4)[None])
    wanted = attributes_of(segments, overfitted.shape.voices)
    mean = overfitted.encoded(segments)[1].mean[:, :2]
    assert ((mean - wanted) ** 2).mean() < 0.3 * wanted.var()
    task, found = Vary(chorale(1, bars=4), 0.3), []
    for register in (-4.0, 4.0):
        (made,) = sampled(overfitted, Request(task=task, bars=4, options={"register": register}))
        segments = overfitted.segments(torch.from_numpy(made.tokens.astype(np.int64))[None])
        found.append(float(attributes_of(segments, overfitted.shape.voices)[:, 1].mean()))
    assert found[0] < found[1]


def test_attributes_are_density_and_register():
    cells = torch.full((2, 16, 4), 20)
    cells[1, ::2] = 32
    segments = tiny(CELLS).segments(cells)
    density, register = attributes_of(segments, spec_of(CELLS).voices).unbind(1)
    assert density[5] > density[1]
    assert float(register[5] - register[1]) == pytest.approx(6 / REGISTER[1], rel=1e-5)


def test_intervals_say_the_same_in_every_key():
    torch.manual_seed(0)
    tables = Intervals(spec_of(CELLS).voices, (0, 3, 1, 2))
    for table in tables.parameters():
        torch.nn.init.normal_(table)
    last, row = torch.randint(10, 30, (2, 12, 4))
    below = torch.ones(4, 4, dtype=torch.bool).tril(-1)
    rows_RP, row = tables.rows(), row[:, None]
    low, high = (tables(rows_RP, last + up, torch.where(below, row + up, PAD)) for up in (0, 5))
    assert torch.allclose(low[..., :-5], high[..., 5:], atol=1e-4)
    assert (tables(rows_RP, 0 * last, torch.zeros(12, 4, 4).long()) == 0).all()


def test_wrong_options_are_refused():
    for options, words in (
        ({"temperature": -1.0}, "temperature=-1.0 must be at least 0"),
        ({"latent_temperature": -0.5}, "latent_temperature=-0.5 must be at least 0"),
        ({"density": 9.0}, "density=9.0 must lie in"),
    ):
        with pytest.raises(ValueError, match=words):
            sampled(tiny(), Request(bars=1, options=options))


def test_what_it_cannot_do_says_why(chorale):
    sampler = Sampler(tiny(), BARS)
    fill = Request(task=Fill(chorale(1), Region(bars=(1, 2))))
    with pytest.raises(ValueError, match="comes after a gap"):
        sampler.capabilities().check(fill, "vae")
    with pytest.raises(ValueError, match="sample whole pieces"):
        sampler.session(Job(Request(), 0, 1))


def test_contradictory_settings_and_other_encodings_are_refused():
    for changes, words in (
        ({"free_nats": -1.0}, "free_nats=-1.0"),
        ({"hide": 1.0}, "hide=1.0 must lie in"),
        ({"span": 0}, "span=0 must be at least 1"),
        ({"order": (0, 0, 1, 2)}, "voices 0 to 3 once"),
    ):
        with pytest.raises(ValueError, match=words):
            tiny(**changes)
    whole = spec_of(BARS)
    for spec in (
        ArraySpec(width=88, vocabulary=2),
        replace(whole, width=1, structure=replace(whole.structure, voice_columns=(0,))),
    ):
        with pytest.raises(ValueError, match="bars of a grid with one column for each voice"):
            Model(Config(**TINY), spec)


def test_the_measure_tells_a_collapsed_model_from_one_that_uses_its_vectors(tokens):
    def found(scale):
        model = tiny(CELLS)
        with torch.no_grad():  # where the posterior says nothing, it is the prior
            for ours, theirs in zip(
                (model.to_posterior[2].weight, model.to_posterior[2].bias),
                (model.to_prior[2].weight, model.to_prior[2].bias),
                strict=True,
            ):
                ours.mul_(scale)
                theirs.mul_(0.0)
        groups = {split: np.arange(len(part)) for split, part in tokens.splits.items()}
        context = SimpleNamespace(
            scorer=Scorer(model), tokens=tokens, groups=groups, seed=1, resamples=20
        )
        return measure(context).values

    collapsed, used = found(0.0), found(40.0)
    assert collapsed["test/active_units"].value == 0
    assert collapsed["test/said"].value == pytest.approx(0, abs=1e-6)
    assert used["test/active_units"].value > 0
    assert used["test/said"].value > 0.001
    assert measure(SimpleNamespace(scorer=None)).values == {}


def test_only_where_a_voice_moves_to_is_sharpened():
    probs_NS = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    now_N = torch.tensor([0, PAD])
    sharp_NS = probabilities(probs_NS.log(), now_N, Decoding(move_temperature=0.5))
    assert sharp_NS[0].tolist() == pytest.approx([0.5, 0.5 * 9 / 13, 0.5 * 4 / 13])
    assert sharp_NS[1].tolist() == pytest.approx([1 / 46, 36 / 46, 9 / 46])  # nothing is known
    whole_NS = probabilities(probs_NS.log(), now_N, Decoding(move_temperature=1))
    assert torch.allclose(whole_NS, probs_NS.double(), atol=1e-6)
    likeliest_NS = probabilities(probs_NS.log(), now_N, Decoding(temperature=0))
    assert likeliest_NS.argmax(dim=1).tolist() == [0, 1]
    assert torch.equal(likeliest_NS.sum(dim=1), torch.ones(2, dtype=torch.double))
