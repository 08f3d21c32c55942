"""The protocol's arithmetic: what must be scored, both averages, and the piece that leaks.

Nats are for each voice at each sixteenth, natural logarithm, rests included, of whole pieces from
their first position to their last. Token-weighted is the sum of nats over the number of cells;
piece-weighted is the mean over pieces of each piece's own mean.
"""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ostinato.data.tokens import TokenSet
from ostinato.evaluation.exact import InexactLikelihood, count_cells
from ostinato.evaluation.likelihood import Scored
from ostinato.metrics.bootstrap import mean_interval, ratio_interval
from ostinato.music.corpus import read_summary

FORMAT = 1
SPLITS = ("valid", "test")


def read_params() -> dict[str, Any]:
    """The values of params.yaml."""
    return dict(yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8")))


def check_cells(tokens: TokenSet, expected: dict[str, int]) -> None:
    """Raise InexactLikelihood where another number of cells would be scored than published."""
    for split in SPLITS:
        found = count_cells(tokens, split)
        if found != expected[split]:
            raise InexactLikelihood(
                f"{split} of {tokens.name} has {found} cells, the protocol {expected[split]}: "
                "this is not the official split; make it with: dvc repro encode@jsb-grid"
            )


def leaked(dataset: str, split: str) -> list[str]:
    """Ids of a split's pieces that are copies of a training piece, in whatever key."""
    leaks = read_summary(Path("data/corpus") / dataset)["leaks"]
    groups = leaks.get("copy", {}).get("groups", [])
    return sorted(piece for g in groups if "train" in g for piece in g.get(split, []))


def figures(
    scored: Scored, tokens: TokenSet, split: str, settings: dict[str, Any]
) -> dict[str, Any]:
    """Both averages of a split with their intervals over pieces, with and without the copies."""
    copies = leaked(tokens.dataset, split)
    pieces = tokens.splits[split].piece
    own = ~np.isin(pieces, copies)
    if (~own).sum() != len(copies):
        raise ValueError(f"{split} of {tokens.name} lacks one of {copies}; repeat: dvc repro")
    chance = {"seed": settings["seed"], "resamples": settings["resamples"]}
    table: dict[str, Any] = {"cells": int(scored.tokens.sum()), "pieces": len(pieces)}
    for name, kept in (("all", np.ones_like(own)), ("without_leaks", own)):
        nats, cells = scored.nats[kept], scored.tokens[kept]
        table[name] = {
            "token_weighted": ratio_interval(nats, cells, **chance).plain(),
            "piece_weighted": mean_interval(nats / cells, **chance).plain(),
        }
    return table | {"leaked": copies}
