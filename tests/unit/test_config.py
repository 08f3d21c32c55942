"""Composing configurations outside a script, and naming what is valid."""

import re
import sys
from pathlib import Path

import pytest

from ostinato.config import check_fit, entry, entry_of, load_config
from ostinato.files import MissingInput

ROOT = Path(__file__).parents[2]


def test_a_config_is_composed_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config("train", ["model=gpt/small", "optimizer.lr=0.5"], root=ROOT)
    assert config["optimizer"]["lr"] == 0.5
    assert "heads" in config["model"]
    assert config["systems"]["lstm"]["family"] == "lstm"
    plain = load_config("train", root=ROOT)
    assert "heads" not in plain["model"], "one composition leaked into the next"


def test_an_entry_that_is_not_there_is_named_with_those_that_are():
    table = {"b": {"x": 1}, "a": {}}
    assert entry_of(table, "b", "system") == {"x": 1}
    with pytest.raises(ValueError, match=r"unknown system 'c'; params\.yaml has: a, b"):
        entry_of(table, "c", "system")
    with pytest.raises(ValueError, match="has: none"):
        entry_of({}, "c", "system")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("normalize@jsb", "jsb among the datasets of params.yaml (bach): add it, or run: python"),
        ("--force --single-item download@jsb", "pipelines/download.py dataset=jsb"),
        (
            "train@new",
            "among the systems of params.yaml (a, b): add it, or give a model folder that",
        ),
        ("sample@new", "new among the systems of params.yaml (a, b): add it\n"),
        ("feedback@new", "new among the studies of params.yaml (): add it\n"),
        ("reference@new", "new among the encodings of params.yaml (): add it\n"),
        ("train@a", None),
        ("compare", None),
    ],
)
def test_a_stage_that_does_not_exist_is_not_advised_alone(
    tmp_path, monkeypatch, capsys, command, words
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["compare"])
    Path("params.yaml").write_text("datasets: [bach]\nsystems: {a: {}, b: {}}\nencodings:\n")

    def fails(config):
        raise MissingInput(f"x is missing; make it with: dvc repro {command}")

    fails.__code__ = fails.__code__.replace(co_filename=str(ROOT / "pipelines" / "compare.py"))
    with pytest.raises(SystemExit):
        entry("compare")(fails)()
    said = capsys.readouterr().err
    assert said.startswith("error: x is missing; make it with: dvc repro ")
    assert (words or "\n") in said
    assert ("that stage needs" in said) == (words is not None)


def test_a_setting_cannot_be_taken_away(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["generate", "~bars"])

    def made(config):
        raise AssertionError(config)

    made.__code__ = made.__code__.replace(co_filename=str(ROOT / "pipelines" / "generate.py"))
    with pytest.raises(SystemExit):
        entry("generate")(made)()
    assert capsys.readouterr().err.startswith("error: ~bars would leave out a setting")


@pytest.mark.parametrize(
    "act",
    [
        lambda path: path.mkdir(),
        lambda path: (path / "in").mkdir(),
        lambda path: (path.parent / "x").symlink_to(path) or path.parent.unlink(),
    ],
    ids=["a file where a folder is wanted", "a folder in a file", "a folder as a file"],
)
def test_paths_that_cannot_be_used_are_named_without_a_traceback(
    act, tmp_path, monkeypatch, capsys
):
    taken = tmp_path / "taken"
    taken.write_text("words")

    def main(_config):
        act(taken)

    monkeypatch.setattr(sys, "argv", ["generate"])
    monkeypatch.chdir(ROOT)
    main.__code__ = main.__code__.replace(co_filename=str(ROOT / "pipelines/generate.py"))
    with pytest.raises(SystemExit):
        entry("generate")(main)()
    assert re.match(r"error: /\S* cannot be used \(.+\); give another", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"order": [0, 1, 2]}, r"order=\[0, 1, 2\] names 3 sub-tokens, the representation has 4"),
        ({"voice_hidden": 0}, "voice_hidden=0 predicts one sub-token only, .* has 4"),
        ({"conditions": ["mood"]}, "model.conditions names mood; this encoding has "),
    ],
)
def test_a_model_that_does_not_fit_a_built_encoding_is_refused_at_the_door(
    tokens_folder, tmp_path, monkeypatch, settings, words
):
    monkeypatch.chdir(tmp_path)
    config = {
        "training": {},
        "trainer": {"accelerator": "cpu"},
        "choices": {"model": "gpt/small"},
        "encoding": "other",
        "model": settings,
    }
    check_fit(config)  # it is not built: the script names the command that builds it
    Path("data/tokens").mkdir(parents=True)
    Path("data/tokens/built").symlink_to(tokens_folder)
    with pytest.raises(ValueError, match=f"model=gpt/small .* encoding built: {words}.*; take "):
        check_fit(config | {"encoding": "built"})
    check_fit(config | {"encoding": "built", "model": {"order": [3, 2, 1, 0]}})
