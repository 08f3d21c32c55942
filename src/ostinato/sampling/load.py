"""Loads a trained system from its model folder alone."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.files import DamagedFile, model_made_by, read_json, require, sha256_file
from ostinato.loading.tokens import TokenSet
from ostinato.models.registry import build, families, settings_for
from ostinato.models.spec import ArraySpec
from ostinato.representations.protocol import Representation
from ostinato.representations.registry import build as build_representation
from ostinato.settings import refuse_renamed

FORMAT = 1


@dataclass(frozen=True)
class Trained:
    """A model in evaluation mode, the representation of its encoding, and its `model.json`.

    Its sampler and its scorer are found by its paradigm (sampling/registry.py and
    evaluation/registry.py), each where it is needed: so sampling does not depend on scorers.
    """

    model: nn.Module
    representation: Representation
    card: dict[str, Any]


def check_trained_on(trained: Trained, tokens: TokenSet) -> None:
    """Raise ValueError where a model was trained on other tokens than an encoding holds now."""
    card = trained.card
    if card["tokens_digest"] != tokens.digest:
        raise ValueError(
            f"models/{card['system']} was trained on other tokens ({card['tokens_digest'][:12]}…) "
            f"than encoding {tokens.name} holds ({tokens.digest[:12]}…); "
            f"train it again with: dvc repro train@{card['system']}"
        )


def check_device(device: str) -> None:
    """Raise ValueError where a model cannot sample on this device."""
    if device not in ("cpu", "cuda"):
        raise ValueError(
            f"device={device} must be cpu or cuda; CUDA_VISIBLE_DEVICES chooses among several GPUs"
        )
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda needs a GPU, and torch sees none here: take device=cpu")


def load_trained(folder: Path, *, family: str | None = None, device: str = "cpu") -> Trained:
    """Load `model.json` and the weights, after checking the weights' SHA-256.

    family: the family that the caller expects, if any.

    Raises:
        MissingInput, DamagedFile: naming the file and the command that makes it.
        ValueError: the model is of another family, or there is no such device.
    """
    check_device(device)
    from safetensors.torch import load_file

    made_by = model_made_by(folder)
    card = read_json(folder / "model.json", expect_format=FORMAT, made_by=made_by)
    weights = require(folder / "weights.safetensors", made_by)
    if family not in (None, card["family"]):
        raise ValueError(
            f"{folder} holds a model of family {card['family']!r}, wanted is {family!r}; "
            f"name another folder, or train that one with: {made_by}"
        )
    if (digest := sha256_file(weights)) != card["weights_sha256"]:
        raise DamagedFile(
            f"{weights} is damaged or belongs to another model.json: its SHA-256 is "
            f"{digest[:12]}…, model.json names {card['weights_sha256'][:12]}…; "
            f"make it again with: {made_by}"
        )
    codec = card["codec"]
    try:
        spec = ArraySpec.of(codec)
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedFile(
            f"{folder / 'model.json'}: its codec is not one of ours ({error}); train again with: "
            f"{made_by}"
        ) from error
    try:
        refuse_renamed("model", card["model"])
    except ValueError as error:
        raise ValueError(
            f"{folder / 'model.json'}: {error}; train again with: {made_by}"
        ) from error
    model = _built(card, spec, load_file(weights), folder)
    representation = build_representation(codec["representation"])
    if list(representation.vocabulary) != codec["vocabulary"]:
        raise DamagedFile(
            f"{folder / 'model.json'}: its vocabulary is not the one that this version of "
            f"{codec['representation']['kind']} makes; train again with: {made_by}"
        )
    torch.backends.cudnn.allow_tf32 = False  # otherwise an LSTM's products on a GPU have ten bits
    return Trained(model.to(device), representation, card)


def _built(
    card: Mapping[str, Any], spec: ArraySpec, weights: Mapping[str, Tensor], folder: Path
) -> nn.Module:
    """The model of `model.json` with its weights, in evaluation mode.

    Raises:
        DamagedFile: they are not of one model; it names the family of each.
    """
    try:
        model = build(card["family"], card["model"], spec)
        wrong = _first_difference(model.state_dict(), weights)
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise DamagedFile(
            f"{folder / 'model.json'} is of family {card['family']!r} and weights.safetensors of "
            f"family {_likely_family(weights, card, spec)!r}, but they are not of one model: "
            f"{wrong}; put the two of one training together, or make both with: "
            f"{model_made_by(folder)}"
        )
    model.load_state_dict(weights)
    return model.eval()


def _first_difference(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """The first weight, by name, that only one of two has, or whose shapes differ."""
    for name in sorted(wanted.keys() | found.keys()):
        ours, theirs = (
            f"has shape {tuple(weights[name].shape)}" if name in weights else "is not there"
            for weights in (wanted, found)
        )
        if ours != theirs:
            return f"{name} {ours} by model.json, and {theirs} in weights.safetensors"
    return ""


def _likely_family(weights: Mapping[str, Tensor], card: Mapping[str, Any], spec: ArraySpec) -> str:
    """The family whose weights have the most names in common with these."""
    found, likeness = _plain_names(weights), {}
    for family in families():
        try:
            with torch.device("meta"):
                model = build(family, settings_for(family, card["model"]), spec)
        except (ValueError, TypeError):
            continue  # this family cannot have these settings on these arrays
        names = _plain_names(model.state_dict())
        likeness[family] = len(names & found) / len(names | found)
    return max(likeness, key=lambda family: likeness[family], default="unknown")


def _plain_names(names: Iterable[str]) -> set[str]:
    """Without the numbers of layers, which depend on the size."""
    return {re.sub(r"\d+", "#", name) for name in names}
