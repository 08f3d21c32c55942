"""Training learns, gives the same weights again, resumes to the bit, refuses what is damaged."""

import csv
import json
from contextlib import contextmanager

import numpy as np
import pytest

from ostinato.files import DamagedFile, checksums, sha256_file
from ostinato.settings import checked
from ostinato.training.identity import fingerprint, identity
from ostinato.training.module import rate_at
from ostinato.training.settings import OptimizerSettings, TrainingSettings

families = pytest.mark.parametrize("family", ["lstm", "gpt", "gpt2", "music_transformer"])


class Stopping:
    """A record that raises when it is given its `at`-th row."""

    def __init__(self, error, at):
        self.error, self.left, self.rows = error, at, []

    def log(self, metrics, step):
        self.left -= 1
        self.rows.append((step, dict(metrics)))
        if not self.left:
            raise self.error

    def flush(self):
        pass

    def finish_weights(self, sha256):
        self.sha256 = sha256

    @contextmanager
    def track(self, mark):
        self.mark = mark
        yield self


def test_the_rate_climbs_in_a_line_and_falls_in_a_cosine():
    rates = [rate_at(step, 100, 10, 0.1) for step in range(101)]
    assert rates[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)
    assert (np.diff(rates[10:]) < 0).all()
    assert rate_at(500, 100, 10, 0.1) == pytest.approx(0.1)
    assert rate_at(0, 100, 0, 0.0) == 1.0
    assert rate_at(5, 5, 5, 0.0) == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 25, "validate_every": 10}, ["training.steps=25", "training.validate_every=10"]),
        ({"steps": 0}, ["training.steps=0"]),
        ({"validate_every": 0}, ["validate_every=0"]),
        ({"ema_decay": 1.0}, ["training.ema_decay=1.0", "[0, 1)"]),
        ({"precision": "16"}, ["'16'", "32-true", "bf16-mixed"]),
        ({"threads": 0}, ["threads=0"]),
        ({"patience": -1}, ["training.patience=-1"]),
    ],
)
def test_contradictions_in_a_training_are_named(settings_of, change, words):
    with pytest.raises(ValueError) as refused:
        settings_of(**change)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lr": 0.0}, ["optimizer.lr=0.0"]),
        ({"warmup": -1}, ["warmup=-1"]),
        ({"clip": -1.0}, ["clip=-1.0"]),
        ({"muon_lr": 0.0}, ["muon_lr=0.0"]),
    ],
)
def test_contradictions_in_an_optimizer_are_named(change, words):
    with pytest.raises(ValueError) as refused:
        OptimizerSettings(**({"lr": 0.1} | change))
    assert all(word in str(refused.value) for word in words), refused.value


def test_unknown_and_missing_settings_are_named_with_the_valid_ones():
    with pytest.raises(ValueError, match=r"optimizer has no setting rate; .* lr, weight_decay"):
        checked(OptimizerSettings, "optimizer", {"rate": 0.1})
    with pytest.raises(ValueError, match=r"training lacks batch; its settings"):
        checked(TrainingSettings, "training", {"steps": 1, "crop": 2, "validate_every": 1})
    for change, words in (
        ({"lr": "1e-3"}, r"optimizer\.lr='1e-3' must be a number"),
        ({"lr": 1, "warmup": 2.5}, r"optimizer\.warmup=2\.5 must be a whole number"),
        ({"lr": 1, "warmup": True}, r"optimizer\.warmup=True must be a whole number"),
        ({"lr": 1, "betas": [0.9]}, r"optimizer\.betas=\[0\.9\] must be a list of 2 values"),
        (
            {"lr": 1, "betas": [0.9, None]},
            r"betas=\[0\.9, None\] must be a list of 2 values, each a number",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            checked(OptimizerSettings, "optimizer", change)
    chosen = checked(OptimizerSettings, "optimizer", {"lr": 0.1, "betas": [0.8, 0.9]})
    assert chosen.betas == (0.8, 0.9)


@families
def test_a_training_learns_and_two_give_the_same_weights(
    tokens, settings_of, train, tmp_path, family
):
    settings = settings_of(family, steps=40)
    cards = [train(settings, tmp_path / name, tmp_path / "resume") for name in ("a", "b")]
    assert cards[0] == cards[1]
    assert checksums(tmp_path / "a") == checksums(tmp_path / "b")
    assert sorted(checksums(tmp_path / "a")) == ["history.csv", "model.json", "weights.safetensors"]
    with (tmp_path / "a" / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    assert [row["step"] for row in history] == ["10", "20", "30", "40"]
    nats = [float(row["valid_loss"]) for row in history]
    assert nats[-1] < nats[0]
    assert cards[0]["best_valid_loss"] == min(nats)
    assert cards[0]["best_valid_loss"] < np.log(len(tokens.codec["vocabulary"])) - 0.5
    assert json.loads((tmp_path / "a" / "model.json").read_text())["weights_sha256"] == sha256_file(
        tmp_path / "a" / "weights.safetensors"
    )
    assert list((tmp_path / "resume").iterdir()) == [], "the state outlived the export"


def test_another_seed_gives_other_weights(settings_of, train, model_folder, tmp_path):
    from dataclasses import replace

    known = json.loads((model_folder / "model.json").read_text())["weights_sha256"]
    other = train(replace(settings_of(), seed=2), tmp_path / "a", tmp_path / "resume")
    assert other["weights_sha256"] != known


@families
def test_a_training_that_broke_twice_goes_on_to_the_very_same_model(
    settings_of, train, tmp_path, family
):
    settings = settings_of(family, steps=40)
    train(settings, tmp_path / "whole", tmp_path / "elsewhere")
    for at in (3, 1):
        with pytest.raises(RuntimeError, match="no power"):
            train(
                settings,
                tmp_path / "model",
                tmp_path / "resume",
                Stopping(RuntimeError("no power"), at).track,
            )
        assert not (tmp_path / "model").exists()
    record = Stopping(None, -1)
    train(settings, tmp_path / "model", tmp_path / "resume", record.track)
    assert record.rows[0][0] == 30, "began anew"
    assert checksums(tmp_path / "model") == checksums(tmp_path / "whole")
    assert record.sha256 == sha256_file(tmp_path / "model" / "weights.safetensors")


def test_every_step_has_its_own_batch_and_its_own_dropout_also_after_a_break(
    settings_of, train, tmp_path, monkeypatch
):
    import torch

    from ostinato.loading.batches import Crops
    from ostinato.training.module import Training

    steps, seeds = [], []
    batch, training_step = Crops.__getitem__, Training.training_step

    def asked(self, step):
        steps.append(step)
        return batch(self, step)

    def seeded(self, *arguments):
        seeds.append(torch.initial_seed())
        return training_step(self, *arguments)

    monkeypatch.setattr(Crops, "__getitem__", asked)
    monkeypatch.setattr(Training, "training_step", seeded)
    settings = settings_of(steps=30)
    with pytest.raises(RuntimeError):
        train(settings, tmp_path / "m", tmp_path / "r", Stopping(RuntimeError(), 2).track)
    train(settings, tmp_path / "m", tmp_path / "r")
    assert steps == [*range(20), *range(10, 30)], "the second stretch was not saved: it comes again"
    assert seeds[10:20] == seeds[20:30]
    assert len(set(seeds)) == 30


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        *((pattern, damage) for pattern in ("state-*", "best-*") for damage in ("flip", "remove")),
        ("best-*", "cut"),
        ("resume.json", "cut"),
        ("resume.json", "format"),
    ],
)
def test_a_damaged_state_is_refused_by_name_and_touches_nothing(
    settings_of, train, tmp_path, flip_byte, pattern, damage
):
    settings, resume = settings_of(), tmp_path / "resume"
    with pytest.raises(RuntimeError):
        train(settings, tmp_path / "model", resume, Stopping(RuntimeError(), 2).track)
    (path,) = resume.glob(f"*/{pattern}")
    if damage == "flip":
        flip_byte(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "format":
        path.write_text(path.read_text().replace('"format": 2', '"format": 3'))
    else:
        path.unlink()
    left = {p.name for p in path.parent.iterdir()}
    with pytest.raises(DamagedFile, match=rf"{path.name} .*rm -r .*{path.parent.name}"):
        train(settings, tmp_path / "model", resume)
    assert {p.name for p in path.parent.iterdir()} == left
    assert not (tmp_path / "model").exists()


def test_leftovers_of_a_kill_before_the_first_state_do_not_matter(
    settings_of, train, tmp_path, tokens, model_folder
):
    settings = settings_of()
    mark = fingerprint(identity(settings, tokens, device="cpu", precision="32-true", world=1))
    folder = tmp_path / "resume" / mark[:16]
    folder.mkdir(parents=True)
    (folder / "state-10.ckpt").write_bytes(b"half")
    train(settings, tmp_path / "model", tmp_path / "resume")
    assert checksums(tmp_path / "model") == checksums(model_folder)


def test_ctrl_c_leaves_no_model_but_the_state_to_go_on_from(settings_of, train, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(
            settings_of(),
            tmp_path / "model",
            tmp_path / "resume",
            Stopping(KeyboardInterrupt(), 2).track,
        )
    assert [p.name for p in tmp_path.iterdir()] == ["resume"]
    assert len(list((tmp_path / "resume").glob("*/resume.json"))) == 1


def test_an_encoding_without_pieces_to_validate_on_is_refused(settings_of, tokens, tmp_path):
    from ostinato.training.fit import fit

    part = tokens.splits["valid"]
    empty = type(part)(**{k: v if k == "tokens" else v[:0] for k, v in vars(part).items()})
    bare = type(tokens)(**{**vars(tokens), "splits": tokens.splits | {"valid": empty}})
    with pytest.raises(ValueError, match="bach-grid has no piece to validate on"):
        fit(
            settings_of(),
            bare,
            tmp_path / "a",
            trainer_options={"accelerator": "cpu", "devices": 1},
            resume_root=tmp_path,
        )
    assert list(tmp_path.iterdir()) == []


def test_the_model_remembers_where_its_music_is_from(model_folder, tokens):
    card = json.loads((model_folder / "model.json").read_text())
    assert card["tokens_digest"] == tokens.digest
    assert card["codec"] == tokens.codec
    assert card["origin"] == tokens.origin
    assert (card["family"], card["size"], card["seed"]) == ("lstm", "tiny", 1)
    assert card["training"]["steps"] == 20
