"""Restores runs from the pipeline's files, for example in a fresh clone after `dvc pull`.

A stage that DVC takes from its cache does not run, so its MLflow run is missing too; `system_run`
restores it. Repeating any of this changes nothing.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.tracking.handle import RunHandle
from ostinato.tracking.runs import RestoredRun, log_metrics, run_for_weights

TAGS = ("family", "size", "seed", "encoding")
NOT_PARAMS = ("codec", "format", "weights_sha256")
CURVE = {  # columns of history.csv, and what the run calls them
    "train_loss": "train/loss",
    "valid_loss": "valid/loss",
    "valid_perplexity": "valid/perplexity",
    "valid_accuracy": "valid/accuracy",
    "learning_rate": "learning_rate",
}
MIDI = (".mid",)
RENDERS = (".html", ".mp3", ".png")


@dataclass(frozen=True)
class Published:
    """Result of publishing a system; `missing`: each missing part and the command that makes it."""

    system: str
    run: str
    rows: int
    artifacts: int
    metrics: int
    missing: tuple[str, ...]


def system_run(root: Path, system: str) -> RunHandle:
    """The run of models/<system>, restored from that folder if the store does not have it.

    Raises:
        FileNotFoundError: the model does not exist.
    """
    folder = root / "models" / system
    card = _card(folder)
    return run_for_weights(_weights_sha(folder, card), lambda: restored(system, folder, card))


def restored(system: str, folder: Path, card: Mapping[str, Any]) -> RestoredRun:
    """The run that the training of a model folder would have written."""
    params = {key: value for key, value in card.items() if key not in NOT_PARAMS}
    tags = {key: str(card[key]) for key in TAGS if key in card}
    return RestoredRun(system, params, tags | {"system": system}, curve(folder / "history.csv"))


def curve(path: Path) -> list[tuple[int, dict[str, float]]]:
    """The rows of a history.csv as (step, metrics); empty if the file is missing."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            (
                int(float(row["step"])),
                {CURVE[k]: float(v) for k, v in row.items() if k in CURVE and v},
            )
            for row in csv.DictReader(file)
        ]


def publish_system(root: Path, system: str) -> Published:
    """Write all results of a system into its run; the answer lists what is missing."""
    absent = _absent(root, system)
    if not (root / "models" / system / "model.json").exists():
        return Published(system, "", 0, 0, 0, tuple(absent))
    run = system_run(root, system)
    files = [
        *_files(root / "samples" / system, MIDI),
        *_files(root / "renders" / system, RENDERS),
    ]
    for file in files:
        run.artifact(file, "samples")
    path = root / "evaluation" / system / "details.json"
    metrics = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    written = log_metrics(run, {k: v for k, v in metrics.items() if k != "format"})
    rows = len(curve(root / "models" / system / "history.csv"))
    return Published(
        system, run.id if run.tracked else "", rows, len(files), written, tuple(absent)
    )


def _absent(root: Path, system: str) -> list[str]:
    parts = {
        f"models/{system}/model.json": f"dvc repro train@{system}",
        f"models/{system}/history.csv": f"dvc repro train@{system}",
        f"samples/{system}": f"dvc repro sample@{system}",
        f"renders/{system}": f"python pipelines/render.py system={system}",
        f"evaluation/{system}/details.json": f"dvc repro evaluate@{system}",
    }
    return [f"{part}: {made_by}" for part, made_by in parts.items() if not (root / part).exists()]


def _files(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    return sorted(file for file in folder.glob("*") if file.suffix in suffixes)


def _card(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; make it with: dvc repro train@{folder.name}")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _weights_sha(folder: Path, card: Mapping[str, Any]) -> str:
    """SHA-256 of the weights, from model.json if it records it, else from the file."""
    if "weights_sha256" in card:
        return str(card["weights_sha256"])
    with (folder / "weights.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
