"""Reads what the stages `evaluate`, `train` and `sample` wrote about each system."""

import csv
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.files import DamagedFile, read_json, require
from ostinato.metrics.bootstrap import Interval
from ostinato.report.data import (
    SETS,
    UNITS,
    CopiedPassage,
    Curve,
    DatasetNote,
    FeatureResult,
    Likelihood,
    Originality,
    ReportData,
    StoredSample,
    System,
)

FORMAT = 1


def load(
    systems: Mapping[str, Mapping[str, Any]],
    root: Path,
    *,
    title: str = "Ostinato",
    datasets: Mapping[str, DatasetNote] | None = None,
) -> ReportData:
    """Read the named systems (each with family, size, encoding, seed, as in params.yaml).

    Raises:
        MissingInput: a file is missing; names the command that makes it.
        DamagedFile: a file is incomplete, or belongs to another configuration of the system.
    """
    return ReportData(
        systems=tuple(load_system(name, given, root) for name, given in systems.items()),
        title=title,
        datasets=dict(datasets or {}),
    )


def load_system(name: str, given: Mapping[str, Any], root: Path) -> System:
    """One system; `given` is its entry in params.yaml."""
    path, made_by = root / "evaluation" / name / "details.json", f"dvc repro evaluate@{name}"
    metrics = read_json(path, expect_format=FORMAT, made_by=made_by)
    try:
        _check_same(path, metrics, given, made_by)
        values = _columns(path.parent / "plots" / "features.csv", ("set", "feature"), "value", name)
        copied = _columns(path.parent / "plots" / "originality.csv", ("set",), "notes", name)
        return System(
            name=name,
            **{key: str(metrics[key]) for key in ("family", "size", "encoding", "dataset")},
            seed=int(metrics["seed"]),
            parameters=int(metrics["parameters"]),
            likelihood=_likelihoods(metrics.get("likelihood", {})),
            is_bound=metrics.get("likelihood_kind") == "bound",
            baselines={k: _likelihoods(v) for k, v in metrics.get("baselines", {}).items()},
            features=tuple(_feature(k, v) for k, v in metrics.get("features", {}).items()),
            copied={k: _copied(v) for k, v in metrics.get("originality", {}).items()},
            values={(key[0], key[1]): column for key, column in values.items()},
            copied_notes={key[0]: column for key, column in copied.items()},
            curve=_curve(path.parent / "curve.csv", name),
            samples=load_samples(name, root),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise DamagedFile(f"{path} lacks {error}; make it again with: {made_by}") from error


def load_samples(name: str, root: Path) -> tuple[StoredSample, ...]:
    """The samples of one system with their music, or the reason for which each failed.

    Raises:
        MissingInput, DamagedFile: as `load`.
    """
    folder, made_by = root / "samples" / name, f"dvc repro sample@{name}"
    listed = read_json(folder / "samples.json", expect_format=FORMAT, made_by=made_by)
    try:
        return tuple(_sample(row, folder, made_by) for row in listed["samples"])
    except KeyError as error:
        place = folder / "samples.json"
        raise DamagedFile(f"{place} lacks {error}; make it again with: {made_by}") from error


def _sample(row: Mapping[str, Any], folder: Path, made_by: str) -> StoredSample:
    from ostinato.readers.midi_file import read_midi_file

    failed = row["failed"]
    piece = None if failed else read_midi_file(require(folder / row["file"], made_by))
    if piece is not None and not len(piece.notes):
        piece, failed = None, "no notes"
    return StoredSample(
        id=str(row["id"]),
        task=str(row["task"]),
        seed=int(row["seed"]),
        index=int(row["index"]),
        nats=_number(row.get("nats")),
        prompt=row.get("prompt"),
        prompt_bars=float(row.get("prompt_bars") or 0),
        bars=row.get("bars"),
        failed=failed,
        piece=piece,
    )


def _check_same(
    path: Path, metrics: Mapping[str, Any], given: Mapping[str, Any], made_by: str
) -> None:
    for key in ("family", "size", "encoding", "seed"):
        if key in given and given[key] != metrics[key]:
            raise DamagedFile(
                f"{path} was made with {key}={metrics[key]}, params.yaml says {given[key]}; "
                f"make it again with: {made_by}"
            )


def _likelihoods(splits: Mapping[str, Any]) -> dict[str, Likelihood]:
    return {
        split: Likelihood(
            {unit: _interval(found.get(unit)) for unit in UNITS},
            int(found["pieces"]),
            int(found["tokens"]),
        )
        for split, found in splits.items()
    }


def _feature(name: str, found: Mapping[str, Any]) -> FeatureResult:
    return FeatureResult(
        name=name,
        label=found["label"],
        unit=found["unit"] or "",
        description=found["description"],
        means={kind: _interval(found.get(kind)) for kind in SETS},
        distance=_interval(found["distance_samples"]),
        floor=_interval(found["distance_train"]),
    )


def _copied(found: Mapping[str, Any]) -> Originality:
    longest = found.get("longest") or {"notes": 0, "quarters": 0, "piece": "", "of": ""}
    return Originality(
        mean_notes=_interval(found["mean_notes"]),
        longest=CopiedPassage(
            notes=int(longest["notes"]),
            quarters=float(longest["quarters"]),
            piece=str(longest["piece"]),
            of=str(longest["of"] or ""),
        ),
    )


def _interval(found: Mapping[str, Any] | None) -> Interval:
    if found is None:
        return Interval()
    value, low, high = (_number(found.get(key)) for key in ("value", "low", "high"))
    return Interval(value, low, high)


def _number(value: Any) -> float:
    """The number; NaN for null in JSON and for an empty cell in CSV: not measured."""
    return math.nan if value in (None, "") else float(value)


def _curve(path: Path, name: str) -> Curve:
    rows = _rows(path, f"dvc repro evaluate@{name}", ("step", "train_loss", "valid_loss"))
    return Curve(
        steps=tuple(int(float(row["step"])) for row in rows),
        train=tuple(_number(row["train_loss"]) for row in rows),
        valid=tuple(_number(row["valid_loss"]) for row in rows),
    )


def _columns(
    path: Path, keys: tuple[str, ...], value: str, name: str
) -> dict[tuple[str, ...], tuple[float, ...]]:
    """The finite values of one column, by the values of the key columns."""
    columns: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
    for row in _rows(path, f"dvc repro evaluate@{name}", (*keys, value)):
        number = _number(row[value])
        if math.isfinite(number):
            columns[tuple(row[key] for key in keys)].append(number)
    return {key: tuple(column) for key, column in columns.items()}


def _rows(path: Path, made_by: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    with require(path, made_by).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = sorted(set(columns) - set(reader.fieldnames or ()))
        if missing:
            raise DamagedFile(f"{path} lacks {', '.join(missing)}; make it again with: {made_by}")
        return list(reader)
