"""A published protocol's arithmetic: what is scored, and how nats become the published figure.

A protocol says what is scored (so many units of each split of the official encoding, and no other
number), what is told first, and two averages: over all units of a split, and the mean over pieces
of each piece's own mean. Copies of training pieces are left out of a second figure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.corpus.store import read_summary
from ostinato.evaluation.autoregressive.exact import InexactLikelihood, count_cells
from ostinato.evaluation.scored import Scored
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.bootstrap import mean_interval, ratio_interval


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is counted, and how.

    unit: the name of what a figure is per, such as cell or frame. units: how many each split holds,
    those that are told first among them. of: sub-tokens of a unit. given: units at the start of
    every piece that are told and not scored; needs units that are whole positions.
    checked: positions of a piece by which a model is seen to be exact; 0 is all.
    resamples, seed: of the bootstrap over pieces.
    """

    unit: str
    units: Mapping[str, int]
    resamples: int
    seed: int
    of: int = 1
    given: int = 0
    checked: int = 0

    def __post_init__(self) -> None:
        if self.of < 1 or self.given < 0 or self.checked < 0:
            raise ValueError(
                f"of={self.of} must be at least 1, given={self.given} and "
                f"checked={self.checked} cannot be negative"
            )


ProtocolOf = Callable[[Mapping[str, Any], str], Protocol]


def check_units(tokens: TokenSet, protocol: Protocol) -> None:
    """Raise InexactLikelihood where a split holds another number of units than published, or where
    a position is not made of whole units that `given` can leave out.
    """
    if protocol.given and tokens.codec["width"] != protocol.of:
        raise InexactLikelihood(
            f"a position of {tokens.name} has {tokens.codec['width']} sub-tokens and a "
            f"{protocol.unit} {protocol.of}: given={protocol.given} would leave out another part"
        )
    for split, expected in protocol.units.items():
        found = count_cells(tokens, split) / protocol.of
        if found != expected:
            raise InexactLikelihood(
                f"{split} of {tokens.name} has {found:g} {protocol.unit}s, the protocol {expected}:"
                f" this is not the official split; make it with: dvc repro encode@{tokens.name}"
            )


def leaked(dataset: str, split: str) -> list[str]:
    """Ids of a split's pieces that are copies of a training piece, in whatever key."""
    leaks = read_summary(Path("data/corpus") / dataset)["leaks"]
    groups = leaks.get("copy", {}).get("groups", [])
    return sorted(piece for g in groups if "train" in g for piece in g.get(split, []))


def figures(scored: Scored, tokens: TokenSet, split: str, protocol: Protocol) -> dict[str, Any]:
    """Both averages of a split with their intervals over pieces, with and without the copies."""
    copies = leaked(tokens.dataset, split)
    pieces = tokens.splits[split].piece
    own = ~np.isin(pieces, copies)
    if (~own).sum() != len(copies):
        raise ValueError(f"{split} of {tokens.name} lacks one of {copies}; repeat: dvc repro")
    chance = {"seed": protocol.seed, "resamples": protocol.resamples}
    units = scored.tokens // protocol.of
    table: dict[str, Any] = {f"{protocol.unit}s": int(units.sum()), "pieces": len(pieces)}
    for name, kept in (("all", np.ones_like(own)), ("without_leaks", own)):
        nats, count = scored.nats[kept], units[kept]
        table[name] = {
            "token_weighted": ratio_interval(nats, count, **chance).plain(),
            "piece_weighted": mean_interval(nats / count, **chance).plain(),
        }
    return table | {"leaked": copies}
