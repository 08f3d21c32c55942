"""What samples were asked for, against what they are: numbers, categories, length, chords.

Only conditions that a piece itself shows are compared (`representations.conditions.facts_of`, and
levels of a role, `metrics.control.levels_of`); labels, such as a style, need a classifier: see
`labels`. A system whose samples were asked for nothing has none of these figures.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ostinato.evaluation.measures.protocol import Array, Context, Figure, Result
from ostinato.metrics.bootstrap import Interval, mean_interval, ratio_interval
from ostinato.metrics.chords import chord_tones, progression_of
from ostinato.metrics.control import LEVELS, correlation, levels_of
from ostinato.metrics.counts import Count
from ostinato.models.spec import NOT_GIVEN, ConditionSpec
from ostinato.music.piece import Piece
from ostinato.music.timing import bar_onsets
from ostinato.representations.conditions import code_of, facts_of

Row = Mapping[str, Any]


def measure(context: Context) -> Result:
    """Pearson's r of numbers, shares of what was obeyed, share of chord tones."""
    pieces = list(context.samples_whole)
    rows = [context.requests.get(piece.id, {}) for piece in pieces]
    facts = [facts_of(piece) for piece in pieces]
    chance = {"seed": context.seed, "resamples": context.resamples}
    values: dict[str, Figure] = {}
    per_piece: dict[str, Array] = {}
    for entry in context.tokens.codec.get("conditions", ()):
        spec = ConditionSpec.of(entry)
        wanted = [row.get("conditions", {}).get(spec.name) for row in rows]
        real = [fact.get(spec.name) for fact in facts]
        asked = [
            want is not None and got is not None for want, got in zip(wanted, real, strict=True)
        ]
        if not any(asked):
            continue
        codes = np.array([_code(spec, want) for want in wanted])
        got = np.array([code_of(entry, value) for value in real])
        right = np.where(asked, codes == got, np.nan).astype(np.float64)
        values[f"obeyed_{spec.name}"] = Figure.of(
            mean_interval(right, **chance), unit="share", direction="higher",
            label=f"{spec.name} as asked",
        )  # fmt: skip
        per_piece[f"samples_whole/obeyed_{spec.name}"] = right
        if spec.edges:
            numbers = [
                _number(spec, want) if ask else math.nan
                for want, ask in zip(wanted, asked, strict=True)
            ]
            found = [math.nan if value is None else float(value) for value in real]
            values[f"r_{spec.name}"] = Figure.of(
                correlation(numbers, found, **chance), unit="Pearson's r", direction="higher",
                label=f"{spec.name}, asked against found",
            )  # fmt: skip
    values |= _levels(pieces, rows, chance)
    values |= _lengths(pieces, rows, per_piece, chance) | _chords(pieces, rows, per_piece, chance)
    return Result(
        values,
        view="table",
        per_piece=per_piece,
        title="Requests",
        note="A number that was asked for by the name of a bin counts as the middle of its bin. "
        "Chord tones are a share of the time of all notes but drums; beside them stands what the "
        "same samples have of the next sample's chords.",
        order=43,
    )


def _levels(
    pieces: Sequence[Piece], rows: Sequence[Row], chance: Mapping[str, int]
) -> dict[str, Figure]:
    """Pearson's r of levels, from 0 to 4, and the density or register that came of them."""
    wanted = [
        {k: LEVELS.index(v) for k, v in row.get("conditions", {}).items() if v in LEVELS}
        for row in rows
    ]
    found = [
        levels_of(piece, {name.split("_", 1)[-1] for name in want})
        for piece, want in zip(pieces, wanted, strict=True)
    ]
    values: dict[str, Figure] = {}
    for name in sorted({name for want in wanted for name in want}):
        pairs = [
            [want.get(name, math.nan), got.get(name, math.nan)]
            for want, got in zip(wanted, found, strict=True)
        ]
        values[f"r_{name}"] = Figure.of(
            correlation(*np.array(pairs).T, **chance), unit="Pearson's r", direction="higher",
            label=f"{name.replace('_', ' of ')}, asked against found",
        )  # fmt: skip
    return values


def _code(spec: ConditionSpec, value: Any) -> int:
    return NOT_GIVEN if value is None else spec.code_of(value)


def _number(spec: ConditionSpec, value: Any) -> float:
    """A number, or the middle of a bin; of the first and last one, its only edge."""
    if value not in spec.values:
        return float(value)
    code = spec.values.index(value)
    return float(np.mean(spec.edges[max(0, code - 1) : code + 1]))


def _lengths(
    pieces: Sequence[Piece],
    rows: Sequence[Row],
    per_piece: dict[str, Array],
    chance: Mapping[str, int],
) -> dict[str, Figure]:
    """Share of the samples of a fixed length that have exactly so many bars."""
    fixed = [row.get("bars") if row.get("bars") == row.get("min_bars") else None for row in rows]
    right = np.array(
        [
            math.nan if bars is None else float(len(bar_onsets(piece)) == bars)
            for piece, bars in zip(pieces, fixed, strict=True)
        ]
    )
    if np.isnan(right).all():
        return {}
    per_piece["samples_whole/bars_exact"] = right
    found = mean_interval(right, **chance)
    return {
        "bars_exact": Figure.of(
            found, unit="share", direction="higher", label="As many bars as asked"
        )
    }


def _chords(
    pieces: Sequence[Piece],
    rows: Sequence[Row],
    per_piece: dict[str, Array],
    chance: Mapping[str, int],
) -> dict[str, Figure]:
    """Chord tones of the samples that were given chords, and by the chords of the next of them."""
    texts = [row.get("options", {}).get("chords", "") for row in rows]
    given = [number for number, text in enumerate(texts) if text]
    if not given:
        return {}
    own = [Count(0.0, 0.0)] * len(pieces)
    other = [Count(0.0, 0.0)] * len(given)
    for place, number in enumerate(given):
        following = given[(place + 1) % len(given)]
        piece = pieces[number]
        own[number] = chord_tones(piece, progression_of(piece, texts[number]))
        other[place] = chord_tones(piece, progression_of(piece, texts[following]))
    above, below = np.array(own, dtype=np.float64).T
    unknown = np.full(len(pieces), np.nan)
    per_piece["samples_whole/chord_tones"] = np.divide(above, below, out=unknown, where=below > 0)
    shuffled: Interval = ratio_interval(*np.array(other, dtype=np.float64).T, **chance)
    return {
        "chord_tones": Figure.of(
            ratio_interval(above, below, **chance), unit="share", direction="higher",
            label="Chord tones", beside={"by other samples' chords": shuffled},
        )
    }  # fmt: skip
