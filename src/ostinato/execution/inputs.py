"""Whether what a stage reads is there, asked before torch is imported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.files import model_made_by, require

TABLES = {"reference": "encodings", "feedback": "studies"}  # of others: systems
NAMED_BY = {"reference": "encoding", "feedback": "study"}
READERS = ("sample", "evaluate", "reference", "feedback")  # stages that read a model or tokens


def check_inputs(stage: str, config: Mapping[str, Any]) -> None:
    """Raise MissingInput for a model, tokens or samples that a stage reads and that are not there.

    Names that params.yaml does not have are left to the stage, which says which it has.
    """
    if stage not in READERS:
        return
    name = str(config[NAMED_BY.get(stage, "system")])
    line = config[TABLES.get(stage, "systems")].get(name)
    if not line:
        return
    if stage != "reference":
        model = Path("models") / str(line.get("base", name))
        require(model / "model.json", model_made_by(model))
    encoding = str(line.get("encoding", name))
    require(Path("data/tokens") / encoding / "summary.json", f"dvc repro encode@{encoding}")
    if stage == "evaluate":
        require(Path("samples") / name / "samples.json", f"dvc repro sample@{name}")
        reference = Path("data/reference") / encoding
        require(reference / "excerpts.npz", f"dvc repro reference@{encoding}")
