"""Figures of measures that count (`metrics.counts`), for measure files of several kinds.

The counts of real music are made once an encoding: `count_real` is what a measure's `reference`
returns, and `figures` compares a system's samples with it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Excerpts, Figure
from ostinato.metrics.bootstrap import ratio_interval
from ostinato.metrics.counts import Count, Counted, Counts, count_all, floor_interval
from ostinato.music.piece import Piece


@dataclass(frozen=True)
class Counting:
    """What is counted: `counts` gives the counts of a set by name, `texts` says what they are.

    whole: of whole pieces instead of excerpts of one length.
    """

    texts: Mapping[str, Counted]
    counts: Callable[[Excerpts], Mapping[str, Counts]]
    whole: bool = False

    @property
    def suffix(self) -> str:
        """Of the sets' names in `Context`."""
        return "_whole" if self.whole else ""


def of_pieces(texts: Mapping[str, Counted], of: Callable[[Piece], dict[str, Count]]) -> Counting:
    """Counts of each excerpt by itself."""
    return Counting(texts, lambda excerpts: count_all(excerpts, texts, of))


def of_endings(texts: Mapping[str, Counted], of: Callable[[Piece], dict[str, Count]]) -> Counting:
    """Counts of each whole piece that ends; of samples that were cut off there is nothing."""

    def counts(excerpts: Excerpts) -> dict[str, Counts]:
        ended = excerpts.ended.astype(np.float64)
        found = count_all(excerpts, texts, of)
        return {name: Counts(c.above * ended, c.below * ended) for name, c in found.items()}

    return Counting(texts, counts, whole=True)


def count_real(corpus: Corpus, counting: Counting) -> dict[str, Array]:
    """The counts of held-out and training music: arrays (2, pieces) by `<set>.<name>`."""
    return {
        f"{kind}.{name}": np.stack([counts.above, counts.below])
        for kind in ("held_out", "train")
        for name, counts in counting.counts(getattr(corpus, kind + counting.suffix)).items()
    }


def figures(
    context: Context, counting: Counting, headlines: Collection[str] = ()
) -> tuple[dict[str, Figure], dict[str, Array], dict[str, Array]]:
    """Figures by name, values of single pieces and their weights, as Result has them.

    The value of held-out music stands beside each figure, and as its floor the value that as many
    training pieces as there are samples would get. What is undefined for all held-out music is left
    out.
    """
    suffix = counting.suffix
    samples = getattr(context, f"samples{suffix}")
    held_out = getattr(context, f"held_out{suffix}")
    found = counting.counts(samples)
    values: dict[str, Figure] = {}
    per_piece: dict[str, Array] = {}
    weights: dict[str, Array] = {}
    for name, text in counting.texts.items():
        real = {k: Counts(*context.reference[f"{k}.{name}"]) for k in ("held_out", "train")}
        if not real["held_out"].below.sum():
            continue
        chance = {"seed": context.seed, "resamples": context.resamples}
        mine, theirs = (
            ratio_interval(counts.above, counts.below, groups=part.groups, **chance)
            for counts, part in ((found[name], samples), (real["held_out"], held_out))
        )
        drawn = int((found[name].below > 0).sum())
        floor = floor_interval(real["train"], drawn, **chance)
        values[name] = Figure.of(
            mine,
            unit=text.unit,
            direction=text.direction,
            label=text.label,
            reference=theirs,
            floor=floor,
            is_headline=name in headlines,
        )
        sets = {"samples": found[name], **real}
        per_piece |= {f"{k}{suffix}/{name}": counts.per_piece() for k, counts in sets.items()}
        weights |= {f"{k}{suffix}/{name}": counts.below for k, counts in sets.items()}
    return values, per_piece, weights
