"""Composing configurations outside a script, and naming what is valid."""

from pathlib import Path

import pytest

from ostinato.config import entry_of, load_config

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
