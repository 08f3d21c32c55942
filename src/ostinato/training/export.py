"""Writes a model folder: weights as safetensors, `model.json`, the learning curve."""

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from ostinato.files import atomic_folder, sha256_file, write_json, write_text
from ostinato.loading.tokens import TokenSet
from ostinato.training.settings import Settings

FORMAT = 1
CURVE = ("step", "train_nats", "valid_nats", "learning_rate")


def export(
    out: Path,
    settings: Settings,
    tokens: TokenSet,
    weights: Path,
    history: Sequence[dict[str, float]],
    used: Mapping[str, str],
) -> dict[str, Any]:
    """Write the folder atomically and return what is in `model.json`.

    used: device and precision of the training; noted where they are not the CPU and what the
    settings say.
    """
    best = min(history, key=lambda row: row["valid_nats"])
    with atomic_folder(out) as folder:
        shutil.copyfile(weights, folder / "weights.safetensors")
        card = settings.plain() | {
            "format": FORMAT,
            "dataset": tokens.dataset,
            "origin": tokens.origin,
            "tokens_digest": tokens.digest,
            "codec": tokens.codec,
            "parameters": sum(value.numel() for value in load_file(weights).values()),
            "weights_sha256": sha256_file(folder / "weights.safetensors"),
            "best_step": best["step"],
            "best_valid_nats": best["valid_nats"],
        }
        if used != {"device": "cpu", "precision": settings.training.precision}:
            card["trained_on"] = dict(used)
        write_json(folder / "model.json", card)
        text = io.StringIO()
        writer = csv.DictWriter(text, CURVE, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(folder / "history.csv", text.getvalue())
    return card
