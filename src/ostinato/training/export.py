"""Writes a model folder: weights as safetensors, `model.json`, the learning curve."""

import csv
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from ostinato.files import atomic_folder, sha256_file, write_json, write_text
from ostinato.loading.tokens import TokenSet
from ostinato.models.registry import paradigm_of
from ostinato.training.finished import FORMAT
from ostinato.training.module import Training

CURVE = ("step", "train_loss", "valid_loss", "learning_rate")  # and what else validation measures


def export(
    out: Path,
    trained: Training,
    tokens: TokenSet,
    weights: Path,
    used: Mapping[str, str],
) -> dict[str, Any]:
    """Write the folder atomically and return what is in `model.json`.

    used: device and precision of the training; noted where they are not the CPU and those of the
    settings.
    """
    settings, history = trained.settings, trained.history
    best = min(history, key=lambda row: row["valid_loss"])
    with atomic_folder(out) as folder:
        shutil.copyfile(weights, folder / "weights.safetensors")
        card = settings.plain() | {
            "format": FORMAT,
            "paradigm": paradigm_of(settings.family),
            "loss_unit": trained.unit,
            "dataset": tokens.dataset,
            "origin": tokens.origin,
            "tokens_digest": tokens.digest,
            "codec": tokens.codec,
            "parameters": sum(value.numel() for value in load_file(weights).values()),
            "weights_sha256": sha256_file(folder / "weights.safetensors"),
            "best_step": best["step"],
            "best_valid_loss": best["valid_loss"],
        }
        if used != {"device": "cpu", "precision": settings.training.precision}:
            card["trained_on"] = dict(used)
        write_json(folder / "model.json", card)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys((*CURVE, *best))), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(folder / "history.csv", text.getvalue())
    return card
