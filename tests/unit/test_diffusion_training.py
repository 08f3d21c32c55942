"""A training of ddpm: resumed to the bit, its average exported, its losses of the stated kind."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from ostinato.files import checksums
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.training.diffusion import Data, Module

TINY = {"widths": (16, 16), "depths": (1, 1), "level_width": 8, "heads": 2, "dropout": 0.1}


@pytest.fixture
def settings(settings_of):
    return replace(settings_of("gpt", steps=8, validate_every=4), family="ddpm", model=TINY)


class Stop(RuntimeError):
    """Power failure."""


def test_a_resumed_training_ends_at_the_same_bits(settings, train, tmp_path, monkeypatch):
    train(settings, tmp_path / "whole", tmp_path / "resume")
    training_step = Module.training_step

    def fail(self, batch, batch_idx):
        if self.global_step == 6:
            raise Stop
        return training_step(self, batch, batch_idx)

    with monkeypatch.context() as broken:
        broken.setattr(Module, "training_step", fail)
        with pytest.raises(Stop):
            train(settings, tmp_path / "again", tmp_path / "resume")
    assert not (tmp_path / "again").exists()
    train(settings, tmp_path / "again", tmp_path / "resume")
    assert checksums(tmp_path / "again") == checksums(tmp_path / "whole")
    other = train(replace(settings, seed=2), tmp_path / "other", tmp_path / "resume")
    assert other["weights_sha256"] != checksums(tmp_path / "whole")["weights.safetensors"]
    assert load_file(tmp_path / "whole" / "weights.safetensors").keys() == (
        build("ddpm", TINY, ArraySpec.of(other["codec"])).state_dict().keys()
    )


@pytest.mark.parametrize("prediction", ["cells", "noise", "velocity", "clean"])
def test_a_first_loss_is_that_of_knowing_nothing(settings, tokens, prediction):
    """An output of 0: of squared errors, the mean square of what is predicted, summed over keys."""
    torch.manual_seed(0)
    model = build("ddpm", TINY | {"prediction": prediction}, ArraySpec.of(tokens.codec))
    sixteen = replace(settings, training=replace(settings.training, batch=16))
    batch = Data(tokens, sixteen).training_set(0, 1, 1)[0]
    loss = float(Module(model, sixteen).loss(batch).detach() / batch["count"])
    bounds = {"cells": (1.0, 3.9), "noise": (45, 49), "velocity": (15, 35), "clean": (0.99, 1.01)}
    low, high = bounds[prediction]
    assert low < loss < high


def test_validation_says_the_same_twice(settings, tokens):
    torch.manual_seed(0)
    module = Module(build("ddpm", TINY, ArraySpec.of(tokens.codec)), settings)
    (batch, *_) = Data(tokens, settings).validation_set()
    first, again = module.validate(batch), module.validate(batch)
    assert torch.equal(first["nats"], again["nats"])
    assert first["nats"].shape == first["target"].shape
