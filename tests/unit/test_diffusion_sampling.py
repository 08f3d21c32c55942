"""Sampling with Gaussian diffusion: schedulers, kept cells that are kept, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ostinato.models.diffusion.parts import noise
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec, ConditionSpec, Given
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.diffusion.decoding import Decoding
from ostinato.sampling.diffusion.rolls import Rolls
from ostinato.sampling.diffusion.sampler import Sampler
from ostinato.sampling.diffusion.schedulers import Known, denoised, levels_of, scheduler_of
from ostinato.sampling.request import Continue, Fill, Region, Request, Vary
from ostinato.sampling.sampler import Job

BARS = Grid(lowest=36, highest=81, bars=True, end=True, meters=("3/4", "4/4"))
CELLS = Grid(lowest=36, highest=81)
HOLDS = Grid(lowest=36, highest=81, hold=True)
TINY = {"widths": (16, 16), "depths": (1, 1), "level_width": 8, "heads": 2, "dropout": 0.0}
FEW = {"steps": 3, "restarts": 0}


def spec_of(grid):
    codec = {"width": grid.width, "vocabulary": grid.vocabulary, "structure": grid.structure()}
    return ArraySpec.of(codec)


def tiny(grid=BARS, spec=None, **changes):
    torch.manual_seed(0)
    return build("ddpm", TINY | changes, spec or spec_of(grid)).eval()


def rows(chorale, grid=BARS, seed=1, bars=2):
    return torch.from_numpy(grid.encode(chorale(seed, bars=bars)).astype(np.int64))


@pytest.mark.long
@pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "dpm"])
def test_schedulers_with_the_true_mean_arrive_at_the_distribution(scheduler):
    """Of 3,000 draws from N(3, 0.5²), whose posterior mean at every level is known."""
    levels = levels_of(noise.log_snrs("log_linear", 1000), 60)
    random = torch.Generator().manual_seed(1)

    def mean(noisy, level_B):
        alpha, sigma = level_B.sigmoid().sqrt()[:, None], (-level_B).sigmoid().sqrt()[:, None]
        gain = 0.25 * alpha / (alpha**2 * 0.25 + sigma**2)
        return 3 + gain * (noisy - 3 * alpha)

    def draw():
        return torch.randn(3000, 1, generator=random, dtype=torch.float64)

    made = denoised(mean, draw, levels, scheduler=scheduler)
    assert made.mean().item() == pytest.approx(3, abs=0.05)
    assert made.std().item() == pytest.approx(0.5, abs=0.04)
    point = denoised(lambda x, _: torch.full_like(x, 7.0), draw, levels, scheduler=scheduler)
    assert torch.allclose(point, torch.full_like(point, 7.0), atol=1e-4)


def test_ddpm_is_the_ancestral_sampler_of_diffusers():
    from diffusers import DDPMScheduler

    levels = noise.log_snrs("cosine", 12)
    theirs = DDPMScheduler(
        12, trained_betas=noise.betas(levels).tolist(), prediction_type="sample", clip_sample=False
    )
    theirs.set_timesteps(12)
    ours = scheduler_of("ddpm", levels)
    sample, clean = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(1))
    for step in (11, 6, 1):
        fresh = torch.randn(4, 5, generator=torch.Generator().manual_seed(3))
        other = theirs.step(clean, step, sample, generator=torch.Generator().manual_seed(3))
        found = ours.step(clean, step, sample, eta=1.0, variance_noise=fresh).prev_sample
        assert torch.allclose(found, other.prev_sample, atol=1e-3)


def test_fewer_steps_are_steps_of_the_same_process():
    levels = noise.log_snrs("cosine", 1000)
    for steps in (7, 96, 1000):
        few = levels_of(levels, steps)
        assert len(few) == steps
        assert few[-1] == levels[-1]
        kept = scheduler_of("ddim", few).alphas_cumprod
        assert torch.allclose(kept, few.sigmoid().float(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "dpm"])
@pytest.mark.parametrize("schedule", noise.SCHEDULES)
def test_few_steps_arrive_somewhere(schedule, scheduler):
    process = noise.log_snrs(schedule, 1000)
    for steps in (1, 2, 3):
        levels = levels_of(process, steps)
        found = denoised(
            lambda noisy, level: noise.signal(level, noisy) * noisy,
            lambda: torch.randn(2, 4),
            levels,
            scheduler=scheduler,
        )
        assert found.isfinite().all()


def test_kept_values_follow_the_forward_process_of_their_truth():
    """The kept half of a sample passes every level with that level's mean and spread."""
    levels, random = levels_of(noise.log_snrs("cosine", 100), 10), torch.Generator().manual_seed(1)
    kept = torch.arange(8000)[None] < 4000
    seen = []

    def predict(x, level_B):
        alpha, sigma = level_B[0].sigmoid().sqrt(), (-level_B[0]).sigmoid().sqrt()
        seen.append((x[kept] - 2 * alpha) / sigma)
        return torch.zeros_like(x)

    def draw():
        return torch.randn(1, 8000, generator=random)

    for scheduler, resample in (("ddpm", 1), ("ddim", 1), ("ddpm", 3), ("dpm", 1)):
        known = Known(torch.full((1, 8000), 2.0), kept)
        made = denoised(predict, draw, levels, scheduler=scheduler, known=known, resample=resample)
        assert torch.allclose(made[kept], torch.tensor(2.0), atol=1e-4)
    for standardized in seen:
        assert abs(standardized.mean()) < 4.5 / 4000**0.5
        assert abs(standardized.std() - 1) < 4.5 / 8000**0.5


@pytest.mark.starts
def test_a_model_of_four_bars_makes_them(chorale):
    model = tiny(widths=(32, 32), depths=(1, 1), level_width=16, intervals=False).train()
    piece = rows(chorale, bars=4)
    batch = {
        "targets": piece[None].repeat(4, 1, 1),
        "start": torch.zeros(4).long(),
        "conditions": None,
        "bars": piece[None, :, 0],
    }
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        (model.loss(batch) / batch["targets"].numel()).backward()
        optimizer.step()
    for scheduler in ("ddpm", "ddim", "dpm"):
        options = {"scheduler": scheduler, "steps": 12, "restarts": 1}
        (made,) = Sampler(model, BARS).sample([Job(Request(bars=6, options=options), 0, 1)])
        assert made.tokens.shape == piece.shape
        assert (made.tokens == piece.numpy()).mean() > 0.95


def test_kept_cells_are_kept_whatever_is_asked(chorale):
    sampler, piece = Sampler(tiny(), BARS), chorale(2, bars=3)
    whole = BARS.encode(piece)[:-1]  # a prompt has no end
    for region in (Region(bars=(2, 3)), Region(roles=("alto",)), Region((1, 2), ("bass",))):
        for options in ({"steps": 3}, FEW | {"resample": 3}, FEW | {"scheduler": "dpm"}):
            request = Request(task=Fill(piece, region), bars=3, options=options)
            (made,) = sampler.sample([Job(request, 0, 5)])
            free = BARS.cells(whole, region.bars, region.roles or BARS.voices)
            assert np.array_equal(made.tokens[~free], whole[~free])
            assert not np.array_equal(made.tokens[free], whole[free])


def test_a_piece_depends_on_its_seed_alone(chorale):
    sampler = Sampler(tiny(), BARS)
    prompt = chorale(4, bars=3)
    jobs = [Job(Request(bars=2, options=FEW), number, number) for number in range(3)]
    jobs.append(Job(Request(task=Continue(prompt, 3), bars=5, options=FEW), 0, 7))
    many = sampler.sample(jobs)
    for job, beside in zip(jobs, many, strict=True):
        (alone,) = sampler.sample([job])
        assert np.array_equal(beside.tokens, alone.tokens)
        BARS.decode(alone.tokens)
    assert np.array_equal(many[3].tokens[:48], BARS.encode(prompt)[:48])
    assert len(many[3].tokens) > 49
    assert not np.array_equal(many[0].tokens[:32], many[1].tokens[:32])


@pytest.mark.parametrize("grid", [CELLS, HOLDS])
def test_grids_without_bars_give_as_many_steps_as_asked(grid):
    (made,) = Sampler(tiny(grid), grid).sample([Job(Request(bars=2, options=FEW), 0, 1)])
    assert made.tokens.shape == (32, 4)
    assert not made.ended
    grid.decode(made.tokens)


def test_restarts_go_back_less_and_less_and_never_beyond_a_variation():
    assert Decoding(steps=100, restarts=3, restart=0.6).counts(1.0) == [100, 60, 40, 20]
    assert Decoding(steps=100, restarts=2, restart=0.6).counts(0.4) == [40, 40, 30]
    assert Decoding(steps=100, restarts=2).counts(0.0) == []


def test_variations_change_more_the_stronger_they_are(chorale):
    """With a network that copies what it can still see."""
    sampler, piece = Sampler(tiny(), BARS), chorale(3, bars=4)
    whole = BARS.encode(piece)[:-1]
    changed = []
    for strength in (0.0, 0.4, 0.6, 1.0):
        request = Request(task=Vary(piece, strength), bars=4, options={"steps": 20, "restarts": 0})
        (made,) = sampler.sample([Job(request, 0, 1)])
        assert np.array_equal(made.tokens[:, 0], whole[:, 0])
        changed.append((made.tokens != whole)[:, 1:].mean())
    assert changed[0] == 0
    assert changed == sorted(changed)
    assert changed[-1] > 0.8


def with_density(**changes):
    spec = replace(spec_of(BARS), conditions=(ConditionSpec(name="density", values=("a", "b")),))
    return tiny(spec=spec, conditions=("density",), **changes)


def test_guidance_goes_beyond_the_conditions(chorale):
    model = with_density()
    torch.nn.init.normal_(model.write.weight)
    for block in model.unet.middle:
        torch.nn.init.normal_(block.by_level.weight)
        torch.nn.init.normal_(block.down)
    sampler = Rolls(model, BARS)
    made = [
        sampler.sample([Job(Request(bars=2, conditions=asked, options=options), 0, 1)])[0].tokens
        for asked, options in (
            ({}, FEW),
            ({"density": "b"}, FEW),
            ({"density": "b"}, FEW | {"guidance": 0.0}),
            ({"density": "b"}, FEW | {"guidance": 8.0}),
        )
    ]
    assert np.array_equal(made[0], made[2])
    assert not np.array_equal(made[0], made[1])
    assert not np.array_equal(made[1], made[3])


def test_conditions_are_hidden_from_some_pieces_in_training(chorale):
    model = with_density(condition_dropout=0.5).train()
    codes = torch.tensor([[1]] * 400)
    torch.manual_seed(1)
    vectors = model.conditioning(model.given(codes).codes_BC)
    assert 0.4 < (vectors == vectors[0]).all(dim=1).float().mean() < 0.6
    assert model.given(None) is None
    assert torch.equal(model.given(codes).codes_BC, Given(codes).codes_BC)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scheduler": "euler"}, "'euler' is none of ddpm, ddim, dpm"),
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"steps": 1001}, "steps=1001 are more than the 1000 of the process"),
        ({"guidance": 2.0}, r"guidance=2.0 needs a model with conditions.*model.conditions=\[\]"),
        ({"guidance": -1.0}, "guidance=-1.0 cannot be negative"),
        ({"restarts": -1}, "restarts=-1 cannot be negative"),
        ({"restart": 1.5}, r"restart=1.5 must lie in \(0, 1\]"),
        ({"resample": 0}, "resample=0 must be at least 1"),
        ({"resample": 2, "scheduler": "dpm"}, "scheduler=ddpm or ddim, or resample=1"),
        ({"sharpness": 0.0}, "sharpness=0.0 must be above 0"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Sampler(tiny(), BARS).sample([Job(Request(bars=1, options=options), 0, 1)])
    with pytest.raises(ValueError, match="needs a model with prediction=cells"):
        job = Job(Request(bars=1, options={"sharpness": 2.0}), 0, 1)
        Sampler(tiny(prediction="noise"), BARS).sample([job])
