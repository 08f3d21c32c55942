"""Reads what the stages `evaluate` and `sample` wrote about each system."""

import csv
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.audio.render import read_audio
from ostinato.files import DamagedFile, read_json, require
from ostinato.metrics.differences import Column
from ostinato.metrics.figure import Figure, read_number
from ostinato.music.recording import Frames, Recording
from ostinato.readers.midi_file import read_midi_file
from ostinato.report.data import (
    DatasetNote,
    Measured,
    Pair,
    ReportData,
    StoredSample,
    System,
)
from ostinato.report.listeners import load_listeners
from ostinato.report.steps import load_steps
from ostinato.samples import sample_rows, sampled_by

FORMAT = 2
SIMULATED = "tuned on simulated listeners"


def load(
    systems: Mapping[str, Mapping[str, Any]],
    root: Path,
    *,
    title: str = "Ostinato",
    evaluation: Mapping[str, int] | None = None,
) -> ReportData:
    """Read the named systems (each with family, size, encoding, seed, as in params.yaml).

    evaluation: resamples and seed, as in params.yaml.

    Raises:
        MissingInput: a file is missing; names the command that makes it.
        DamagedFile: a file is incomplete, or belongs to another configuration of the system.
    """
    loaded, notes = [], {}
    for number, (name, given) in enumerate(systems.items()):
        system, note = load_system(name, given, root, number)
        loaded.append(system)
        notes[system.dataset] = note
    chance = {k: v for k, v in (evaluation or {}).items() if k in ("resamples", "seed")}
    return ReportData(
        tuple(loaded),
        title,
        notes,
        listeners=load_listeners(root),
        steps=load_steps(root),
        **chance,
    )


def load_system(
    name: str,
    given: Mapping[str, Any],
    root: Path,
    number: int,
) -> tuple[System, DatasetNote]:
    """One system and its dataset; `given` is its entry in params.yaml."""
    path, made_by = root / "evaluation" / name / "details.json", f"dvc repro evaluate@{name}"
    details = read_json(path, expect_format=FORMAT, made_by=made_by)
    try:
        _check_same(path, details, given, made_by)
        samples = load_samples(name, root)
        measures = [_measured(measure, found) for measure, found in details["measures"].items()]
        system = System(
            name=name,
            **{key: str(details[key]) for key in ("family", "size", "encoding", "dataset")},
            seed=int(details["seed"]),
            parameters=int(details["parameters"]),
            number=number,
            counts=details["samples"],
            not_measured=details.get("not_measured", {}),
            hashes={"weights": details["weights_sha256"], "tokens": details["tokens_digest"]},
            measures=tuple(sorted(measures, key=lambda m: (m.order, m.name))),
            columns=_columns(path.parent / "pieces.csv", made_by),
            series=_series(path.parent / "plots" / "series.csv", made_by),
            pairs=_pairs(path.parent / "plots", samples, made_by),
            samples=samples,
            remark=SIMULATED if details.get("simulated") else "",
        )
        origin = details["origin"]
        return system, DatasetNote(
            licence=origin["licence"], citation=origin["citation"], splits=origin["pieces"]
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise DamagedFile(f"{path} lacks {error}; make it again with: {made_by}") from error


def load_samples(name: str, root: Path) -> tuple[StoredSample, ...]:
    """The samples of one system with their music, or the reason for which each failed.

    Raises:
        MissingInput, DamagedFile: as `load`.
    """
    folder = root / "samples" / name
    rows, remedy = sample_rows(folder), sampled_by(folder)
    sounds = any(str(row.get("file")).endswith(".wav") for row in rows)
    frames = _frames(folder / "tokens.npz", remedy) if sounds else {}
    try:
        return tuple(_sample(row, folder, remedy, frames) for row in rows)
    except KeyError as error:
        place = folder / "samples.json"
        raise DamagedFile(f"{place} lacks {error}; make it again with: {remedy}") from error


def _sample(
    row: Mapping[str, Any], folder: Path, made_by: str, frames: Mapping[str, Frames]
) -> StoredSample:
    failed, piece, recording = row["failed"], None, None
    if not failed and row["id"] in frames:
        recording = _recording(row, folder / row["file"], made_by, frames[row["id"]])
    elif not failed:
        piece = read_midi_file(require(folder / row["file"], made_by))
    if piece is not None and not len(piece.notes):
        piece, failed = None, "no notes"
    return StoredSample(
        id=str(row["id"]),
        task=str(row["task"]),
        seed=int(row["seed"]),
        index=int(row["index"]),
        nats=read_number(row.get("nats")),
        prompt=row.get("prompt"),
        prompt_bars=float(row.get("prompt_bars") or 0),
        bars=row.get("bars"),
        failed=failed,
        piece=piece,
        recording=recording,
    )


def _recording(row: Mapping[str, Any], path: Path, made_by: str, frames: Frames) -> Recording:
    """A sample's sound as it was written, and the frames that it was made of."""
    sound, sample_rate = read_audio(path, made_by)
    rate = len(frames) * sample_rate / len(sound)
    return Recording(
        id=str(row["id"]),
        frames=frames,
        rate=rate,
        sample_rate=sample_rate,
        invert=lambda _: sound,
    )


def _frames(path: Path, made_by: str) -> dict[str, Frames]:
    """The frames of samples by id."""
    try:
        arrays = np.load(require(path, made_by))
        ends = np.cumsum(arrays["length"])[:-1]
        parts = np.split(arrays["tokens"].astype(np.float32), ends)
        return dict(zip(arrays["id"].tolist(), parts, strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise DamagedFile(f"{path} cannot be read ({error}); make it with: {made_by}") from error


def _check_same(
    path: Path, details: Mapping[str, Any], given: Mapping[str, Any], made_by: str
) -> None:
    for key in ("family", "size", "encoding", "seed"):
        if key in given and given[key] != details[key]:
            raise DamagedFile(
                f"{path} was made with {key}={details[key]}, params.yaml says {given[key]}; "
                f"make it again with: {made_by}"
            )


def _measured(name: str, found: Mapping[str, Any]) -> Measured:
    figures = {key: Figure.read(key, figure) for key, figure in found["values"].items()}
    title = found["title"] or name
    return Measured(name, title, found["note"], found["view"], int(found["order"]), figures)


def _columns(path: Path, made_by: str) -> dict[tuple[str, str, str], Column]:
    columns: defaultdict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    wanted = ("measure", "set", "name", "piece", "group", "value", "weight")
    for row in _rows(path, made_by, wanted):
        columns[row["measure"], row["set"], row["name"]].append(row)
    return {
        key: Column(
            np.array([row["piece"] for row in rows]),
            np.array([row["group"] for row in rows]),
            np.array([read_number(row["value"]) for row in rows]),
            np.array([read_number(row["weight"]) for row in rows]),
        )
        for key, rows in columns.items()
    }


def _series(path: Path, made_by: str) -> dict[tuple[str, str], list[tuple[float, float]]]:
    series: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in _rows(path, made_by, ("measure", "series", "x", "y")):
        series[row["measure"], row["series"]].append((read_number(row["x"]), read_number(row["y"])))
    return dict(series)


def _pairs(folder: Path, samples: tuple[StoredSample, ...], made_by: str) -> tuple[Pair, ...]:
    shown = read_json(folder / "gallery.json", expect_format=1, made_by=made_by)["shown"]
    by_id = {sample.id: sample for sample in samples}
    pairs = []
    for row in shown:
        beside = None
        if row["beside"] is not None:
            piece = read_midi_file(require(folder / row["beside"], made_by))
            name = f"{row['measure']}-{row['sample']}"
            beside = StoredSample(name, "", 0, 0, math.nan, piece=piece)
        sample = by_id[row["sample"]]
        pairs.append(Pair(row["measure"], sample, beside, row["caption"], row["is_flagged"]))
    return tuple(pairs)


def _rows(path: Path, made_by: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    with require(path, made_by).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = sorted(set(columns) - set(reader.fieldnames or ()))
        if missing:
            raise DamagedFile(f"{path} lacks {', '.join(missing)}; make it again with: {made_by}")
        return list(reader)
