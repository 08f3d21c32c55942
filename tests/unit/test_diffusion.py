"""Gaussian diffusion: noise of stated strength, rolls, bounds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ostinato.evaluation.likelihood.diffusion import Scorer
from ostinato.models.diffusion.ddpm import Config, Model
from ostinato.models.diffusion.parts import noise
from ostinato.models.diffusion.parts.bars import NEAR, aligned
from ostinato.models.diffusion.parts.bound import bound_of
from ostinato.models.diffusion.parts.level import NoiseLevel
from ostinato.models.diffusion.parts.nearby import FINEST, REACH, STAY, Nearby
from ostinato.models.diffusion.parts.rolls import cells_of, rolls_of
from ostinato.models.grids.parts.voices import LAST_PLACE
from ostinato.models.registry import build
from ostinato.models.spec import PAD, ArraySpec
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.diffusion.sampler import Sampler
from ostinato.sampling.request import Request
from ostinato.sampling.sampler import Job

BARS = Grid(lowest=36, highest=81, bars=True, end=True, meters=("3/4", "4/4"))
CELLS = Grid(lowest=36, highest=81)
HOLDS = Grid(lowest=36, highest=81, hold=True)
TINY = {"widths": (16, 16), "depths": (1, 1), "level_width": 8, "heads": 2, "dropout": 0.0}
FEW = {"steps": 3}


def spec_of(grid):
    codec = {"width": grid.width, "vocabulary": grid.vocabulary, "structure": grid.structure()}
    return ArraySpec.of(codec)


def tiny(grid=BARS, spec=None, **changes):
    torch.manual_seed(0)
    return build("ddpm", TINY | changes, spec or spec_of(grid)).eval()


def rows(chorale, grid=BARS, seed=1, bars=2):
    return torch.from_numpy(grid.encode(chorale(seed, bars=bars)).astype(np.int64))


@pytest.mark.parametrize("schedule", noise.SCHEDULES)
def test_noise_step_by_step_has_the_marginal_of_noise_at_once(schedule):
    """4,000 chains of 20 steps from x = 2 against N(α x, σ²), within four standard errors."""
    levels = noise.log_snrs(schedule, 20)
    variances = noise.betas(levels)
    assert (levels.diff() < 0).all()
    assert ((variances > 0) & (variances < 1)).all()
    random = torch.Generator().manual_seed(1)
    chains = torch.full((4000,), 2.0, dtype=torch.float64)
    for step, variance in enumerate(variances):
        fresh = torch.randn(4000, dtype=torch.float64, generator=random)
        chains = (1 - variance).sqrt() * chains + variance.sqrt() * fresh
        if step in (3, 10, 19):
            alpha, sigma = levels[step].sigmoid().sqrt(), (-levels[step]).sigmoid().sqrt()
            assert abs(chains.mean() - 2 * alpha) < 4 * sigma / 4000**0.5
            assert abs(chains.std() / sigma - 1) < 4 / 8000**0.5


def test_noise_at_once_has_the_stated_mean_and_spread():
    level = torch.tensor([-1.0])
    fresh = torch.randn(1, 50_000, generator=torch.Generator().manual_seed(2))
    noisy = noise.noised(torch.ones(1, 50_000), fresh, level)
    alpha, sigma = level.sigmoid().sqrt().item(), (-level).sigmoid().sqrt().item()
    assert noisy.mean().item() == pytest.approx(alpha, abs=4 * sigma / 50_000**0.5)
    assert noisy.std().item() == pytest.approx(sigma, rel=0.02)


@pytest.mark.parametrize("prediction", noise.PREDICTIONS)
@pytest.mark.parametrize("level", [-6.0, 0.0, 6.0])
def test_every_prediction_gives_back_clean_and_noise(prediction, level):
    random = torch.Generator().manual_seed(3)
    clean, fresh = torch.randn(2, 3, 4, 5, generator=random, dtype=torch.float64)
    level_B = torch.full((3,), level, dtype=torch.float64)
    noisy = noise.noised(clean, fresh, level_B)
    target = noise.target_of(prediction, clean, fresh, level_B)
    found = noise.clean_of(prediction, target, noisy, level_B)
    assert torch.allclose(found, clean, atol=1e-9)
    assert torch.allclose(noise.noise_of(found, noisy, level_B), fresh, atol=1e-9)


def test_unknown_schedules_and_predictions_are_refused_with_the_known():
    with pytest.raises(ValueError, match="'steep' is none of linear, cosine, log_linear"):
        noise.log_snrs("steep", 10)
    with pytest.raises(ValueError, match="diffusion_steps=1 must be at least 2"):
        noise.log_snrs("cosine", 1)
    with pytest.raises(ValueError, match="'mean' is none of noise, velocity, clean"):
        noise.check_prediction("mean")


def test_noise_levels_are_told_apart():
    torch.manual_seed(0)
    vectors = NoiseLevel(16)(torch.tensor([-3.0, -2.9, 3.0]))
    assert vectors.shape == (3, 16)
    assert (vectors[0] - vectors[1]).abs().max() > 1e-3


@given(arrays(np.int64, (9, 3), elements=st.integers(0, 11)))
@settings(max_examples=min(60, settings.default.max_examples), deadline=None)
def test_rows_to_rolls_to_rows_is_exact(cells_TV):
    """With holds only where something sounds, as grids write them; key 11 is the hold."""
    for hold in (-1, 11):
        cells = torch.from_numpy(cells_TV)[None].clone()
        if hold > 0:
            sounds = torch.zeros(3, dtype=torch.bool)
            for row in cells[0]:
                row[(row == hold) & ~sounds] = 0
                sounds = (row != 0) & ((row != hold) | sounds)
        free = torch.ones(cells.shape, dtype=torch.bool)
        rolls = rolls_of(cells, free, 12)
        assert (rolls.sum(dim=-1) == 1).all()
        assert torch.equal(cells_of(rolls, hold), cells)


def test_holds_where_nothing_sounds_become_rests():
    rolls = rolls_of(torch.tensor([[[4], [5], [4], [0], [4], [4]]]), torch.ones(1, 6, 1) > 0, 6)
    assert cells_of(rolls, hold=4).flatten().tolist() == [0, 5, 4, 0, 0, 0]


def test_real_rolls_survive_the_least_noise(chorale):
    model, piece = tiny(), rows(chorale, bars=4)[None]
    rolls, level = model.rolls(piece), model.log_snrs_S[:1]
    fresh = torch.randn(rolls.shape, generator=torch.Generator().manual_seed(1))
    cells, free = model.voices(piece)
    assert torch.equal(model.cells(noise.noised(rolls, fresh, level))[free], cells[free])


@torch.no_grad()
def test_an_untrained_model_knows_only_what_a_cell_says_itself(chorale):
    """Its loss lies between ln S, when all is noise, and nothing, when there is none."""
    model, piece = tiny(), rows(chorale, bars=4)[None]
    rolls, frame = model.rolls(piece), model.frame(piece, torch.zeros(1).long())
    cells, free = model.voices(piece)
    fresh = torch.randn(rolls.shape, generator=torch.Generator().manual_seed(1))
    losses = []
    for level in (-12.0, 0.0, 5.0):
        level_B = torch.tensor([level])
        logits = model.outputs(noise.noised(rolls, fresh, level_B), level_B, frame)[free]
        losses.append(float(torch.nn.functional.cross_entropy(logits, cells[free])))
    assert losses[0] == pytest.approx(np.log(model.symbols), abs=0.02)
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 1e-3


@pytest.mark.parametrize("prediction", ["cells", "noise", "velocity", "clean"])
def test_the_bound_of_the_best_prediction_is_the_entropy(prediction, chorale):
    """Of single cells with a uniform choice of S keys, whose posterior mean is known: ln S."""
    model = tiny(CELLS, prediction=prediction)

    def clean(noisy, level_B, frame):
        return noise.evidence(noisy, level_B).softmax(dim=-1)

    model.clean = clean
    piece = torch.randint(0, model.symbols, (64, 16, 4), generator=torch.Generator().manual_seed(1))
    nats = bound_of(model, piece, None, draws=64)
    assert nats.mean().item() == pytest.approx(np.log(model.symbols), rel=0.02)


@torch.no_grad()
def test_worse_predictions_have_a_higher_bound(chorale):
    model, piece = tiny(), rows(chorale, bars=4)[None]
    whole = model.rolls(piece)
    knowing = dict.fromkeys(range(3), 0.0)
    for number, share in enumerate((0.0, 0.3, 1.0)):
        model.clean = lambda noisy, level, frame, share=share: whole * (1 - share)
        knowing[number] = float(Scorer(model).score(piece)[..., 1:].sum())
    assert knowing[0] < knowing[1] < knowing[2]
    assert knowing[0] < 0.01 * piece.shape[1] * 4  # what is left when everything is known


@torch.no_grad()
def test_a_bound_is_the_same_every_time_and_padding_costs_nothing(chorale):
    model, piece = tiny(), rows(chorale, bars=2)
    nats = Scorer(model).score(piece[None])
    assert torch.equal(nats, Scorer(model).score(piece[None]))
    assert nats.shape == piece[None].shape
    ends = Scorer(model).score(torch.cat([piece, torch.full((8, 5), PAD)])[None])
    assert (ends[0, len(piece) :] == 0).all()
    assert (nats[0, -1, 1:] == 0).all()  # the row of the end
    assert nats[0, -1, 0] > 0


def test_what_lies_beside_a_piece_changes_nothing(chorale):
    model, piece = tiny(widths=(16, 16, 16), depths=(1, 1, 1)), rows(chorale, bars=2)[None]
    torch.nn.init.normal_(model.write.weight)
    wide = torch.cat([piece, torch.full((1, 13, 5), PAD)], dim=1)
    level, start = torch.tensor([0.5]), torch.zeros(1).long()
    noisy = torch.randn(1, wide.shape[1], 4, model.symbols)
    short, long = (
        model.clean(noisy[:, : whole.shape[1]], level, model.frame(whole, start))
        for whole in (piece, wide)
    )
    assert torch.allclose(short, long[:, : piece.shape[1]], atol=1e-5)
    assert (long[:, piece.shape[1] :] == 0).all()


def test_nearby_steps_are_summed_as_a_convolution_does():
    torch.manual_seed(0)
    nearby = Nearby(3, 4)
    torch.nn.init.normal_(nearby.taps.weight)
    own, level = torch.randn(2, 21, 3, 7), torch.randn(2, 4)
    taps = nearby.taps(level).view(2, 3, 2, -1)
    faint = FINEST * torch.tanh((own - own.mean(dim=-1, keepdim=True)) / FINEST)
    sure = torch.log1p(STAY * own.softmax(dim=-1))
    sure = sure - sure.mean(dim=-1, keepdim=True)
    found = nearby(own, level)
    for piece in range(2):
        for voice in range(3):
            planes = torch.stack([faint[piece, :, voice], sure[piece, :, voice]])[None]
            kernel = taps[piece, voice][None, :, :, None]
            wanted = torch.nn.functional.conv2d(planes, kernel, padding=(REACH, 0))[0, 0]
            assert torch.allclose(found[piece, :, voice], wanted, atol=1e-4)
    assert nearby(own[:, :5], level).shape == (2, 5, 3, 7)  # fewer steps than are reached


def test_crops_begin_with_their_first_bar_line(chorale):
    piece, structure = rows(chorale, bars=4), spec_of(BARS).structure
    crops = torch.stack([piece[:40], piece[5:45], piece[16:56]])
    found, starts = aligned(crops, torch.tensor([0, 5, 16]), structure)
    assert starts.tolist() == [0, 16, 16]
    assert torch.equal(found[0], piece[:40])
    assert torch.equal(found[1, :29], piece[16:45])
    assert (found[1, 29:] == PAD).all()
    assert torch.equal(found[2], piece[16:56])


def test_clocks_tell_the_place_in_the_bar_and_the_ends(chorale):
    piece, model = rows(chorale, bars=4)[None], tiny()
    place, since, left = model.frame(piece, torch.tensor([0])).clocks_3BT[:, 0].tolist()
    assert place[:18] == [*range(16), 0, 1]
    assert since[:3] == [0, 1, 2] and since[40] == NEAR
    assert left[-3:] == [2, 1, 0] and left[0] == NEAR
    crop = piece[:, 3:40]
    place, since, left = model.frame(crop, torch.tensor([3])).clocks_3BT[:, 0].tolist()
    assert place[:14] == [LAST_PLACE + 1] * 13 + [0]
    assert since[0] == 3 and set(left) == {NEAR}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widths": (16,)}, "must name as many levels"),
        ({"widths": (16, 6)}, "a multiple of twice heads=2"),
        ({"dropout": 1.0}, r"dropout=1.0 must lie in \[0, 1\)"),
        ({"context": 0}, "context=0 must be at least 1"),
        ({"prediction": "score"}, "'score' is none of"),
        ({"diffusion_steps": 1}, "diffusion_steps=1 must be at least 2"),
    ],
)
def test_contradictory_settings_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        Config(**TINY | changes)


def test_other_encodings_are_refused_with_the_remedy():
    whole = spec_of(BARS)
    for spec in (
        ArraySpec(width=88, vocabulary=2),
        replace(whole, width=1, structure=replace(whole.structure, voice_columns=(0,))),
    ):
        with pytest.raises(ValueError, match="rolls of a grid with one column for each voice"):
            Model(Config(**TINY), spec)
    with pytest.raises(ValueError, match="not bar by bar"):
        Sampler(tiny(), BARS).session(Job(Request(), 0, 1))
