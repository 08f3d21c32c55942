"""Groups pieces and assigns them to splits, once for a whole corpus.

Pieces that share a tune, copies of each other, and pieces of one work form a group. A group is
never split up, except by an official split: then groups across splits are counted.
"""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import require, sha256_file
from ostinato.normalization.alignment import Lines
from ostinato.normalization.catalogue import SPLITS
from ostinato.normalization.copies import (
    LEAST,
    LEAST_THINNED,
    NEAR,
    Sketches,
    components,
    leaks,
    similar_groups,
)
from ostinato.normalization.tunes import tune_groups
from ostinato.seeds import seed_of

LISTED = 100  # groups across splits that the summary lists


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """How pieces are split.

    train, valid, test, seed: shares of the pieces, and the seed of the assignment.
    official: use the split in the dataset's facts. given: use this table of piece and split, whose
    digest is sha256.
    """

    train: float = 0.8
    valid: float = 0.1
    test: float = 0.1
    seed: int = 1
    official: bool = False
    given: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        shares = (self.train, self.valid, self.test)
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(
                f"split shares train={self.train}, valid={self.valid}, test={self.test} "
                "must add up to 1 and not be negative"
            )


@dataclass(frozen=True)
class Pieces:
    """Input of the decision, a row for each piece: ids, marks and facts.

    names: `Marks.name`. melody: `Marks.steps`. works, official: from the dataset's facts, empty if
    unknown. keep: sketches have one in so many passages.
    """

    ids: Sequence[str]
    names: Sequence[str]
    textures: Sequence[str]
    melody: Lines
    texture: Sketches
    works: Sequence[str]
    official: Sequence[str]
    keep: int = 1


@dataclass(frozen=True)
class Decision:
    """The decision, a row for each piece.

    splits: "" if the official split does not list the piece. groups: names of groups. copies: id of
    the first piece of its copies, "" if it has none. leaks: groups across an official split, by
    kind: `pieces` counts {split: {other split: n}}, `groups` lists the first. unmatched: names in
    the table of a given split that do not match a piece.
    """

    splits: Sequence[str]
    groups: Sequence[str]
    copies: Sequence[str]
    leaks: Mapping[str, Any]
    unmatched: Sequence[str] = ()


def rule_from(settings: Any) -> SplitRule:
    """A rule from a dataset's file: shares and seed, `official`, or a given table."""
    if settings == "official":
        return SplitRule(official=True)
    if not isinstance(settings, Mapping):
        raise ValueError(f"split={settings!r} is neither shares of train, valid, test nor official")
    known = ("train", "valid", "test", "seed", "given", "sha256")
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(
            f"split has no {', '.join(unknown)}; it has {', '.join(known)}, or is: official"
        )
    return SplitRule(**settings)


def decide(pieces: Pieces, rule: SplitRule) -> Decision:
    """Groups, copies and splits of all pieces; independent of their order."""
    by_melody = tune_groups(pieces.melody, pieces.names)
    least = max(LEAST_THINNED, LEAST // pieces.keep)
    by_texture = similar_groups(pieces.texture, pieces.textures, NEAR, least=least)
    others = np.concatenate([by_texture, _same(pieces.works)])
    group = components(by_melody, np.tile(np.arange(len(by_melody)), 2), others)
    # the smallest mark names a group, independent of the order of files
    smallest: dict[int, str] = {}
    for number, name in zip(group.tolist(), pieces.names, strict=True):
        smallest[number] = min(smallest.get(number, name), name)
    groups = [smallest[number] for number in group.tolist()]
    unmatched: list[str] = []
    if rule.given:
        listed = read_given(rule)
        splits = [listed.get(piece, "") for piece in pieces.ids]
        unmatched = sorted(listed.keys() - set(pieces.ids))
    elif rule.official:
        splits = list(pieces.official)
    else:
        split_of = assign(groups, rule)
        splits = [split_of[name] for name in groups]
    crossing = {}
    if rule.given or rule.official:
        for kind, numbers in (("melody", by_melody), ("copy", by_texture)):
            crossing[kind] = _named(*leaks(numbers, splits), pieces.ids)
    return Decision(splits, groups, _clusters(by_texture, pieces.ids), crossing, unmatched)


def _named(divided: Sequence[Any], counts: Mapping[str, Any], ids: Sequence[str]) -> dict[str, Any]:
    groups = [{split: [ids[i] for i in rows] for split, rows in group.items()} for group in divided]
    return {"pieces": counts, "groups": groups[:LISTED], "groups_in_all": len(groups)}


def copies_to_drop(decision: Decision, pieces: Pieces) -> dict[str, str]:
    """Ids of copies to drop, each with the id of the piece that is kept.

    Pieces of test are kept first, then of valid, then of train, so a published test set stays
    complete. Within a split the longest is kept, because a copy can be an excerpt.
    """
    ranks = [("test", "valid", "train", "").index(split) for split in decision.splits]
    lengths = np.diff(pieces.texture.offsets).tolist()
    order = sorted(range(len(ranks)), key=lambda i: (ranks[i], -lengths[i], pieces.ids[i]))
    kept: dict[str, str] = {}
    dropped = {}
    for number in order:
        piece, cluster = pieces.ids[number], decision.copies[number]
        if cluster and kept.setdefault(cluster, piece) != piece:
            dropped[piece] = kept[cluster]
    return dropped


def assign(groups: Sequence[str], rule: SplitRule) -> dict[str, str]:
    """The split of every group, of which `groups` has one entry for each piece.

    A function of the group's name and the rule, so a new piece moves no other one; but a group that
    alone would fill more than half of the smallest split goes to the largest one.
    """
    shares = {"train": rule.train, "valid": rule.valid, "test": rule.test}
    limit = max(1, min(share for share in shares.values() if share) * len(groups) / 2)
    largest = max(shares, key=lambda split: shares[split])
    return {
        group: largest if size > limit else split_of(group, rule)
        for group, size in Counter(groups).items()
    }


def split_of(group: str, rule: SplitRule) -> str:
    """The split that the seed draws for a group of this name."""
    position = seed_of("split", rule.seed, group) / 2**63
    if position < rule.train:
        return "train"
    return "valid" if position < rule.train + rule.valid else "test"


def read_given(rule: SplitRule) -> dict[str, str]:
    """The split of every piece in the table of a given split.

    Raises:
        MissingInput: the file is missing.
        ValueError: it has another digest, is not a table of piece and split, or contradicts itself.
    """
    path = require(Path(rule.given), "your own file with the columns piece and split")
    digest = sha256_file(path)
    if digest != rule.sha256:
        raise ValueError(
            f"{rule.given} has changed: its sha256 is {digest}, the dataset's file says "
            f"{rule.sha256 or 'nothing'}; write the new one under normalize.split.sha256"
        )
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        if not {"piece", "split"} <= set(table.fieldnames or ()):
            raise ValueError(f"{rule.given} needs a first line with the columns piece and split")
        listed: dict[str, str] = {}
        lines: dict[str, int] = {}
        for row in table:
            piece, split, line = row["piece"] or "", row["split"] or "", table.line_num
            where = f"{rule.given}, line {line}"
            if not piece:
                raise ValueError(f"{where}: no piece is named; name one or delete the line")
            if not split:
                raise ValueError(
                    f"{where}: piece {piece!r} has no split; write {', '.join(SPLITS)}, or delete "
                    "the line: pieces without one are left out of the corpus, as rejected"
                )
            if split not in SPLITS:
                raise ValueError(
                    f"{where}: piece {piece!r} has split {split!r}; valid are {', '.join(SPLITS)}"
                )
            if listed.setdefault(piece, split) != split:
                raise ValueError(
                    f"{rule.given}: piece {piece!r} has two splits, {listed[piece]!r} in line "
                    f"{lines[piece]} and {split!r} in line {line}; delete one of the lines"
                )
            lines.setdefault(piece, line)
    return listed


def asked_for(rule: SplitRule) -> dict[str, float]:
    """The splits that a rule asks for: their shares, or their rows in a table of a given split.

    None for an official split.
    """
    if rule.official:
        return {}
    if rule.given:
        return dict(Counter(read_given(rule).values()))
    shares = {"train": rule.train, "valid": rule.valid, "test": rule.test}
    return {split: share for split, share in shares.items() if share > 0}


def _same(values: Sequence[str]) -> Any:
    """For every value the index of its first occurrence; an empty one has its own index."""
    first: dict[str, int] = {}
    indices = [first.setdefault(v, i) if v else i for i, v in enumerate(values)]
    return np.array(indices, np.int64)


def _clusters(groups: Any, ids: Sequence[str]) -> list[str]:
    members: dict[int, list[str]] = {}
    for number, piece in zip(groups.tolist(), ids, strict=True):
        members.setdefault(number, []).append(piece)
    return [min(members[n]) if len(members[n]) > 1 else "" for n in groups.tolist()]
