"""Models that were trained on four bars alone make them again.

Of other families: test_masked_events.py, test_diffusion_sampling.py, test_latent_diffusion.py,
test_variational.py, test_adversarial.py and test_audio_ddpm.py.
"""

import math

import pytest
import torch

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.representations.registry import build as representation_of
from ostinato.representations.store import codec_of
from ostinato.sampling.registry import sampler_of
from ostinato.sampling.request import Continue, Fill, Region, Request, Unconditional
from ostinato.sampling.sampler import Job

VOICES = ["soprano", "alto", "tenor", "bass"]
GRID = {"kind": "grid", "lowest": 36, "highest": 81, "bars": True, "end": True, "meters": ["4/4"]}
GRID |= {"steps_per_quarter": 2}  # as short as the notes
ROLES = {"kind": "roles", "roles": VOICES, "order": VOICES[::-1], "meters": ["4/4"]}
ROLES |= {"registers": {voice: [36, 81] for voice in VOICES}}
HEADS = {"voice_hidden": 32, "heads": 2, "context": 64}
SIZES = {
    "lstm": {"voice_hidden": 32},
    "gpt": HEADS,
    "gpt2": HEADS,
    "music_transformer": HEADS | {"max_distance": 64},
    "band": {"heads": 2, "coordinator_layers": 1, "heard": 8, "memory": 128, "shuffle": 0.0},
    "absorbing": HEADS | {"layers": 2},
}


def model_of(family, form):
    torch.manual_seed(0)
    config = {"width": 32, "layers": 1, "dropout": 0.0} | SIZES[family]
    return build(family, config, ArraySpec.of(codec_of(form) | {"conditions": []})).train()


def trained(model, steps, rate, loss):
    """With a rate that falls to a tenth."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - 0.9 * step / steps)
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return model.eval()


def alike(model, form, family, piece, task, **options):
    """Which share of a piece comes back."""
    request = Request(task=task, bars=4, min_bars=4, options={"temperature": 0.1} | options)
    (made,) = sampler_of(model, form, family).sample([Job(request, 0, 1)])
    wanted = form.encode(piece)[: len(made.tokens)]
    return (made.tokens[: len(wanted)] == wanted).mean()


@pytest.mark.parametrize("family", ["lstm", "gpt", "gpt2", "music_transformer"])
def test_an_untrained_model_pays_ln_v(chorale, family):
    form = representation_of(GRID)
    rows = torch.from_numpy(form.encode(chorale(1, bars=4))).long()
    nats = model_of(family, form).score(rows[None]).mean().item()
    assert nats == pytest.approx(math.log(len(form.vocabulary)), rel=0.05)


@pytest.mark.starts
@pytest.mark.parametrize("family", ["lstm", "gpt", "gpt2", "music_transformer", "band"])
def test_from_left_to_right(chorale, family):
    form, piece = representation_of(ROLES if family == "band" else GRID), chorale(1, bars=4)
    model, tokens = model_of(family, form), torch.from_numpy(form.encode(piece)).long()
    trained(model, 70, 0.02, lambda: model.score(tokens[None]).mean())
    assert alike(model, form, family, piece, Unconditional()) > 0.95
    assert alike(model, form, family, piece, Continue(piece, 1)) > 0.7


@pytest.mark.starts
def test_in_any_order(chorale):
    form, piece = representation_of(GRID), chorale(1, bars=4)
    model, rows = model_of("absorbing", form), torch.from_numpy(form.encode(piece)).long()
    batch, start = rows.expand(4, -1, -1), torch.zeros(4, dtype=torch.long)

    def loss():
        nats = model.bound(batch, (torch.arange(4) + torch.rand(4)) / 4, start).sum()
        return nats / batch.numel() + model.bar_lines.nats(batch[..., 0]).mean()

    trained(model, 120, 0.015, loss)
    for least, task in (
        (0.9, Fill(piece, Region(bars=(1, 3)))),
        (0.9, Fill(piece, Region(bars=(3, 5)))),
        (0.9, Fill(piece, Region(roles=("alto", "tenor", "bass")))),
        (0.5, Unconditional()),
    ):
        assert alike(model, form, "absorbing", piece, task, steps=16, gibbs=4) > least, task.name
