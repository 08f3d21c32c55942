"""What each sample shares with the training set, in any key and at any tempo.

Human pieces of one style share passages too. A sample is flagged that shares more than 95 % of
held-out excerpts do: more of its notes, or a longer passage. See `metrics.passages`.
"""

from collections.abc import Mapping

import numpy as np

from ostinato.evaluation.measures.protocol import (
    Array,
    Context,
    Corpus,
    Figure,
    Result,
    Shown,
    as_text,
)
from ostinato.metrics.bootstrap import Interval, mean_interval
from ostinato.metrics.passages import LEAST, PassageIndex, Shared, index_arrays
from ostinato.music.piece import Piece
from ostinato.representations.registry import build

ALSO_TRIVIAL = True
USUAL = 0.95  # quantile of held-out music beyond which a sample is flagged
VALUES = {
    "copied_share": ("share", "Notes in passages of the training set"),
    "longest_sonorities": ("sonorities", "Longest passage of the training set"),
    "longest_quarters": ("quarters", "Longest passage of the training set"),
    "neighbour_share": ("share", "Notes shared with the nearest training piece"),
    "flagged": ("share", "Pieces that share more than is usual"),
}
HEADLINES = ("copied_share", "flagged")


def reference(corpus: Corpus) -> Mapping[str, Array]:
    """The index of all training pieces, their names, and what excerpts of real music share."""
    arrays = index_arrays(corpus.all_train())
    index = PassageIndex(arrays)
    held_out = _values([index.shared(piece) for piece in corpus.held_out])
    names = as_text(corpus.tokens.splits["train"].piece.tolist())
    return {**arrays, "names": names, **{f"held_out_{k}": v for k, v in held_out.items()}}


def measure(context: Context) -> Result:
    """Shares and lengths of samples beside those of held-out music, and who is flagged."""
    index = PassageIndex(context.reference)
    found = [index.shared(piece) for piece in context.samples]
    ours = _values(found)
    theirs = {name: context.reference[f"held_out_{name}"] for name in ours}
    most = {
        name: float(np.nanquantile(theirs[name], USUAL)) if len(theirs[name]) else np.inf
        for name in ("copied_share", "longest_sonorities")
    }
    for values in (ours, theirs):
        beyond = [values[name] > bound for name, bound in most.items()]
        values["flagged"] = np.any(beyond, axis=0).astype(np.float64)
    figures = {}
    for name, (unit, label) in VALUES.items():
        figures[name] = Figure.of(
            _mean(ours[name], context.samples.groups, context),
            unit=unit,
            reference=_mean(theirs[name], context.held_out.groups, context),
            label=label,
            direction="lower" if name == "flagged" else "corpus",
            is_headline=name in HEADLINES,
        )
    return Result(
        figures,
        view="gallery",
        per_piece={
            f"{kind}/{name}": values[name]
            for kind, values in (("samples", ours), ("held_out", theirs))
            for name in values
        },
        gallery=[
            _shown(context, piece, shared, bool(flag))
            for piece, shared, flag in zip(context.samples, found, ours["flagged"], strict=True)
        ],
        title="Originality",
        note=f"Passages of {LEAST} or more sonorities in a row that occur in a training piece, in "
        f"any key and at any tempo. A sample is flagged beyond 95 % of held-out excerpts: "
        f"{most['copied_share']:.0%} of its notes, or {most['longest_sonorities']:.0f} sonorities.",
        order=18,
        columns={"copied_share": "copied"},
    )


def _values(found: list[Shared]) -> dict[str, Array]:
    longest = [shared.longest for shared in found]
    columns = {
        "copied_share": [shared.share for shared in found],
        "longest_sonorities": [float(p.sonorities) if p else 0.0 for p in longest],
        "longest_quarters": [p.quarters if p else 0.0 for p in longest],
        "neighbour_share": [shared.neighbour_share for shared in found],
    }
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def _mean(values: Array, groups: Array, context: Context) -> Interval:
    return mean_interval(values, groups=groups, seed=context.seed, resamples=context.resamples)


def _shown(context: Context, piece: Piece, shared: Shared, is_flagged: bool) -> Shown:
    """A sample beside its nearest training piece, and where the longest passage of both is."""
    near = shared.neighbour
    if near is None:
        return Shown(piece.id, None, f"shares no {LEAST} sonorities with a training piece")
    part = context.tokens.splits["train"]
    decoded = build(context.tokens.codec["representation"]).decode(
        np.asarray(part.tokens_of(near.source), dtype=np.int32)
    )
    name = str(context.reference["names"][near.source])
    caption = (
        f"{shared.neighbour_share:.0%} of its notes are in {name}; the longest passage is of "
        f"{near.sonorities} sonorities ({near.notes} notes, {near.quarters:g} quarters): here from "
        f"quarter {near.start:g}, there from {near.source_start:g}"
    )
    return Shown(piece.id, decoded, caption, is_flagged)
