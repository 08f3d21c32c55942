"""How far a figure may be from the committed one when it was made on another kind of processor.

TOLERANCES is the one table of it; docs/reproducibility.md holds it in words, and a test compares
the two. Figures are the leaves of evaluation/<system>/details.json, named by their dotted path; one
with an interval is the dictionary {value, low, high}.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, Literal

Rule = Literal["share", "intervals", "any", "skip"]


@dataclass(frozen=True)
class Tolerance:
    """Figures whose names match a pattern, and how far they may lie apart.

    rule: "share", by at most `bound` times the committed value; "intervals", by at most `bound`
    times the root of the sum of squares of the half-widths of both intervals; "any", at will;
    "skip", at will, and only one side may have them.
    """

    pattern: str
    rule: Rule
    bound: float
    reason: str

    def __str__(self) -> str:
        """The bound in words."""
        if self.rule == "any":
            return "is not compared"
        if self.rule == "skip":
            return "is not compared, and may be missing"
        if self.rule == "share":
            return f"within {self.bound:g} of its value"
        return f"within {self.bound:g} × √(half-width² + half-width²) of both 95 % intervals"


TOLERANCES = (  # the first that matches holds
    Tolerance(
        "measures.likelihood.*",
        "share",
        0.03,
        "weights end elsewhere; AMD EPYC against Intel Xeon, each at its own speed, differed by "
        "0.0000 to 0.022 of the value",
    ),
    Tolerance("*_sha256", "any", math.inf, "the bytes of the weights, which differ"),
    Tolerance(
        "samples.*",
        "any",
        math.inf,
        "other samples are drawn: another number of them may be long enough to be compared",
    ),
    Tolerance("measures.*.note", "any", math.inf, "says in words how many samples there were"),
    Tolerance(
        "measures.two_sample.values.clue_*",
        "skip",
        math.inf,
        "the features that tell these samples best; other samples have other ones",
    ),
    Tolerance(
        "measures.*.values.*",
        "intervals",
        2,
        "other samples are drawn: their means differ as those of two draws do, and by a little "
        "more because the weights differ",
    ),
    Tolerance("*", "share", 1e-6, "computed from data alone, without a model"),
)
SOUND = "samples.seconds"  # the figure that only systems of sound have


@dataclass(frozen=True)
class Deviation:
    """A figure that lies outside of its tolerance."""

    system: str
    figure: str
    committed: Any
    here: Any
    allowed: str


def tolerance_of(figure: str) -> Tolerance:
    """The tolerance of a figure by its dotted name."""
    return next(one for one in TOLERANCES if fnmatch(figure, one.pattern))


def figures(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every figure of a metrics file with its dotted name."""
    for key, value in metrics.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and "value" not in value:
            yield from figures(value, f"{name}.")
        else:
            yield name, value


def deviations(
    system: str, committed: Mapping[str, Any], here: Mapping[str, Any]
) -> list[Deviation]:
    """Figures of one system that are not within tolerance, or that only one side has.

    An encoding of sound has other bytes on another processor, as its last bits are rounded there.
    """
    theirs, ours = dict(figures(committed)), dict(figures(here))
    if SOUND in theirs and SOUND in ours:
        theirs["tokens_digest"] = ours["tokens_digest"] = "of sound"
    found = []
    for name in sorted(theirs.keys() | ours.keys()):
        tolerance = tolerance_of(name)
        left, right = theirs.get(name, "missing"), ours.get(name, "missing")
        if not _within(tolerance, left, right):
            found.append(Deviation(system, name, _shown(left), _shown(right), str(tolerance)))
    return found


def _within(tolerance: Tolerance, left: Any, right: Any) -> bool:
    if left == right or tolerance.rule == "skip":
        return True
    if tolerance.rule == "any" and "missing" not in (left, right):
        return True
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        pair: tuple[Any, Any] = (left.get("value"), right.get("value"))
    else:
        pair = (left, right)
    if not all(isinstance(x, int | float) and math.isfinite(x) for x in pair):
        return pair[0] == pair[1]
    apart = abs(pair[0] - pair[1])
    if tolerance.rule == "intervals":
        if not isinstance(left, Mapping) or not isinstance(right, Mapping):
            return apart == 0
        if any(side.get(x) is None for side in (left, right) for x in ("low", "high")):
            return True  # a count without an interval: of other samples, so it says nothing
        widths = [(side["high"] - side["low"]) / 2 for side in (left, right)]
        return bool(apart <= tolerance.bound * math.hypot(*widths))
    return bool(apart <= tolerance.bound * abs(pair[0]) or apart < 1e-12)


def _shown(figure: Any) -> str:
    if isinstance(figure, Mapping):
        figure = figure.get("value")
    return f"{figure:.5g}" if isinstance(figure, float) else str(figure)
