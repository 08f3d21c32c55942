"""What cannot be run is refused with both values and the remedy: devices, states, checkpoints."""

import json
import os
import shutil
from dataclasses import replace

import pytest
import torch

from ostinato.files import DamagedFile, sha256_file
from ostinato.sampling.load import load_trained
from ostinato.training import devices
from ostinato.training.checks import check
from ostinato.training.devices import (
    Devices,
    devices_from,
    has_bf16,
    precision_note,
    precision_on,
)
from ostinato.training.fit import make_trainer
from ostinato.training.identity import differences, fingerprint, identity

CPU = {"accelerator": "cpu", "devices": 1}
CORES = os.cpu_count() or 1


@pytest.fixture
def gpus(monkeypatch):
    """A machine with that many GPUs."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    return pretend


@pytest.mark.parametrize(
    ("there", "options", "words"),
    [
        (0, {"accelerator": "gpu"}, r"devices=1 needs 1 GPUs, this machine has 0; choose .*=cpu"),
        (0, {"accelerator": "gpu", "devices": -1}, r"devices=-1 needs 1 GPUs, this machine has 0"),
        (2, {"accelerator": "gpu", "devices": 4}, r"=4 needs 4 GPUs, this machine has 2; .* 2, or"),
        (2, {"accelerator": "gpu", "devices": [0, 2]}, r"\(0, 2\) needs 3 GPUs, .* has 2"),
        (1, {"accelerator": "auto", "devices": 2}, r"needs 2 GPUs, this machine has 1"),
        (
            0,
            {"accelerator": "cpu", "devices": CORES + 1},
            rf"needs {CORES + 1} CPU cores, this machine has {CORES}; .* at most {CORES}",
        ),
    ],
)
def test_more_devices_than_there_are_are_refused(gpus, there, options, words):
    gpus(there)
    with pytest.raises(ValueError, match=words):
        devices_from(options)


def test_devices_that_are_there_are_counted(gpus):
    gpus(2)
    assert devices_from({"accelerator": "gpu", "devices": -1}).count() == 2
    assert devices_from({"accelerator": "gpu", "devices": [1]}).for_trainer()["devices"] == [1]
    assert devices_from({"accelerator": "auto"}).count() == 1
    assert devices_from({"accelerator": "cpu", "devices": "auto"}).count() == 1


def test_a_training_on_devices_that_are_not_there_touches_nothing(
    gpus, settings_of, tokens, tmp_path
):
    from ostinato.training.fit import fit

    gpus(0)
    with pytest.raises(ValueError, match="this machine has 0"):
        fit(
            settings_of(),
            tokens,
            tmp_path / "m",
            trainer_options={"accelerator": "gpu"},
            resume_root=tmp_path / "r",
        )
    assert list(tmp_path.iterdir()) == []


def test_unknown_and_senseless_ways_to_run_are_refused():
    with pytest.raises(ValueError, match=r"trainer has no setting max_steps; .*micro_batch"):
        devices_from({"max_steps": 3})
    for change in ({"micro_batch": 0}, {"num_nodes": 0}):
        with pytest.raises(ValueError, match=rf"{next(iter(change))}=0 .*must be at least 1"):
            Devices(**change)


@pytest.mark.parametrize(
    ("world", "micro", "parts"), [(1, None, 1), (1, 4, 3), (2, 3, 2), (4, 3, 1)]
)
def test_parts_follow_from_the_global_batch(world, micro, parts):
    assert Devices(micro_batch=micro).parts(12, world) == parts


@pytest.mark.parametrize(
    ("world", "micro", "words"),
    [
        (1, 5, r"batch=12 .* 1 devices .*micro_batch=5; choose trainer\.micro_batch=1 or 2 or 3"),
        (2, 12, r"batch=12 .* 2 devices .*micro_batch=12; choose trainer\.micro_batch=.* or 6$"),
        (5, 1, r"batch=12 .* 5 devices .*micro_batch=1; choose .* a multiple of 5"),
    ],
)
def test_parts_that_do_not_fill_a_batch_are_refused(world, micro, words):
    with pytest.raises(ValueError, match=words):
        Devices(micro_batch=micro).parts(12, world)


@pytest.mark.parametrize(
    ("flags", "known"), [("fma avx512f", False), ("avx512_bf16 fma", True), ("bf16 sve", True)]
)
def test_bf16_is_used_where_the_hardware_has_it_and_noted_where_not(
    settings_of, monkeypatch, tmp_path, flags, known
):
    (tmp_path / "cpuinfo").write_text(f"flags\t: {flags}\n")
    monkeypatch.setattr(devices, "CPUINFO", tmp_path / "cpuinfo")
    assert has_bf16("cpu") is known
    assert precision_note("32-true", "cpu") == ""
    note = precision_note("bf16-mixed", "cpu")
    assert bool(note) is not known
    assert known or ("bf16-mixed" in note and "trains in full precision" in note)
    assert precision_on("bf16-mixed", "cpu") == ("bf16-mixed" if known else "32-true")
    assert precision_on("bf16-true", "cpu") == "bf16-true"
    assert known or "emulates it" in precision_note("bf16-true", "cpu")
    assert make_trainer(settings_of(precision="bf16-mixed"), Devices()).precision == (
        "bf16-mixed" if known else "32-true"
    )


@pytest.mark.parametrize(
    ("accelerator", "gpus", "mps", "kind"),
    [
        ("cpu", 1, False, "cpu"),
        ("auto", 0, False, "cpu"),
        ("auto", 2, False, "cuda"),
        ("gpu", 2, False, "cuda"),
        ("auto", 0, True, "mps"),
        ("cuda", 1, False, "cuda"),
    ],
)
def test_the_kind_of_device_is_what_lightning_takes(monkeypatch, accelerator, gpus, mps, kind):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert Devices(accelerator=accelerator).kind() == kind


def test_the_note_is_said_when_a_training_starts(settings_of, train, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ostinato.training.devices.has_bf16", lambda device: False)
    settings = settings_of(steps=2, validate_every=2, precision="bf16-mixed")
    train(settings, tmp_path / "m", tmp_path / "r")
    assert "this CPU has no bf16 arithmetic" in capsys.readouterr().err
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    assert card["trained_on"] == {"device": "cpu", "precision": "32-true"}
    plain = train(settings_of(steps=2, validate_every=2), tmp_path / "n", tmp_path / "r")
    assert "trained_on" not in json.loads((tmp_path / "n" / "model.json").read_text()), plain


def test_a_state_belongs_to_its_settings_data_and_way_to_run(settings_of, tokens):
    base = {"device": "cpu", "precision": "32-true", "world": 1}
    other_data = type(tokens)(**{**vars(tokens), "digest": "x"})
    known = [
        identity(settings_of(), tokens, **base),
        identity(settings_of(steps=30), tokens, **base),
        identity(settings_of(optimizer={"lr": 0.02}), tokens, **base),
        identity(settings_of("gpt"), tokens, **base),
        identity(settings_of(), other_data, **base),
        identity(settings_of(), tokens, **base | {"device": "cuda"}),
        identity(settings_of(), tokens, **base | {"world": 2}),
        identity(settings_of(), tokens, **base | {"precision": "bf16-mixed"}),
        identity(settings_of(), tokens, **base, parts=2),
        identity(settings_of(), tokens, **base, sharded=True),
    ]
    assert len({fingerprint(what) for what in known}) == len(known)
    assert fingerprint(identity(settings_of(), tokens, **base)) == fingerprint(known[0])
    assert differences(known[0], json.loads(json.dumps(known[0]))) == []
    assert all(differences(known[0], other) for other in known[1:])


class NoPower:
    def track(self, mark):
        raise AssertionError("the training was begun")


@pytest.fixture
def interrupted(settings_of, train, tmp_path, monkeypatch):
    """The state of a training that broke before its export."""

    def no_power(*args):
        raise RuntimeError("no power")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="no power"):
        patch.setattr("ostinato.training.fit.export", no_power)
        train(settings_of(), tmp_path / "models" / "lstm", tmp_path / "resume")
    (state,) = (tmp_path / "resume").iterdir()
    return state


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 30}, ["training.steps: 20 in the state, 30 now"]),
        (
            {"transpose": (0, 2), "batch": 2, "optimizer": {"lr": 0.02}},
            [
                "training.transpose: [-3, 3] in the state, [0, 2] now",
                "training.batch: 4 in the state, 2 now",
                "optimizer.lr: 0.01 in the state, 0.02 now",
            ],
        ),
        ({"model": {"periods": [16, 12]}}, ["model.periods: [16] in the state, [16, 12] now"]),
        ({"family": "gpt"}, ["family: lstm in the state, gpt now", "model.heads: nothing in"]),
    ],
)
def test_a_resumed_run_with_a_changed_config_is_refused_with_both_values(
    interrupted, settings_of, train, tmp_path, change, words
):
    model, resume = tmp_path / "models" / "lstm", tmp_path / "resume"
    left = sorted(path.name for path in interrupted.iterdir())
    with pytest.raises(ValueError) as refused:
        train(settings_of(**change), model, resume, NoPower().track)
    message = str(refused.value)
    assert all(word in message for word in words), message
    assert message.count(" in the state, ") == len(words) or "family" in change
    assert "lstm has an unfinished training, saved at step 20" in message
    assert message.endswith(f"rm -r {interrupted}")
    assert sorted(path.name for path in interrupted.iterdir()) == left
    assert not model.exists()
    shutil.rmtree(interrupted)  # the remedy
    train(settings_of(**change), model, resume)
    assert model.exists()


def test_changed_code_and_torch_are_named(interrupted, settings_of, train, tmp_path, monkeypatch):
    from ostinato.training import fit

    def elsewhere(*args, **options):
        what = identity(*args, **options)
        code = what["code"] | {"training/fit.py": "f" * 64}
        return what | {"torch": "2.0.0", "code": code}

    monkeypatch.setattr(fit, "identity", elsewhere)
    with pytest.raises(ValueError) as refused:
        train(settings_of(), tmp_path / "models" / "lstm", tmp_path / "resume")
    message = str(refused.value)
    assert f"torch: {torch.__version__} in the state, 2.0.0 now" in message
    assert "code.training/fit.py: " in message
    assert "ffffffff… now" in message
    assert message.count(" in the state, ") == 2


def test_trainings_of_other_folders_do_not_matter(interrupted, settings_of, train, tmp_path):
    """A sweep trains one system with many settings, each into a folder of its own."""
    train(settings_of(steps=10), tmp_path / "other" / "lstm", tmp_path / "resume")
    (tmp_path / "resume" / "older").mkdir()
    (tmp_path / "resume" / "older" / "resume.json").write_text('{"format": 1}')
    train(settings_of(steps=10), tmp_path / "another", tmp_path / "resume")
    assert interrupted.exists()
    train(settings_of(), tmp_path / "models" / "lstm", tmp_path / "resume")
    assert not interrupted.exists(), "the same settings go on"


def with_card(model_folder, folder, **change):
    shutil.copytree(model_folder, folder)
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(card | change))
    return card


def test_a_model_of_another_family_than_wanted_is_refused(model_folder):
    assert load_trained(model_folder, family="lstm").card["family"] == "lstm"
    with pytest.raises(ValueError, match=r"family 'lstm', wanted is 'gpt'; .* repro train@lstm"):
        load_trained(model_folder, family="gpt")


def test_a_card_of_another_family_than_its_weights_is_refused(model_folder, settings_of, tmp_path):
    foreign = {"family": "gpt", "model": dict(settings_of("gpt").model)}
    with_card(model_folder, tmp_path / "a", **foreign)
    with pytest.raises(DamagedFile, match=r"of family 'gpt' and weights.* of family 'lstm'.*: \w+"):
        load_trained(tmp_path / "a")
    with_card(model_folder, tmp_path / "b", family="gpt")
    with pytest.raises(DamagedFile, match=r"'gpt' and .*'lstm'.* is not there in .*train@b"):
        load_trained(tmp_path / "b")


def test_weights_of_another_shape_than_the_card_s_are_refused_with_both(
    model_folder, settings_of, tmp_path
):
    wider = dict(settings_of("lstm", {"voice_hidden": 12}).model)
    with_card(model_folder, tmp_path / "a", model=wider)
    with pytest.raises(DamagedFile, match=r"shape \(192, 48\) by model\.json, .*shape \(192, 32\)"):
        load_trained(tmp_path / "a")


def test_weights_of_another_training_are_refused_with_both_hashes(model_folder, tmp_path):
    with_card(model_folder, tmp_path / "a", weights_sha256="0" * 64)
    digest = sha256_file(model_folder / "weights.safetensors")[:12]
    with pytest.raises(DamagedFile, match=rf"is {digest}…, model\.json names 000000000000…"):
        load_trained(tmp_path / "a")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"order": [0, 1]}, r"^model=lstm/tiny does not fit encoding bach-grid: .*; take another "),
        ({"layers": 0}, r"^layers=0"),
        ({"depth": 3}, "model has no setting depth"),
    ],
)
def test_what_contradicts_the_encoding_is_told_from_what_contradicts_itself(
    settings_of, tokens, settings, words
):
    given = settings_of()
    given = replace(given, size="tiny", model={**given.model, **settings})
    with pytest.raises(ValueError, match=words):
        check(given, tokens, CPU)
