"""A finished model folder is known again, and no other model replaces it by accident."""

import shutil
from dataclasses import replace

import pytest

from ostinato.files import DamagedFile, checksums
from ostinato.training.finished import finished


@pytest.fixture
def folder(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "lstm")


def test_the_same_settings_and_data_find_their_model(folder, settings_of, tokens):
    card = finished(folder, settings_of(), tokens)
    assert card["best_step"] > 0
    assert finished(folder, settings_of(), tokens, overwrite=True) is None
    assert finished(folder.parent / "new", settings_of(), tokens) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 30}, ["training.steps: 20 in ", "30 now"]),
        ({"optimizer": {"lr": 0.02}}, ["optimizer.lr: 0.01 in ", "0.02 now"]),
        ({"model": {"periods": [16, 12]}}, ["model.periods: [16] in ", "[16, 12] now"]),
        ({"family": "gpt"}, ["family: lstm in ", "model.heads: nothing in "]),
    ],
)
def test_other_settings_are_refused_with_both_values_and_the_remedies(
    folder, settings_of, tokens, change, words
):
    before = checksums(folder)
    with pytest.raises(ValueError, match="holds a finished model that differs") as refused:
        finished(folder, settings_of(**change), tokens)
    message = str(refused.value)
    assert all(word in message for word in (*words, "out=…", "overwrite=true")), message
    assert message.count(" now") == len(words) - 1 or "family" in change
    assert checksums(folder) == before


def test_other_data_are_refused(folder, settings_of, tokens):
    with pytest.raises(ValueError, match=r"tokens_digest: \w{8}… in .*lstm, ffffffff… now"):
        finished(folder, settings_of(), replace(tokens, digest="f" * 64))


def test_a_damaged_model_is_not_finished(folder, settings_of, tokens, flip_byte):
    flip_byte(folder / "weights.safetensors")
    with pytest.raises(DamagedFile, match=r"weights\.safetensors has changed.*overwrite=true"):
        finished(folder, settings_of(), tokens)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="overwrite=true"):
        finished(folder, settings_of(), tokens)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_other_things_is_never_replaced(settings_of, tokens, tmp_path, overwrite):
    """out=models would otherwise take the place of all models."""
    (tmp_path / "models" / "lstm").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name in ("models", "file"):
        with pytest.raises(ValueError, match=f"out=.*{name} exists and is no model folder"):
            finished(tmp_path / name, settings_of(), tokens, overwrite=overwrite)
    assert finished(tmp_path / "empty", settings_of(), tokens, overwrite=overwrite) is None
