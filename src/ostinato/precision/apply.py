"""A trained model in the precision that a user asks for.

`precision/<paradigm>/<family>.py` has `Steps` for the models of one family, also inside a family
that is made of them.
"""

import importlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from ostinato.precision.choice import FULL, check_precision, refusal
from ostinato.sampling.load import Trained, load_trained

MODELS, OURS = "ostinato.models.", "ostinato.precision."


def load_in(precision: str, folder: Path, device: str = "cpu") -> Trained:
    """A model folder in this precision; raises what `load_trained` and `in_precision` do."""
    check_precision(precision, device)
    return in_precision(load_trained(folder, device=device), precision)


def in_precision(trained: Trained, precision: str) -> Trained:
    """A trained model whose steps read weights of this precision; the given one is changed.

    Steps alone change: whole pieces are scored with the weights of the file. A seed makes other
    pieces then, so the weights have another name, such as `int8-…`.

    Raises:
        ValueError: the family has no such steps; it names those that have.
    """
    check_precision(precision, next(trained.model.parameters()).device.type)
    if precision == FULL:
        return trained
    found = [(part, steps) for part in trained.model.modules() if (steps := _steps_of(part))]
    if not found:
        raise ValueError(refusal(precision, trained.card["family"], trained.card["system"]))
    for part, steps in found:  # instances only: others of the class, and training, keep theirs
        object.__setattr__(part, "trunk_step", steps(part))
        object.__setattr__(part, "recordable", False)  # the decoding loop has nothing to pack
    digest = trained.card["weights_sha256"]
    return replace(trained, card=trained.card | {"weights_sha256": f"{precision}-{digest}"})


def _steps_of(part: nn.Module) -> Any:
    """`Steps` for a model of a family; None for anything else."""
    of = type(part)
    if of.__name__ != "Model" or not of.__module__.startswith(MODELS):
        return None
    name = OURS + of.__module__.removeprefix(MODELS)
    paradigm = name.rpartition(".")[0]
    if not importlib.util.find_spec(paradigm) or not importlib.util.find_spec(name):
        return None
    return importlib.import_module(name).Steps
