"""Playability of samples beside that of held-out music."""

from ostinato.evaluation.counted import count_real, figures, of_pieces
from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Result
from ostinato.metrics.playability import PLAYABILITY, playability

COUNTING = of_pieces(PLAYABILITY, playability)


def reference(corpus: Corpus) -> dict[str, Array]:
    """The counts of real music."""
    return count_real(corpus, COUNTING)


def measure(context: Context) -> Result:
    """Mistakes a part: notes out of range, too many at once, drum hits that need three hands."""
    values, per_piece, weights = figures(context, COUNTING)
    return Result(
        values,
        view="table",
        per_piece=per_piece,
        weights=weights,
        title="Playability",
        note="Instruments are those of the tracks' programs, voices those of a choir. Mistakes a "
        "part grow with length; excerpts have one length. Aim: at most 0.28 a part.",
        order=42,
    )
