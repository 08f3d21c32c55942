"""Diffusion over a vae's vectors: its bound, what it learns, what its sampler keeps."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ostinato.evaluation.likelihood.latent_diffusion import Scorer
from ostinato.files import MissingInput
from ostinato.models.latent_diffusion.parts.bound import prior_nats
from ostinato.models.registry import build
from ostinato.models.spec import PAD, ArraySpec, ConditionSpec, Given
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.diffusion.guidance import guided
from ostinato.sampling.latent_diffusion.decoding import Decoding
from ostinato.sampling.latent_diffusion.sampler import Sampler, made
from ostinato.sampling.request import Continue, Fill, Region, Request, Vary
from ostinato.sampling.sampler import Job
from ostinato.sampling.variational.plan import Plan, vectors_of

BARS = Grid(lowest=36, highest=81, bars=True, end=True, meters=("3/4", "4/4"))
VAE = {"latent": 4, "width": 16, "encoder_hidden": 8, "voice_hidden": 16, "dropout": 0.0}
TINY = {"widths": (16, 16), "depths": (1, 1), "level_width": 8, "heads": 2, "dropout": 0.0}

DENSITY = ConditionSpec(name="density", values=("few", "many"))


def tiny(**changes):
    codec = {"width": BARS.width, "vocabulary": BARS.vocabulary, "structure": BARS.structure()}
    spec = replace(ArraySpec.of(codec), conditions=(DENSITY,))
    torch.manual_seed(0)
    model = build("latent_ddpm", TINY | {"vae": VAE} | changes, spec).eval()
    model.shift_Z += torch.arange(4) * 0.1
    model.scale_Z *= torch.tensor([0.5, 1.0, 2.0, 0.7])
    return model


def rows(chorale, seed=1, bars=2):
    return torch.from_numpy(BARS.encode(chorale(seed, bars=bars)).astype(np.int64))


def sampled(model, *jobs):
    return Sampler(model, BARS).sample([Job(request, 0, seed) for request, seed in jobs])


@torch.inference_mode()
def test_the_bound_is_tight_where_the_best_prediction_is_known(chorale):
    """The expected u of normal ones is α u_λ: a velocity of 0, as an untrained model predicts."""
    model, draws = tiny(), 200
    segments = model.vae.segments(rows(chorale, bars=1).repeat(draws, 1, 1))
    z_SZ = model.unscaled(torch.randn(len(segments.length) // draws, 4))
    u_SZ = model.scaled(z_SZ)
    exact = (0.5 * (u_SZ.square() + math.log(2 * math.pi)) + model.scale_Z.log()).sum()
    shares_B = (torch.arange(draws) + 0.5) / draws

    def found():
        torch.manual_seed(1)
        return float(prior_nats(model, z_SZ.repeat(draws, 1), segments, shares_B).sum()) / draws

    tight = found()
    assert tight == pytest.approx(float(exact), rel=1e-4)
    model.write.bias += 0.3  # a worse prediction
    assert found() > 1.2 * tight


def test_a_bound_does_not_depend_on_what_lies_beside_a_piece(chorale):
    model, piece = tiny(), rows(chorale)
    torch.nn.init.normal_(model.write.weight, std=0.1)
    alone = Scorer(model).score(piece[None])
    assert torch.equal(alone, Scorer(model).score(piece[None]))
    padded = torch.nn.functional.pad(piece, (0, 0, 0, 9), value=PAD)
    beside = Scorer(model).score(padded[None])
    assert (beside[0, len(piece) :] == 0).all()
    assert (alone[0, : len(piece), 0] > 0).all()  # bar lines
    noisy, level = torch.randn(2, 11, 4), torch.zeros(2)
    longer = torch.stack([padded, rows(chorale, 2, bars=3)[: len(padded)]])
    both = model.velocity(noisy, level, model.vae.segments(longer))
    one = model.velocity(noisy[:1, :8], level[:1], model.vae.segments(piece[None]))
    assert torch.allclose(both[:1, :8], one, atol=1e-5)


def test_it_learns_the_vectors_of_one_piece(chorale):
    model, piece = tiny().train(), rows(chorale, bars=4)[:-1]
    assert not model.vae.training
    vectors_SZ = vectors_of(model.vae, piece.numpy())
    model.shift_Z.copy_(vectors_SZ.mean(dim=0))
    model.scale_Z.copy_(vectors_SZ.std(dim=0))
    before = {name: value.clone() for name, value in model.vae.state_dict().items()}
    model.vae.posterior = lambda *_: FixedPosterior(vectors_SZ.repeat(4, 1))
    batch = {"targets": piece.repeat(4, 1, 1), "start": torch.zeros(4, dtype=torch.long)}
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=0.01)
    for _ in range(120):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
    del model.vae.posterior
    plan = Plan(piece.numpy())
    (found,) = made(model.eval(), [plan], [1], Decoding(steps=50))
    error = (found - vectors_SZ).square().mean() / vectors_SZ.var(dim=0).mean()
    assert float(error) < 0.2
    assert all(torch.equal(before[name], value) for name, value in model.vae.state_dict().items())


class FixedPosterior:
    """A posterior without spread."""

    def __init__(self, mean):
        self.mean = mean

    def sample(self):
        return self.mean


def test_prompts_stay_and_pieces_depend_on_their_seeds_alone(chorale):
    model, piece = tiny(), chorale(4, bars=3)
    torch.nn.init.normal_(model.write.weight, std=0.1)
    options = {"steps": 4}
    for bars, kept in ((2, 32), (1.5, 24)):
        request = Request(task=Continue(piece, bars), bars=4, options=options)
        for one in sampled(model, (request, 1), (request, 2)):
            assert np.array_equal(one.tokens[:kept], BARS.encode(piece)[:kept])
            assert len(one.tokens) > kept
    request = Request(bars=2, options=options)
    first, second = sampled(model, (request, 1), (request, 2))
    (again,) = sampled(model, (request, 2))
    assert np.array_equal(second.tokens, again.tokens)
    assert not np.array_equal(first.tokens, second.tokens)


def test_a_gap_of_bars_is_filled_and_all_else_stays(chorale):
    model, piece = tiny(), chorale(4, bars=4)
    torch.nn.init.normal_(model.write.weight, std=0.1)
    asked = Request(task=Fill(piece, Region(bars=(2, 4))), bars=4, options={"steps": 4})
    own = BARS.encode(piece)
    first, second = (one.tokens for one in sampled(model, (asked, 1), (asked, 2)))
    for made_TW in (first, second):
        assert np.array_equal(made_TW[:16], own[:16])
        assert np.array_equal(made_TW[48:], own[48 : len(made_TW)])
        assert np.array_equal(made_TW[:, 0], own[: len(made_TW), 0])  # bar lines
        assert not np.array_equal(made_TW[16:48], own[16:48])
    assert not np.array_equal(first, second)


def test_a_variation_of_no_strength_has_the_vectors_of_its_piece(chorale):
    model, piece = tiny(), rows(chorale)[:-1].numpy()
    torch.nn.init.normal_(model.write.weight, std=0.1)
    own = vectors_of(model.vae, piece)
    apart = []
    for strength in (0.001, 0.3, 0.9):
        plan = Plan(piece, wanted=own, strength=strength)
        (found,) = made(model, [plan], [1], Decoding(steps=20))
        apart.append(float((found - own).square().mean()))
    assert apart[0] < 1e-8 < apart[1] < apart[2]
    asked = Request(task=Vary(chorale(1, bars=2), 0.5), bars=2, options={"steps": 4})
    assert sampled(model, (asked, 1))[0].tokens.shape == (33, 5)


def with_density(**changes):
    model = tiny(conditions=("density",), **changes)
    for weight in (*model.unet.parameters(), model.write.weight):
        torch.nn.init.normal_(weight, std=0.2)  # blocks begin without any effect of their level
    torch.nn.init.normal_(model.conditioning.table.weight, std=3.0)
    return model


@torch.inference_mode()
def test_guidance_goes_beyond_the_conditions(chorale):
    """x̂(nothing) + w (x̂(given) - x̂(nothing)), and a piece's own conditions in its last bars."""
    model, piece = with_density(), rows(chorale)[None]
    segments = model.vae.segments(piece)
    noisy, level_B = torch.randn(1, len(segments.length), 4), torch.zeros(1)
    clean = lambda x, level, given: model.clean(x, level, segments, given)  # noqa: E731
    asked = Given(torch.tensor([[1]]))
    nothing, told = clean(noisy, level_B, None), clean(noisy, level_B, asked)
    assert not torch.allclose(nothing, told)
    for weight in (0.0, 1.0, 2.5):
        found = guided(clean, asked, weight)(noisy, level_B)
        assert torch.allclose(found, nothing + weight * (told - nothing), atol=1e-5)


@torch.inference_mode()
def test_pieces_have_their_own_conditions_also_in_last_bars_that_are_drawn_again(
    chorale, monkeypatch
):
    model, piece = with_density(), rows(chorale)[:-1].numpy()
    plan, decoding = Plan(piece), Decoding(steps=4, guidance=2.0)
    codes = Given(torch.tensor([[0], [1], [-1]]))
    few, many, open_ = made(model, [plan] * 3, [1] * 3, decoding, codes)
    (again,) = made(model, [plan], [1], decoding, Given(torch.tensor([[1]])))
    assert torch.allclose(many, again, atol=1e-5)
    assert not torch.allclose(few, many)
    assert not torch.allclose(open_, many)
    seen = []

    def watched(model, plans, seeds, decoding, given):
        seen.append(given.codes_BC[:, 0].tolist())
        return made(model, plans, seeds, decoding, given)

    monkeypatch.setattr("ostinato.sampling.latent_diffusion.sampler.made", watched)
    asked = [{"density": "few"}, {"density": "many"}, {}]
    requests = [Request(bars=2, conditions=one, options={"steps": 1}) for one in asked]
    sampled(model, *((request, seed) for seed, request in enumerate(requests)))
    assert seen[0] == [0, 1, -1]
    assert seen[1] == [code for code in seen[0] for _ in range(8)]  # none has closed


def test_conditions_are_learned_and_hidden_from_some_pieces(chorale):
    model, piece = with_density(condition_dropout=0.5).train(), rows(chorale, bars=4)[:-1]
    batch = {"targets": piece.repeat(8, 1, 1), "start": torch.zeros(8, dtype=torch.long)}
    model.loss(batch | {"conditions": torch.ones(8, 1, dtype=torch.long)}).backward()
    unknown, few, many = model.conditioning.table.weight.grad.abs().sum(dim=1)
    assert few == 0
    assert min(unknown, many) > 0


def test_what_cannot_be_done_is_refused_with_a_reason(chorale):
    sampler = Sampler(tiny(diffusion_steps=10), BARS)
    fill = Request(
        task=Fill(chorale(1), Region(bars=(1, 2), roles=("alto",))), options={"steps": 5}
    )
    with pytest.raises(ValueError, match="roles alto cannot be filled alone: a vector stands"):
        sampler.sample([Job(fill, 0, 1)])
    for options, words in (
        ({"steps": 11}, "steps=11 are more than the 10 of the process"),
        ({"temperature": -1.0}, "temperature=-1.0 must be at least 0"),
        ({"guidance": -1.0}, "guidance=-1.0 cannot be negative"),
        (
            {"steps": 5, "guidance": 2.0},
            r"guidance=2.0 needs a model with conditions.*conditions=\[density\]",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            sampler.sample([Job(Request(bars=1, options=options), 0, 1)])
    with pytest.raises(ValueError, match=r"model\.vae has no setting depth"):
        tiny(vae=VAE | {"depth": 2})
    with pytest.raises(ValueError, match="names key; this encoding has density"):
        tiny(conditions=("key",))


def test_a_training_wants_the_vae_that_it_names(settings_of, train, tmp_path):
    model = TINY | {"vae": VAE, "autoencoder": str(tmp_path / "vae")}
    settings = settings_of(steps=2, validate_every=2)
    latent = replace(settings, system="latent", family="latent_ddpm", model=model)
    with pytest.raises(MissingInput, match="dvc repro train@vae"):
        train(latent, tmp_path / "latent", tmp_path / "r")
    train(replace(settings, family="vae", model=VAE), tmp_path / "vae", tmp_path / "r")
    other = replace(latent, model=model | {"vae": VAE | {"span": 8}})
    with pytest.raises(
        ValueError, match=r"model\.vae\.span=8, and .*vae was trained with span=None"
    ):
        train(other, tmp_path / "latent", tmp_path / "r")
