"""Whether samples that were asked for a label, such as a style, are taken for it by a classifier.

The classifier learns from training music (`metrics.control`). Its accuracy on held-out music is the
ceiling; the share of the commonest label of held-out music is the floor. A system whose samples
were asked for no label has none of these figures.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Excerpts, Figure, Result
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.bootstrap import mean_interval
from ostinato.metrics.control import judged, style_features
from ostinato.models.spec import NOT_GIVEN, ConditionSpec
from ostinato.representations.conditions import PLAYS, facts_of

FEWEST = 5  # training pieces of a label that the classifier learns


def reference(corpus: Corpus) -> dict[str, Array]:
    """Features of real music and the codes of its labels; nothing for a corpus without labels."""
    names = _labels(corpus.tokens, corpus.held_out)
    found: dict[str, Array] = {}
    for kind in ("held_out", "train") if names else ():
        pieces = getattr(corpus, kind)
        found[f"{kind}.features"] = style_features(list(pieces))
        for name in names:
            found[f"{kind}.label.{name}"] = _codes(corpus.tokens, pieces, name)
    return found


def measure(context: Context) -> Result:
    """For each label that samples were asked for, how often they are judged to have it."""
    chance = {"seed": context.seed, "resamples": context.resamples}
    rows = [context.requests.get(piece.id, {}) for piece in context.samples]
    values: dict[str, Figure] = {}
    per_piece: dict[str, Array] = {}
    ours: Array | None = None
    for name in _stored(context.reference):
        asked = _asked(context.tokens, rows, name)
        train = context.reference[f"train.label.{name}"]
        learned = _learned(train)
        wanted = np.isin(asked, learned)
        if len(learned) < 2 or not wanted.any():
            continue
        ours = style_features(list(context.samples)) if ours is None else ours
        real = context.reference["held_out.features"]
        known = np.isin(train, learned)
        features, labels = context.reference["train.features"][known], train[known]
        found = judged(features, labels, np.concatenate([ours, real]))
        mine = np.where(wanted, found[: len(ours)] == asked, np.nan)
        truth = context.reference[f"held_out.label.{name}"]
        theirs = np.where(np.isin(truth, learned), found[len(ours) :] == truth, np.nan)
        commonest = np.bincount(labels).argmax()
        most = np.where(np.isnan(theirs), np.nan, truth == commonest)
        groups = context.held_out.groups
        values[f"judged_{name}"] = Figure.of(
            mean_interval(mine, **chance),
            unit="share",
            direction="higher",
            label=f"Judged to have the {name} asked for",
            reference=mean_interval(theirs, groups=groups, **chance),
            beside={"commonest label": mean_interval(most, groups=groups, **chance)},
        )
        per_piece |= {f"samples/judged_{name}": mine, f"held_out/judged_{name}": theirs}
    return Result(
        values,
        view="table",
        per_piece=per_piece,
        title="Labels",
        note="By a logistic regression that learned training music. Its accuracy on held-out music "
        "is the most that can be expected, the share of the commonest label the least.",
        order=44,
    )


def _labels(tokens: TokenSet, held_out: Excerpts) -> list[str]:
    """Conditions that no piece shows by itself."""
    shown = {name for piece in held_out for name in facts_of(piece)}
    specs = [ConditionSpec.of(entry) for entry in tokens.codec.get("conditions", ())]
    return [
        spec.name
        for spec in specs
        if not spec.edges and spec.name not in shown and not spec.name.startswith(PLAYS)
    ]


def _codes(tokens: TokenSet, pieces: Excerpts, name: str) -> Array:
    """The codes of a label of real pieces."""
    column = [entry["name"] for entry in tokens.codec["conditions"]].index(name)
    code = {
        (split, str(piece)): int(part.conditions[number, column])
        for split, part in tokens.splits.items()
        for number, piece in enumerate(part.piece.tolist())
    }
    pairs = zip(pieces.split.tolist(), pieces.ids, strict=True)
    return np.array([code[pair] for pair in pairs], dtype=np.int64)


def _asked(tokens: TokenSet, rows: list[Mapping[str, Any]], name: str) -> Array:
    """The codes that samples were asked for."""
    entry = next(entry for entry in tokens.codec["conditions"] if entry["name"] == name)
    spec = ConditionSpec.of(entry)
    wanted = [row.get("conditions", {}).get(name) for row in rows]
    return np.array([NOT_GIVEN if x is None else spec.code_of(x) for x in wanted], dtype=np.int64)


def _learned(codes: Array) -> Array:
    """The labels that enough training pieces have."""
    found, counts = np.unique(codes[codes != NOT_GIVEN], return_counts=True)
    return found[counts >= FEWEST]


def _stored(reference: Mapping[str, Array]) -> list[str]:
    start = "train.label."
    return [key.removeprefix(start) for key in reference if key.startswith(start)]
