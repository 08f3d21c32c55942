"""Assembles one system's metrics: likelihood, baselines, musical features, originality.

Samples, held-out and training music are compared in the same form: decoded from the same
representation and cut to the same length, from the beginning. Every figure has an interval and a
reference: held-out music beside samples, and the distance of train from held-out music beside that
of the samples.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.evaluation.baselines import score_baselines
from ostinato.evaluation.excerpts import EvaluationSettings
from ostinato.evaluation.scored import score_split, token_metrics
from ostinato.evaluation.scorer import Scorer
from ostinato.files import atomic_folder, read_json, require, write_text
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.bootstrap import mean_interval
from ostinato.metrics.compare import wasserstein_interval
from ostinato.metrics.features import FEATURES
from ostinato.metrics.originality import Passage, PassageIndex
from ostinato.models.spec import ArraySpec
from ostinato.music.piece import Piece, cut
from ostinato.music.timing import numbered_bars
from ostinato.readers.midi_file import read_midi_file
from ostinato.sampling.load import Trained
from ostinato.sampling.request import Unconditional

FORMAT = 1
EVALUATED = ("valid", "test")
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Compared:
    """The three sets of pieces that are compared."""

    samples: list[Piece]
    heldout: list[Piece]
    train: list[Piece]

    def sets(self) -> Mapping[str, list[Piece]]:
        """By name."""
        return {"samples": self.samples, "heldout": self.heldout, "train": self.train}


def evaluate_system(
    out: Path,
    trained: Trained,
    scorer: Scorer | None,
    tokens: TokenSet,
    samples_folder: Path,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """Write `plots/`, and return all metrics.

    scorer: None where the system's paradigm has no likelihood, which is then left out.
    """
    made_by = f"dvc repro sample@{samples_folder.name}"
    listed = read_json(samples_folder / "samples.json", expect_format=FORMAT, made_by=made_by)
    rows = listed["samples"]
    whole = [row for row in rows if row["failed"] is None]
    pieces = [read_sample(samples_folder / row["file"], row["id"], made_by) for row in whole]
    unprompted = [
        p for p, row in zip(pieces, whole, strict=True) if row["task"] == Unconditional.name
    ]
    bars = max((row["bars"] for row in rows), default=16)
    music = Compared(
        unprompted,
        excerpts(trained, tokens, "test", bars),
        excerpts(trained, tokens, "train", bars),
    )
    features, feature_rows = compare_features(music, settings)
    originality, passage_rows = compare_originality(
        music, excerpts(trained, tokens, "train", None), settings
    )
    card = trained.card
    metrics = {
        "format": FORMAT,
        **{key: card[key] for key in ("system", "family", "size", "encoding", "dataset", "seed")},
        "parameters": card["parameters"],
        "origin": tokens.origin | {"pieces": {k: len(part) for k, part in tokens.splits.items()}},
        "likelihood_kind": scorer.kind if scorer else None,
        "likelihood": likelihood(scorer, tokens, settings) if scorer else {},
        "baselines": {} if ArraySpec.of(tokens.codec).is_real else baselines(tokens, settings),
        "features": features,
        "originality": originality,
        "samples": {"count": len(rows), "failed": len(rows) - len(whole)},
    }
    with atomic_folder(out / "plots") as plots:
        write_csv(plots / "features.csv", feature_rows)
        write_csv(plots / "originality.csv", passage_rows)
    return metrics


def read_sample(path: Path, name: str, made_by: str) -> Piece:
    """A sample from its MIDI file, under its id."""
    return replace(read_midi_file(require(path, made_by)), id=name)


def excerpts(trained: Trained, tokens: TokenSet, split: str, bars: int | None) -> list[Piece]:
    """A split's pieces as the representation holds them, up to the end of a score bar."""
    part = tokens.splits[split]
    pieces = []
    for number in range(len(part)):
        piece = trained.representation.decode(part.tokens_of(number).astype(np.int32))
        piece = replace(piece, id=str(part.piece[number]))
        later = [onset for onset, number in numbered_bars(piece) if bars and number > bars]
        pieces.append(cut(piece, 0, later[0]) if later else piece)
    return pieces


def likelihood(scorer: Scorer, tokens: TokenSet, settings: EvaluationSettings) -> dict[str, Any]:
    """Likelihood, perplexity and accuracy of every evaluated split."""
    chance = {"seed": settings.seed, "resamples": settings.resamples}
    return {
        split: score_split(scorer, tokens, split).summary(**chance)
        | token_metrics(scorer, tokens, split, **chance)
        for split in EVALUATED
    }


def baselines(tokens: TokenSet, settings: EvaluationSettings) -> dict[str, Any]:
    """Every baseline's likelihood of every evaluated split."""
    table: dict[str, Any] = {}
    for split in EVALUATED:
        for name, score in score_baselines(tokens, split).items():
            summary = score.summary(seed=settings.seed, resamples=settings.resamples)
            table.setdefault(name, {})[split] = summary
    return table


def compare_features(music: Compared, settings: EvaluationSettings) -> tuple[dict[str, Any], Rows]:
    """Every feature of the three sets, and how far samples and train lie from held-out music."""
    table: dict[str, Any] = {}
    rows: Rows = []
    chance = {"seed": settings.seed, "resamples": settings.resamples}
    for name, feature in FEATURES.items():
        values = {
            kind: np.array([feature.function(piece) for piece in pieces])
            for kind, pieces in music.sets().items()
        }
        table[name] = {
            "label": feature.label,
            "unit": feature.unit,
            "description": feature.description,
            **{kind: mean_interval(value, **chance).plain() for kind, value in values.items()},
            "distance_samples": wasserstein_interval(
                values["samples"], values["heldout"], **chance
            ).plain(),
            "distance_train": wasserstein_interval(
                values["train"], values["heldout"], **chance
            ).plain(),
        }
        rows += [
            {"set": kind, "piece": piece.id, "feature": name, "value": round(float(value), 6)}
            for kind, pieces in music.sets().items()
            for piece, value in zip(pieces, values[kind], strict=True)
        ]
    return table, rows


def compare_originality(
    music: Compared, train: Sequence[Piece], settings: EvaluationSettings
) -> tuple[dict[str, Any], Rows]:
    """The longest passage that each sample, and each held-out excerpt, shares with the training
    set.
    """
    index = PassageIndex(train)
    table: dict[str, Any] = {}
    rows: Rows = []
    for kind in ("samples", "heldout"):
        pieces = music.sets()[kind]
        found: list[Passage] = [index.longest(piece) for piece in pieces]
        lengths = np.array([float(passage.notes) for passage in found])
        best = max(range(len(found)), key=lambda i: found[i].notes, default=None)
        table[kind] = {
            "mean_notes": mean_interval(
                lengths, seed=settings.seed, resamples=settings.resamples
            ).plain(),
            "longest": None
            if best is None
            else {
                "notes": found[best].notes,
                "quarters": found[best].quarters,
                "piece": pieces[best].id,
                "of": found[best].piece_id,
            },
        }
        rows += [
            {
                "set": kind,
                "piece": piece.id,
                "notes": passage.notes,
                "quarters": passage.quarters,
                "source": passage.piece_id,
            }
            for piece, passage in zip(pieces, found, strict=True)
        ]
    return table, rows


def write_csv(path: Path, rows: Rows) -> None:
    """Rows of one shape as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
