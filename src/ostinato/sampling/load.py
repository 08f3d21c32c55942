"""Loads a trained model from its folder alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.execution.files import DamagedFile, read_json, require, sha256_file
from ostinato.models import build
from ostinato.models.parts.autoregressive import Autoregressive, TokenShape
from ostinato.representations.protocol import Representation
from ostinato.representations.protocol import build as build_representation

FORMAT = 1


@dataclass(frozen=True)
class Trained:
    """A model in evaluation mode, how its tokens become music, and its `model.json`."""

    model: Autoregressive
    representation: Representation
    card: dict[str, Any]


def load_trained(folder: Path) -> Trained:
    """Load `model.json` and the weights, after checking the weights' SHA-256.

    Raises:
        MissingInput, DamagedFile: naming the file and the command that makes it.
    """
    from safetensors.torch import load_file

    made_by = f"dvc repro train@{folder.name}"
    card = read_json(folder / "model.json", expect_format=FORMAT, made_by=made_by)
    weights = require(folder / "weights.safetensors", made_by)
    if sha256_file(weights) != card["weights_sha256"]:
        raise DamagedFile(
            f"{weights} is damaged or belongs to another model.json; make it again with: {made_by}"
        )
    codec = card["codec"]
    shape = TokenShape(width=codec["width"], vocabulary=len(codec["vocabulary"]))
    model = build(card["family"], card["model"], shape)
    model.load_state_dict(load_file(weights))
    model.eval()
    representation = build_representation(codec["representation"])
    if list(representation.vocabulary) != codec["vocabulary"]:
        raise DamagedFile(
            f"{folder / 'model.json'}: its vocabulary is not the one that this version of "
            f"{codec['representation']['kind']} makes; train again with: {made_by}"
        )
    return Trained(model, representation, card)
