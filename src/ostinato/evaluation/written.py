"""Writes what `evaluate` found: all of it, the few numbers that one compares, and what is drawn.

`details.json` has every figure with its interval. `metrics.json` has about six plain numbers, which
`dvc metrics` and `dvc exp show` put into columns. `distances.csv` and `curve.csv` are what
`dvc plots` draws.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.files import require, write_json, write_text

Numbers = dict[str, float | int]


def write_results(out: Path, details: Mapping[str, Any], model: Path) -> None:
    """Write the files of evaluation/<system>/ that DVC compares; the curve is the model's.

    Raises:
        MissingInput: the model folder holds no learning curve.
    """
    history = require(model / "history.csv", f"dvc repro train@{model.name}")
    write_json(out / "details.json", details)
    write_json(out / "metrics.json", headline(details))
    write_text(out / "curve.csv", history.read_text(encoding="utf-8"))
    write_text(out / "distances.csv", distances(details))


def headline(details: Mapping[str, Any]) -> Numbers:
    """The numbers that one compares first.

    valid, test: nats per token. bits: per quarter note, on test. copied: notes of the longest
    passage that a sample shares with the training set, on average. apart: features in which samples
    lie significantly farther from held-out music than training music does. failed: samples that did
    not decode. Likelihoods are left out where a system has none; those that
    are upper bounds are named `…_at_most`.
    """
    numbers: Numbers = {}
    likelihood = details.get("likelihood") or {}
    suffix = "_at_most" if details.get("likelihood_kind") == "bound" else ""
    for split in ("valid", "test"):
        if split in likelihood:
            numbers[split + suffix] = round(likelihood[split]["nats_per_token"]["value"], 4)
    if "test" in likelihood:
        numbers["bits" + suffix] = round(likelihood["test"]["bits_per_quarter"]["value"], 3)
    copied = details["originality"]["samples"]["mean_notes"]["value"]
    if copied is not None:
        numbers["copied"] = round(copied, 2)
    features = details["features"].values()
    numbers["apart"] = sum(map(_is_apart, features))
    numbers["failed"] = details["samples"]["failed"]
    return numbers


def distances(details: Mapping[str, Any]) -> str:
    """CSV of every feature's distance between samples and held-out music, in multiples of the
    distance between training and held-out music.
    """
    rows = ["feature,distance"]
    for name, found in details["features"].items():
        near, far = found["distance_train"]["value"], found["distance_samples"]["value"]
        if near and far is not None:
            rows.append(f"{name},{far / near:.4g}")
    return "\n".join(rows) + "\n"


def _is_apart(found: Mapping[str, Any]) -> bool:
    low, high = found["distance_samples"].get("low"), found["distance_train"].get("high")
    return low is not None and high is not None and low > high
