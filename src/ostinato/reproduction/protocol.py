"""Protocols of published figures: what is scored, and how it is averaged.

A protocol fixes the number of units in each split of the official encoding, the units at the start
of a piece that are given and not scored, and two averages: over all units of a split, and the mean
over pieces of each piece's mean. A second figure leaves out copies of training pieces.
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
    """A protocol.

    unit: name of the unit of a figure, such as cell or frame. units: their number in each split,
    including given ones. of: sub-tokens of a unit. given: units at the start of every piece that
    are not scored; requires units that are whole positions. checked: positions of a piece on which
    the model's likelihood is checked for exactness; 0: all. resamples, seed: of the bootstrap.
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
    """Raise InexactLikelihood if a split has another number of units than published, or if `given`
    is used with units that are not whole positions.
    """
    if protocol.given and tokens.codec["width"] != protocol.of:
        raise InexactLikelihood(
            f"a position of {tokens.name} has {tokens.codec['width']} sub-tokens and a "
            f"{protocol.unit} {protocol.of}: given={protocol.given} cannot be applied"
        )
    for split, expected in protocol.units.items():
        found = count_cells(tokens, split) / protocol.of
        if found != expected:
            raise InexactLikelihood(
                f"{split} of {tokens.name} has {found:g} {protocol.unit}s, the protocol {expected}:"
                f" this is not the official split; make it with: dvc repro encode@{tokens.name}"
            )


def leaked(dataset: str, split: str) -> list[str]:
    """Ids of a split's pieces that are copies of a training piece, in any key."""
    leaks = read_summary(Path("data/corpus") / dataset)["leaks"]
    groups = leaks.get("copy", {}).get("groups", [])
    return sorted(piece for g in groups if "train" in g for piece in g.get(split, []))


def figures(scored: Scored, tokens: TokenSet, split: str, protocol: Protocol) -> dict[str, Any]:
    """Both averages of a split with their intervals over pieces, with and without the copies; and
    `by_piece`, the nats per unit of every piece.
    """
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
    means = np.round(scored.nats / units, 6)
    by_piece = dict(zip(pieces.tolist(), means.tolist(), strict=True))
    return table | {"leaked": copies, "by_piece": by_piece}
