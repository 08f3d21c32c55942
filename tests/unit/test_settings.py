"""Settings with an old name are refused with the new one, wherever they come from."""

import json
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.sampling.load import load_trained
from ostinato.settings import RENAMED, checked
from ostinato.training.settings import OptimizerSettings, TrainingSettings

MODELS = Path(__file__).resolve().parents[2] / "conf" / "model"
SECTIONS = {"optimizer": OptimizerSettings, "training": TrainingSettings}


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_is_refused_with_the_new_one(old):
    name, _, setting = old.partition(".")
    with pytest.raises(ValueError, match=rf"{old} is now {RENAMED[old].split()[0]}"):
        if name == "model":
            build("lstm", {"width": 8, setting: 1}, ArraySpec(width=1, vocabulary=4))
        else:
            checked(SECTIONS[name], name, {setting: 1})


def test_the_new_names_are_settings_and_the_old_ones_are_not():
    used = {
        f"{name}.{setting}"
        for path in MODELS.rglob("*.yaml")
        for name, settings in OmegaConf.load(path).items()
        for setting in settings
    }
    assert {new.split()[0] for new in RENAMED.values()} <= used
    assert not used & RENAMED.keys()


def test_a_model_trained_with_old_names_is_refused_with_the_new_one(model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "m")
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    card["model"]["head"] = card["model"].pop("voice_hidden")
    (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
    message = r"model\.json: model\.head is now model\.voice_hidden; train again with: dvc repro"
    with pytest.raises(ValueError, match=message):
        load_trained(folder)
