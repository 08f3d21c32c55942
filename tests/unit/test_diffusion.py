"""Gaussian diffusion: noise of stated strength, rolls, steps back, kept cells that are kept."""

import pytest
import torch

from ostinato.models.diffusion.parts import noise
from ostinato.models.diffusion.parts.level import NoiseLevel


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
