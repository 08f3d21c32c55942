"""Part-writing of samples beside that of held-out music."""

from ostinato.evaluation.counted import Counting, count_real, figures, of_pieces
from ostinato.evaluation.measures.protocol import Array, Context, Corpus, Excerpts, Result
from ostinato.metrics.counts import Counted
from ostinato.metrics.part_writing import PART_WRITING, part_writing, voice_ranges

ALSO_TRIVIAL = True
HEADLINES = ("parallel_fifths", "parallel_octaves", "triads")
COUNTING = of_pieces(PART_WRITING, part_writing)


def reference(corpus: Corpus) -> dict[str, Array]:
    """The counts of real music."""
    return count_real(corpus, COUNTING) | count_real(corpus, _ranges(corpus.held_out))


def measure(context: Context) -> Result:
    """Parallels, crossing, spacing, lines, sonorities, texture and the range of each voice."""
    values, per_piece, weights = figures(context, COUNTING, HEADLINES)
    ranges, widths, tracks = figures(context, _ranges(context.held_out))
    return Result(
        values | ranges,
        per_piece=per_piece | widths,
        weights=weights | tracks,
        title="Part-writing",
        note="Every pair, beat and step weighs the same. The corpus is the referee: Bach writes a "
        "few parallels, too. The floor is what as many training pieces would get.",
        order=20,
        columns={"parallel_fifths": "fifths"},
    )


def _ranges(held_out: Excerpts) -> Counting:
    """The range of every role of held-out music, by `range_<role>`."""
    roles = sorted({t.role for piece in held_out for t in piece.tracks if not t.is_drum})
    texts = {f"range_{role}": Counted(f"Range, {role or 'other'}", "semitones") for role in roles}
    return of_pieces(
        texts, lambda piece: {f"range_{role}": c for role, c in voice_ranges(piece).items()}
    )
