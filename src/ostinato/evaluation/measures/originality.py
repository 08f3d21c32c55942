"""The longest passage that each sample shares with the training set, in any key and tempo."""

import numpy as np

from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Figure, Result
from ostinato.metrics.bootstrap import mean_interval
from ostinato.metrics.originality import PassageIndex

SETS = ("samples", "held_out")


def reference(corpus: Corpus) -> dict[str, Array]:
    """The index of all training pieces, and what held-out music shares with them."""
    index = PassageIndex(list(corpus.all_train()))
    held_out = [float(index.longest(piece).notes) for piece in corpus.held_out]
    return index.arrays() | {"held_out": np.array(held_out)}


def measure(context: Context) -> Result:
    """Notes of the longest passage, on average over excerpts, beside held-out music's."""
    stored = dict(context.reference)
    held_out = stored.pop("held_out")
    index = PassageIndex.stored(stored)
    found = [index.longest(piece) for piece in context.samples]
    notes = {"samples": np.array([float(p.notes) for p in found]), "held_out": held_out}
    ours, theirs = (
        mean_interval(
            notes[kind],
            groups=getattr(context, kind).groups,
            seed=context.seed,
            resamples=context.resamples,
        )
        for kind in SETS
    )
    return Result(
        {
            "copied": Figure.of(
                ours,
                unit="notes",
                label="Longest copied passage",
                reference=theirs,
                is_headline=True,
            )
        },
        view="density",
        per_piece={f"{kind}/copied": values for kind, values in notes.items()},
        title="Originality",
        note="The longest passage of each excerpt that also occurs in a training piece. Held-out "
        "music, which is not copied, shows how much pieces of this style share.",
        order=40,
    )
