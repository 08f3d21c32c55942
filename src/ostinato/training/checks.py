"""What can be refused before Lightning is imported, which takes several seconds."""

from collections.abc import Mapping
from typing import Any

import torch

from ostinato.loading.tokens import TokenSet
from ostinato.models.registry import build, configured
from ostinato.models.spec import ArraySpec
from ostinato.training.devices import Devices, devices_from
from ostinato.training.muon import layer_matrices
from ostinato.training.settings import Settings


def check(settings: Settings, tokens: TokenSet, trainer_options: Mapping[str, Any]) -> Devices:
    """The devices of a training whose model, data and devices agree; the model is not kept.

    Raises:
        ValueError: settings, data or devices that contradict each other.
    """
    run_on = devices_from(trainer_options)
    if not len(tokens.splits["valid"]):
        raise ValueError(f"encoding {tokens.name} has no piece to validate on")
    configured(settings.family, settings.model)
    try:
        with torch.device("meta"):  # shapes without memory
            model = build(settings.family, settings.model, ArraySpec.of(tokens.codec))
    except ValueError as error:
        family = settings.family
        raise ValueError(
            f"model={family}/{settings.size} does not fit encoding {tokens.name}: {error}; take "
            f"another size of conf/model/{family}/, change these settings, or take another encoding"
        ) from error
    layer_matrices(model, settings.optimizer.muon)
    return run_on
