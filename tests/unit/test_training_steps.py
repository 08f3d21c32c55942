"""A step in parts is the step at once; a training ends with its patience; both after a kill."""

import csv
import math
import shutil
from contextlib import contextmanager

import numpy as np
import pytest

from ostinato.files import checksums
from ostinato.training.patience import since_best

CPU = {"accelerator": "cpu", "devices": 1}
# settings that let nothing depend on chance
EXACT = {family: {"dropout": 0.0} for family in ("lstm", "gpt", "music_transformer")}
EXACT["gpt2"] = {"dropout": 0.0, "attention_dropout": 0.0}


class Breaking:
    """A record that raises when it is given its `at`-th row; it keeps the steps of the rows."""

    def __init__(self, at=-1):
        self.left, self.steps = at, []

    def log(self, metrics, step):
        self.left -= 1
        self.steps.append(step)
        if not self.left:
            raise RuntimeError("no power")

    def flush(self):
        pass

    def finish_weights(self, sha256):
        pass

    @contextmanager
    def track(self, mark):
        yield self


@pytest.fixture
def fitted(tokens, tmp_path):
    """Train in this process; the curve."""

    def run(settings, name, at=-1, **options):
        from ostinato.training.fit import fit

        record = Breaking(at)
        how = {"trainer_options": CPU | options, "resume_root": tmp_path / f"resume-{name}"}
        if at > 0:
            with pytest.raises(RuntimeError, match="no power"):
                fit(settings, tokens, tmp_path / name, track=record.track, **how)
            return record.steps
        fit(settings, tokens, tmp_path / name, track=record.track, **how)
        return curve(tmp_path / name), record.steps

    return run


def curve(folder):
    with (folder / "history.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def assert_same_curve(ours, theirs, near):
    for key in ("step", "learning_rate", "train_loss", "valid_loss", "valid_accuracy"):
        assert [row[key] for row in ours] == pytest.approx([r[key] for r in theirs], abs=near), key


@pytest.mark.parametrize("family", EXACT)
def test_accumulated_parts_give_the_curve_of_the_whole_batch(fitted, settings_of, family):
    settings = settings_of(family, EXACT[family])
    whole, steps = fitted(settings, "whole")
    assert steps == [10, 20], "steps are counted, not parts"
    for micro_batch in (2, 1) if family == "lstm" else (2,):
        parts, steps = fitted(settings, f"parts-{micro_batch}", micro_batch=micro_batch)
        assert steps == [10, 20]
        assert_same_curve(whole, parts, 5e-5)


def test_a_training_in_parts_goes_on_from_a_break_to_the_very_same_model(
    fitted, settings_of, tmp_path
):
    settings = settings_of(steps=40)
    fitted(settings, "whole", micro_batch=2)
    assert fitted(settings, "broken", at=2, micro_batch=2) == [10, 20]
    _, steps = fitted(settings, "broken", micro_batch=2)
    assert steps == [20, 30, 40], "the second stretch was not saved: it comes again"
    assert checksums(tmp_path / "broken") == checksums(tmp_path / "whole")


def test_every_part_of_a_step_has_its_own_rows_and_its_own_dropout(
    fitted, settings_of, monkeypatch
):
    import torch

    from ostinato.training.module import Training

    seen, seeds = {}, []
    training_step = Training.training_step

    def watched(self, batch, batch_idx):
        seen.setdefault(self.global_step, []).append(batch)
        seeds.append(torch.initial_seed())
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(Training, "training_step", watched)
    settings = settings_of(steps=10)
    fitted(settings, "whole")
    whole, first = seen, list(seeds)
    seen, again = {}, seeds
    again.clear()
    fitted(settings, "parts", micro_batch=1)
    assert list(seen) == list(whole) == list(range(10))
    assert len(set(again)) == 40
    assert again[::4] == first, "a step of one part has the seed it always had"
    for step, parts in seen.items():
        rows = torch.cat([part["targets"] for part in parts])
        assert torch.equal(rows, whole[step][0]["targets"])
        assert {int(part["count"]) for part in parts} == {int(whole[step][0]["count"])}


@pytest.mark.parametrize("micro_batch", [None, 2], ids=["at once", "in parts"])
def test_what_is_validated_and_exported_is_the_moving_average(
    fitted, settings_of, tokens, tmp_path, monkeypatch, micro_batch
):
    """By its formula, from the weights after every step; the first steps follow faster."""
    from safetensors.torch import load_file

    from ostinato.training.module import Training

    weights, modules, training_step = {}, [], Training.training_step

    def watched(self, batch, batch_idx):
        weights[self.global_step] = doubles(self.model.state_dict())
        modules.append(self)
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(Training, "training_step", watched)
    settings = settings_of(steps=8, validate_every=4, ema_decay=0.3)
    rows, _ = fitted(settings, "model", micro_batch=micro_batch)
    weights[8] = doubles(modules[-1].model.state_dict())
    averages = {0: weights[0]}
    for step, decay in enumerate([2 / 11, 3 / 12, *[0.3] * 6], start=1):
        averages[step] = {
            name: decay * before + (1 - decay) * weights[step][name]
            for name, before in averages[step - 1].items()
        }
    assert_near(doubles(modules[-1].average.state_dict()), averages[8])
    for row in rows:
        of_average, of_weights = (
            nats_on_valid(settings, tokens, found[int(row["step"])])
            for found in (averages, weights)
        )
        assert row["valid_loss"] == pytest.approx(of_average, abs=5e-6)
        assert abs(row["valid_loss"] - of_weights) > 1e-3
    best = min(rows, key=lambda row: row["valid_loss"])
    exported = load_file(tmp_path / "model" / "weights.safetensors")
    assert_near(doubles(exported), averages[int(best["step"])])


def test_validation_measures_perplexity_and_accuracy_beside_the_loss(
    fitted, settings_of, tokens, tmp_path
):
    import torch
    from safetensors.torch import load_file

    from ostinato.loading.batches import whole_pieces
    from ostinato.models.registry import build
    from ostinato.models.spec import PAD, ArraySpec

    rows, _ = fitted(settings_of(steps=6, validate_every=3), "model")
    best = min(rows, key=lambda row: row["valid_loss"])
    model = build(settings_of().family, settings_of().model, ArraySpec.of(tokens.codec)).eval()
    model.load_state_dict(load_file(tmp_path / "model" / "weights.safetensors"))
    nats, hits, count = torch.zeros((), dtype=torch.float64), 0, 0
    with torch.inference_mode():
        for _, batch in whole_pieces(tokens, "valid"):
            nats += model.score(batch).sum(dtype=torch.float64)
            for piece in batch:
                piece = piece[(piece != PAD).all(dim=1)]
                state = model.start(1, len(piece))
                for row in piece:
                    for column in model.order:
                        hits += int(model.next_logits(state)[0].argmax() == row[column])
                        model.push(state, row[None, column])
                count += piece.numel()
    assert best["valid_loss"] == round(float(nats) / count, 6)  # to the bit
    assert best["valid_perplexity"] == pytest.approx(math.exp(best["valid_loss"]), rel=1e-5)
    assert best["valid_accuracy"] == pytest.approx(hits / count, abs=2 / count)
    assert 0 < best["valid_accuracy"] < 1


def doubles(state):
    return {name: value.double() for name, value in state.items()}


def assert_near(ours, theirs):
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        assert value.numpy() == pytest.approx(theirs[name].numpy(), abs=1e-6), name


def nats_on_valid(settings, tokens, weights):
    """The mean over all sub-tokens, by a model of these weights."""
    import torch

    from ostinato.loading.batches import whole_pieces
    from ostinato.models.registry import build
    from ostinato.models.spec import PAD, ArraySpec

    shape = ArraySpec(width=4, vocabulary=len(tokens.codec["vocabulary"]))
    model = build(settings.family, settings.model, shape).double().eval()
    model.load_state_dict(weights)
    batches = [batch for _, batch in whole_pieces(tokens, "valid")]
    with torch.inference_mode():
        nats = sum(float(model.score(batch).sum()) for batch in batches)
    return nats / sum(int((batch != PAD).sum()) for batch in batches)


def test_since_best_counts_from_the_first_of_the_lowest():
    for losses, expected in (
        ([], 0),
        ([2.0], 0),
        ([2.0, 1.0], 0),
        ([2.0, 1.0, 1.0, 3.0], 2),
        ([1.0, 2.0, 0.5], 0),
    ):
        assert since_best([{"valid_loss": loss} for loss in losses]) == expected


@pytest.fixture
def hopeless(settings_of):
    """A rate far too high: after the first validations nothing gets better."""
    return settings_of(
        optimizer={"lr": 3.0, "warmup": 0}, steps=60, validate_every=2, patience=3, ema_decay=0.0
    )


def test_a_training_ends_when_its_patience_does_with_the_best_weights(fitted, hopeless, tmp_path):
    import json
    from dataclasses import replace

    rows, _ = fitted(hopeless, "short")
    losses = [row["valid_loss"] for row in rows]
    best = int(np.argmin(losses))
    assert len(rows) == best + 1 + 3 < 30
    card = json.loads((tmp_path / "short" / "model.json").read_text())
    assert (card["best_step"], card["best_valid_loss"]) == (rows[best]["step"], losses[best])
    endless = replace(hopeless, training=replace(hopeless.training, patience=0))
    every, _ = fitted(endless, "long")
    assert len(every) == 30
    assert every[: len(rows)] == rows, "until then it is the same training"


@pytest.mark.parametrize("before_the_end", [1, 0], ids=["in the middle", "after the last state"])
def test_a_resumed_run_ends_at_the_same_point(
    fitted, hopeless, tmp_path, monkeypatch, before_the_end
):
    whole, _ = fitted(hopeless, "whole")
    if before_the_end:
        fitted(hopeless, "broken", at=len(whole) - 1)
    else:
        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="no power"):
            patch.setattr("ostinato.training.fit.export", no_power)
            fitted(hopeless, "broken")
    again, steps = fitted(hopeless, "broken")
    assert again == whole
    assert len(steps) == 2 * before_the_end
    assert checksums(tmp_path / "broken") == checksums(tmp_path / "whole")


def no_power(*args):
    raise RuntimeError("no power")


# both trace a model in the same way; the default one's compiler takes half a minute for each
BACKENDS = [("lstm", "aot_eager"), ("gpt", "inductor")]
BACKENDS += [("gpt2", "aot_eager"), ("music_transformer", "aot_eager")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch's compiler: hints for its authors
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile wants a C++ compiler")
@pytest.mark.parametrize(("family", "backend"), BACKENDS)
def test_a_compiled_model_trains_to_the_same_losses(
    fitted, settings_of, monkeypatch, family, backend
):
    from torch import nn

    by = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda model: by(model, backend=backend))
    plain, _ = fitted(settings_of(family, EXACT[family]), "plain")
    compiled, _ = fitted(settings_of(family, EXACT[family], compile=True), "compiled")
    assert_same_curve(plain, compiled, 2e-3)
    assert compiled[-1]["valid_loss"] < compiled[0]["valid_loss"]
