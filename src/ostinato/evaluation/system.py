"""Runs every measure on one system: its samples beside the real music of its encoding."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.audio.render import read_audio
from ostinato.evaluation.excerpts import EvaluationSettings, cut_to, sample_excerpts
from ostinato.evaluation.measures.protocol import Context, Result
from ostinato.evaluation.measures.registry import found, unfit
from ostinato.evaluation.reference import read_real_music, read_reference
from ostinato.evaluation.scorer import Scorer
from ostinato.evaluation.trivial import FILE as TRIVIAL
from ostinato.evaluation.trivial import with_trivial
from ostinato.files import DamagedFile, require
from ostinato.loading.tokens import TokenSet
from ostinato.models.spec import ArraySpec
from ostinato.music.piece import Piece
from ostinato.music.recording import Recording
from ostinato.readers.midi_file import read_midi_file
from ostinato.representations.protocol import Representation, Sounding
from ostinato.samples import sample_rows, sampled_by
from ostinato.sampling.load import Trained
from ostinato.sampling.request import Unconditional

FORMAT = 2


def read_samples(
    folder: Path, representation: Representation | None = None
) -> list[tuple[dict[str, Any], Any]]:
    """Every row of samples.json with its piece, which is None where sampling failed.

    representation: of the system's encoding; where that is one of sound, samples are recordings.

    Raises:
        MissingInput, DamagedFile: naming the file and the command that makes it.
    """
    read: Callable[..., Any] = read_sample
    if isinstance(representation, Sounding):
        read = partial(read_recording, representation)
    return [
        (row, None if row["failed"] is not None else read(folder, row, sampled_by(folder)))
        for row in sample_rows(folder)
    ]


def read_sample(folder: Path, row: Mapping[str, Any], made_by: str) -> Piece:
    """A sample from its MIDI file, under its id."""
    return replace(read_midi_file(require(folder / row["file"], made_by)), id=row["id"])


def read_recording(
    representation: Sounding, folder: Path, row: Mapping[str, Any], made_by: str
) -> Recording:
    """A sample from its sound file, under its id: what is heard, not the frames it was made of."""
    path = folder / row["file"]
    sound, rate = read_audio(path, made_by)
    if rate != representation.sample_rate:
        raise DamagedFile(
            f"{path} has {rate} samples a second, its encoding {representation.sample_rate}; make "
            f"it again with: {made_by}"
        )
    return replace(representation.recording(sound), id=row["id"])


def run_measures(
    samples: Sequence[tuple[dict[str, Any], Piece | None]],
    trained: Trained,
    scorer: Scorer | None,
    tokens: TokenSet,
    *,
    model: Path,
    reference: Path,
    settings: EvaluationSettings,
) -> tuple[dict[str, Result], Context]:
    """The results of all measures by name, and the context that they had but for `reference`.

    Args:
        scorer: None where the system's paradigm has no likelihood.
        model: the system's folder.
        reference: what reference@ wrote of the encoding.

    Raises:
        MissingInput, DamagedFile: naming the file and the command that makes it.
    """
    music = read_real_music(reference, tokens, trained.representation)
    kept = [
        (piece, bool(row.get("ended")))
        for row, piece in samples
        if piece is not None and row["task"] == Unconditional.name
    ]
    whole = sample_excerpts([piece for piece, _ in kept], [ended for _, ended in kept])
    history = require(model / "history.csv", f"dvc repro train@{model.name}")
    with history.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    context = Context(
        **vars(music),
        samples=cut_to(whole, music.quarters),
        samples_whole=whole,
        reference={},
        seed=settings.seed,
        resamples=settings.resamples,
        tokens=tokens,
        scorer=scorer,
        card=trained.card,
        history=rows,
        requests={row["id"]: row for row, _ in samples},
    )
    results = {}
    kind = ArraySpec.of(tokens.codec).kind
    for name, module in found().items():
        if unfit(name, kind):
            continue
        own = replace(context, reference=read_reference(reference, name, tokens.name))
        results[name] = checked(name, module.measure(own), context)
    made_by = f"dvc repro reference@{tokens.name}"
    return with_trivial(reference / TRIVIAL, results, made_by), context


def details_of(
    results: Mapping[str, Result], context: Context, rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Everything of details.json; rows: of samples.json."""
    card, tokens = context.card, context.tokens
    kind = ArraySpec.of(tokens.codec).kind
    not_measured = {name: why for name in found() if (why := unfit(name, kind))}
    return {
        "format": FORMAT,
        **{key: card[key] for key in ("system", "family", "size", "encoding", "dataset", "seed")},
        "parameters": card["parameters"],
        "simulated": bool((card["model"].get("base") or {}).get("simulated")),
        "weights_sha256": card["weights_sha256"],
        "tokens_digest": tokens.digest,
        "origin": tokens.origin | {"pieces": {k: len(part) for k, part in tokens.splits.items()}},
        "samples": {
            "count": len(rows),
            "failed": sum(row["failed"] is not None for row in rows),
            "seconds" if kind == "mel" else "quarters": context.quarters,
            "compared": len(context.samples),
            "too_short": len(context.samples_whole) - len(context.samples),
        },
        "measures": {name: result.plain() for name, result in results.items()},
        "not_measured": not_measured,
    }


def checked(measure: str, result: Result, context: Context) -> Result:
    """The same result.

    Raises:
        ValueError: a column of single pieces names no set, or is not as long as its set.
    """
    sets = context.sets()
    for key, values in result.per_piece.items():
        name = key.partition("/")[0]
        if name not in sets:
            raise ValueError(f"{measure}: per_piece {key!r} must be <set>/<name> of {list(sets)}")
        if len(values) != len(sets[name]):
            raise ValueError(
                f"{measure}: per_piece {key!r} has {len(values)} values, set {name} has "
                f"{len(sets[name])} pieces"
            )
    return result


def piece_rows(results: Mapping[str, Result], context: Context) -> list[dict[str, Any]]:
    """Rows of pieces.csv: one for every measure, set, value and piece."""
    sets, groups = context.sets(), context.groups_of_sets()
    rows = []
    for measure, result in results.items():
        for key, values in result.per_piece.items():
            name, _, value_name = key.partition("/")
            weights = result.weights.get(key, np.ones(len(values)))
            columns = (sets[name], groups[name], values.tolist(), weights.tolist())
            rows += [
                {
                    "measure": measure,
                    "set": name,
                    "name": value_name,
                    "piece": piece,
                    "group": group,
                    "value": round(float(value), 6),
                    "weight": round(float(weight), 6),
                }
                for piece, group, value, weight in zip(*columns, strict=True)
            ]
    return rows
