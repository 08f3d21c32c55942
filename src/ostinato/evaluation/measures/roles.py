"""Roles together: what each costs, whether they begin together, whether they sound like one piece.

"Like one piece" is the mean probability, by a classifier of real pairs of roles against pairs of
different pieces (metrics/roles.py). Held-out pairs and held-out pairs of different pieces stand
beside it: these are the best and the worst that can be expected.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch

from ostinato.evaluation.counted import Counting, count_real, figures
from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Excerpts, Figure, Result
from ostinato.loading.batches import conditions_of, whole_pieces
from ostinato.metrics.bootstrap import mean_interval, ratio_interval
from ostinato.metrics.counts import Counted, Counts
from ostinato.metrics.roles import (
    chance_of_one_piece,
    features_of,
    on_the_kick,
    onsets_together,
    pairs_of,
    parts_of,
)
from ostinato.models.spec import Given
from ostinato.music.piece import Piece
from ostinato.music.roles import DRUMS

Pair = tuple[str, str]
KICKED = (DRUMS, "bass")
MOST_ROLES = 6  # pairs of more would be a page


def reference(corpus: Corpus) -> dict[str, Array]:
    """Counts of onsets, and features of pairs of roles of real music, as they are and shuffled."""
    pairs = _pairs(corpus.held_out)
    found = count_real(corpus, _onsets(pairs))
    for name in ("held_out", "train"):
        parts = [parts_of(piece) for piece in getattr(corpus, name)]
        for pair in pairs:
            for shuffled in (False, True):
                key = f"{name}.{'_'.join(pair)}.{'shuffled' if shuffled else 'real'}"
                found[key] = features_of(pairs_of(parts, pair, shuffled=shuffled))
    return found


def measure(context: Context) -> Result:
    """Nats a note of each role, where tokens say whose they are; and of each pair of roles."""
    pairs = _pairs(context.held_out)
    values, per_piece, weights = figures(context, _onsets(pairs))
    ones: dict[str, list[Array]] = {"samples": [], "held_out": [], "apart": []}
    chance = {"seed": context.seed, "resamples": context.resamples}
    parts = [parts_of(piece) for piece in context.samples]
    for pair in pairs:
        name = "_".join(pair)
        stored = {
            key: context.reference[f"{key}.{name}.{kind}"]
            for key, kind in (("train", "real"), ("held_out", "real"))
        }
        apart = {key: context.reference[f"{key}.{name}.shuffled"] for key in ("train", "held_out")}
        learned = stored["train"], apart["train"]
        mine = chance_of_one_piece(*learned, features_of(pairs_of(parts, pair, shuffled=False)))
        theirs = chance_of_one_piece(*learned, stored["held_out"])
        others = chance_of_one_piece(*learned, apart["held_out"])
        if np.isnan(theirs).all():
            continue
        key = f"one_piece_{name}"
        held_out, samples = context.held_out.groups, context.samples.groups
        values[key] = Figure.of(
            mean_interval(mine, groups=samples, **chance),
            unit="probability",
            label=f"Like one piece, {pair[0]} and {pair[1]}",
            reference=mean_interval(theirs, groups=held_out, **chance),
            beside={"of different pieces": mean_interval(others, groups=held_out, **chance)},
        )
        per_piece |= {f"samples/{key}": mine, f"held_out/{key}": theirs}
        for kind, values_P in zip(ones, (mine, theirs, others), strict=True):
            ones[kind].append(values_P)
    together = _over_pairs(context, ones, chance)
    return Result(
        _costs(context) | together | values,
        view="table",
        per_piece=per_piece,
        weights=weights,
        title="Roles together",
        note="Like one piece: by a classifier of real pairs of roles against pairs of different "
        "pieces. Onsets together: the share of the second role's onsets on which the first begins, "
        "too; on the kick: on which a bass drum is struck.",
        order=41,
    )


def _over_pairs(
    context: Context, ones: Mapping[str, Sequence[Array]], chance: Mapping[str, int]
) -> dict[str, Figure]:
    """The mean over all pairs of roles of each piece."""
    if not ones["samples"]:
        return {}
    counts = {kind: _mean(rows) for kind, rows in ones.items()}
    held_out = context.held_out.groups
    apart = mean_interval(counts["apart"], groups=held_out, **chance)
    return {
        "one_piece": Figure.of(
            mean_interval(counts["samples"], groups=context.samples.groups, **chance),
            unit="probability",
            label="Like one piece, all pairs of roles",
            reference=mean_interval(counts["held_out"], groups=held_out, **chance),
            beside={"of different pieces": apart},
            is_headline=True,
        )
    }


def _mean(rows: Sequence[Array]) -> Array:
    """Of the pairs that a piece has; NaN where it has none."""
    table = np.stack(rows)
    known = ~np.isnan(table)
    sums, counts = np.where(known, table, 0.0).sum(axis=0), known.sum(axis=0)
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def _costs(context: Context) -> dict[str, Figure]:
    """Nats a note of every role on test, where an encoding has tokens of its own for each role."""
    codec = context.tokens.codec
    if context.scorer is None or codec.get("representation", {}).get("kind") != "roles":
        return {}
    names, part = codec["vocabulary"], context.tokens.splits["test"]
    chance = {"seed": context.seed, "resamples": context.resamples}
    found = {}
    roles = codec["representation"]["roles"]
    owners = np.array([_owner(name, roles) for name in names])
    pitches = np.array(["_pitch_" in name for name in names])
    nats, notes = np.zeros((len(roles), len(part))), np.zeros((len(roles), len(part)))
    for numbers, batch in whole_pieces(context.tokens, "test"):
        with torch.inference_mode():
            costs = context.scorer.score(batch, Given(conditions_of(part, numbers)))
        for number, row in zip(numbers, costs.numpy()[..., 0], strict=True):
            tokens = part.tokens_of(number)[:, 0]
            for role in range(len(roles)):
                mine = owners[tokens] == role
                nats[role, number] = row[: len(tokens)][mine].sum(dtype=np.float64)
                notes[role, number] = (mine & pitches[tokens]).sum()
    for role, name in enumerate(roles):
        if notes[role].sum():
            found[f"nats_per_note_{name}"] = Figure.of(
                ratio_interval(nats[role], notes[role], groups=context.groups["test"], **chance),
                unit="nats per note",
                direction="lower",
                label=f"Nats per note, {name}, test",
                is_bound=context.scorer.kind == "bound",
            )
    return found


def _owner(name: str, roles: Sequence[str]) -> int:
    """The role whose note a token is part of; -1 for bars, and for what opens a part."""
    kinds = ("_position_", "_pitch_", "_duration_")
    return next(
        (i for i, role in enumerate(roles) for kind in kinds if name.startswith(role + kind)), -1
    )


def _pairs(held_out: Excerpts) -> list[Pair]:
    """Drums first, so that the onsets of others are looked for among theirs."""
    found = {track.role for piece in held_out for track in piece.tracks if track.role}
    roles = sorted(found, key=lambda role: (role != DRUMS, role))
    return list(combinations(roles, 2)) if len(roles) <= MOST_ROLES else []


def _onsets(pairs: Sequence[Pair]) -> Counting:
    """Onsets together, of roles of one piece and of different pieces."""
    kinds = {"onsets_together": False, "shuffled_onsets": True}
    words = {False: "Onsets together", True: "Onsets together, roles of different pieces"}
    texts = {
        f"{kind}_{'_'.join(pair)}": Counted(f"{words[shuffled]}, {pair[0]} and {pair[1]}")
        for kind, shuffled in kinds.items()
        for pair in pairs
    }
    if KICKED in pairs:
        texts |= {"on_the_kick_bass": Counted("Onsets on the kick, bass")}

    def counts(excerpts: Sequence[Piece]) -> dict[str, Counts]:
        parts, found = [parts_of(piece) for piece in excerpts], {}
        for kind, shuffled in kinds.items():
            for pair in pairs:
                both = pairs_of(parts, pair, shuffled=shuffled)
                rows = [(0.0, 0.0) if two is None else onsets_together(*two) for two in both]
                columns = np.array(rows, dtype=np.float64).reshape(-1, 2)
                found[f"{kind}_{'_'.join(pair)}"] = Counts(columns[:, 0], columns[:, 1])
        if KICKED in pairs:
            kicks = np.array([on_the_kick(piece, "bass") for piece in excerpts], np.float64)
            found["on_the_kick_bass"] = Counts(*kicks.reshape(-1, 2).T)
        return found

    return Counting(texts, counts)
