"""Form of samples beside that of held-out music: of excerpts of one length, and of endings."""

from ostinato.evaluation.counted import count_real, figures, of_endings, of_pieces
from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Result
from ostinato.metrics.form import ENDINGS, FORM, endings, form

ALSO_TRIVIAL = True
HEADLINES = ("cadences", "phrases", "last_sonority")
BODY, ENDS = of_pieces(FORM, form), of_endings(ENDINGS, endings)


def reference(corpus: Corpus) -> dict[str, Array]:
    """The counts of real music."""
    return count_real(corpus, BODY) | count_real(corpus, ENDS)


def measure(context: Context) -> Result:
    """Cadences, phrases, keys, repetition, silence, degenerate pieces, endings."""
    values, per_piece, weights = figures(context, BODY, HEADLINES)
    ends, ended, endings_counted = figures(context, ENDS, HEADLINES)
    count, whole = int(context.samples_whole.ended.sum()), len(context.samples_whole)
    return Result(
        values | ends,
        per_piece=per_piece | ended,
        weights=weights | endings_counted,
        title="Form",
        note=f"Endings are of the {count} of {whole} samples that end themselves, and of whole "
        "held-out pieces. The floor is what as many training pieces would get.",
        order=30,
        columns={"cadences": "cadences"},
    )
