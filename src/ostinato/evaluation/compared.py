"""Runs every measure on one system: its samples beside the real music of its encoding."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ostinato.evaluation.excerpts import EvaluationSettings, cut_to, sample_excerpts
from ostinato.evaluation.measures.protocol import Context, Result
from ostinato.evaluation.measures.registry import found
from ostinato.evaluation.reference import read_real_music, read_reference
from ostinato.evaluation.scorer import Scorer
from ostinato.files import read_json, require
from ostinato.loading.tokens import TokenSet
from ostinato.music.piece import Piece
from ostinato.readers.midi_file import read_midi_file
from ostinato.representations.protocol import Representation
from ostinato.sampling.request import Unconditional

SAMPLES_FORMAT = 1


def read_samples(folder: Path) -> list[tuple[dict[str, Any], Piece | None]]:
    """Every row of samples.json with its piece, which is None where sampling failed.

    Raises:
        MissingInput, DamagedFile: naming the file and the command that makes it.
    """
    made_by = f"dvc repro sample@{folder.name}"
    listed = read_json(folder / "samples.json", expect_format=SAMPLES_FORMAT, made_by=made_by)
    return [
        (row, None if row["failed"] is not None else read_sample(folder, row, made_by))
        for row in listed["samples"]
    ]


def read_sample(folder: Path, row: Mapping[str, Any], made_by: str) -> Piece:
    """A sample from its MIDI file, under its id."""
    return replace(read_midi_file(require(folder / row["file"], made_by)), id=row["id"])


def run_measures(
    samples: Sequence[tuple[dict[str, Any], Piece | None]],
    scorer: Scorer | None,
    tokens: TokenSet,
    representation: Representation,
    *,
    model: Path,
    reference: Path,
    settings: EvaluationSettings,
) -> tuple[dict[str, Result], Context]:
    """The results of all measures by name, and the context that they had but for `reference`.

    model: the system's folder. reference: what reference@ wrote of the encoding.
    """
    music = read_real_music(reference, tokens, representation)
    made_by = f"dvc repro train@{model.name}"
    kept = [
        (piece, bool(row.get("ended")))
        for row, piece in samples
        if piece is not None and row["task"] == Unconditional.name
    ]
    whole = sample_excerpts([piece for piece, _ in kept], [ended for _, ended in kept])
    with require(model / "history.csv", made_by).open(encoding="utf-8", newline="") as file:
        history = list(csv.DictReader(file))
    context = Context(
        **vars(music),
        samples=cut_to(whole, music.quarters),
        samples_whole=whole,
        reference={},
        seed=settings.seed,
        resamples=settings.resamples,
        tokens=tokens,
        scorer=scorer,
        card=read_json(model / "model.json", expect_format=1, made_by=made_by),
        history=history,
    )
    return {
        name: checked(
            name,
            module.measure(
                replace(context, reference=read_reference(reference, name, tokens.name))
            ),
            context,
        )
        for name, module in found().items()
    }, context


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
    sets = context.sets()
    rows = []
    for measure, result in results.items():
        for key, values in result.per_piece.items():
            name, _, value_name = key.partition("/")
            for piece, value in zip(sets[name], values.tolist(), strict=True):
                rows.append(
                    {
                        "measure": measure,
                        "set": name,
                        "piece": piece,
                        "name": value_name,
                        "value": round(float(value), 6),
                    }
                )
    return rows
