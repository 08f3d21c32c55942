"""What a run gets from the pipeline's files; also restores runs that a fresh clone lacks.

A stage that DVC takes from its cache does not run, so its MLflow run is missing too; `model_run`
restores it. Repeating any of this changes nothing.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.tracking.handle import RunHandle, flattened
from ostinato.tracking.register import register
from ostinato.tracking.runs import RestoredRun, run_for_weights

TAGS = ("family", "size", "seed", "encoding")
PARAMS = ("system", *TAGS, "model", "optimizer", "training")
FILES = ("model.json", "history.csv", "README.md")
CURVE = {  # columns of history.csv, and what the run calls them
    "train_loss": "train/loss",
    "valid_loss": "valid/loss",
    "valid_perplexity": "valid/perplexity",
    "valid_accuracy": "valid/accuracy",
    "learning_rate": "learning_rate",
}
DESCRIBED = "mlflow.note.content"
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
    """The run of models/<system>; see `model_run`. The model is registered by its name."""
    return model_run(root / "models" / system, system)


def model_run(folder: Path, registered: str = "") -> RunHandle:
    """The run of a model folder, restored from that folder if the store does not have it.

    It is completed once with a description, a picture of the curve and the small files of the
    folder; with a name in `registered` also with the model itself, in MLflow's registry.

    Raises:
        FileNotFoundError: the model does not exist.
    """
    card = _card(folder)
    run = run_for_weights(_weights_sha(folder, card), lambda: restored(folder, card))

    def complete(client: Any) -> None:
        sha = _weights_sha(folder, card)
        version = register(client, run.id, folder, registered, sha) if registered else ""
        if DESCRIBED not in client.get_run(run.id).data.tags:
            for name in FILES:
                if (folder / name).exists():
                    client.log_artifact(run.id, str(folder / name))
            client.log_figure(
                run.id, _figure(folder.name, curve(folder / "history.csv")), "curve.png"
            )
            uri = f"models:/{registered}/{version}" if registered else ""
            client.set_tag(run.id, DESCRIBED, description(card, uri))

    run.attempt(complete)
    return run


def restored(folder: Path, card: Mapping[str, Any]) -> RestoredRun:
    """The run that the training of a model folder would have written."""
    params = {key: card[key] for key in PARAMS if key in card}
    tags = {key: str(card[key]) for key in TAGS if key in card}
    return RestoredRun(
        folder.name, params, tags | {"system": folder.name}, curve(folder / "history.csv")
    )


def description(card: Mapping[str, Any], uri: str = "") -> str:
    """What a trained model is and how it is used, in Markdown."""
    loss, step = card.get("best_valid_loss"), card.get("best_step")
    lines = [
        f"**{card['family']}/{card.get('size')}** trained on encoding {card.get('encoding')} of "
        f"dataset {card.get('dataset')}, seed {card.get('seed')}: "
        f"{card.get('parameters', 0):,} parameters.",
        f"Best validation: {loss} {card.get('loss_unit', '')} at step {step}.",
    ]
    if uri:
        lines.append(f'Music from it: `mlflow.pyfunc.load_model("{uri}").predict({{"bars": 8}})`')
    return "\n\n".join(lines)


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
    written = log_evaluation(run, root / "evaluation" / system)
    rows = len(curve(root / "models" / system / "history.csv"))
    return Published(
        system, run.id if run.tracked else "", rows, len(files), written, tuple(absent)
    )


def log_evaluation(run: RunHandle, folder: Path) -> int:
    """Write the few numbers of metrics.json as metrics, and all of details.json as a table.

    Returns the number of metrics.
    """
    few, all_of_them = (_json(folder / name) for name in ("metrics.json", "details.json"))

    def table(client: Any) -> None:
        text = io.StringIO()
        rows = sorted(flattened(all_of_them, "/").items())
        csv.writer(text, lineterminator="\n").writerows([("figure", "value"), *rows])
        client.log_text(run.id, text.getvalue(), "evaluation.csv")

    if all_of_them:
        run.attempt(table)
    return len(few) if run.set_metrics(few) else 0


def _figure(title: str, rows: list[tuple[int, dict[str, float]]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss", title=title)
    for name in ("train/loss", "valid/loss"):
        points = [(step, row[name]) for step, row in rows if name in row]
        axes.plot(*zip(*points, strict=True), label=name) if points else None
    axes.legend()
    return figure


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


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _card(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; make it with: dvc repro train@{folder.name}")
    return _json(path)


def _weights_sha(folder: Path, card: Mapping[str, Any]) -> str:
    """SHA-256 of the weights, from model.json if it records it, else from the file."""
    if "weights_sha256" in card:
        return str(card["weights_sha256"])
    with (folder / "weights.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
