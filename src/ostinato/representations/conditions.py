"""What is known of every piece besides its notes, as codes a model can be conditioned on.

Labels of the corpus (style, composer, emotion ...), the meter at the start and which roles play are
categories. Tempo, bars and density are numbers, coded by bins that hold equal shares of the train
split. `codec.json` lists every condition with its values and how many pieces have each; `index.npz`
holds one code for each piece and condition, and the numbers themselves.
"""

# P pieces, K conditions

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Piece
from ostinato.music.timing import bar_onsets

UNKNOWN = -1
NUMBERS = ("tempo", "bars", "density")
PLAYS = "plays_"
MOST_VALUES = 64  # a label with more values names pieces rather than kinds of music
MOST_BINS = 8
Facts = Mapping[str, str | float]


def facts_of(piece: Piece) -> dict[str, str | float]:
    """The conditions that a piece of a corpus has, by name.

    tempo: quarter notes a minute at the start. meter: at the start, as `3/4`. bars: printed bars,
    or bars of the meter. density: notes per quarter note. `plays_<role>`: yes, for each role that
    has notes. What is not known is left out.
    """
    facts: dict[str, str | float] = dict(piece.labels)
    if piece.tempos:
        facts["tempo"] = float(piece.tempos[0].qpm)
    if piece.meters:
        meter = piece.meters[0]
        facts["meter"] = f"{meter.numerator}/{meter.denominator}"
    facts["bars"] = float(len(bar_onsets(piece)))
    if piece.quarters:
        facts["density"] = len(piece.notes) / piece.quarters
    for number in np.unique(piece.notes["track"]).tolist():
        if piece.tracks[number].role:
            facts[f"{PLAYS}{piece.tracks[number].role}"] = "yes"
    return facts


class Conditions:
    """Collects the facts of every piece of every split, then codes them."""

    def __init__(self) -> None:
        self._facts: dict[str, list[Facts]] = {}

    def add(self, split: str, piece: Piece) -> None:
        """Take the facts of the next piece of a split."""
        self._facts.setdefault(split, []).append(facts_of(piece))

    def specifications(self) -> list[dict[str, Any]]:
        """Every condition for `codec.json`, sorted by name: `name`, `values` and `pieces` (how many
        pieces of all splits have each value); numbers also have `edges`, the inner bounds of their
        bins.
        """
        pieces = [facts for part in self._facts.values() for facts in part]
        names = sorted({name for facts in pieces for name in facts})
        left_out = self.left_out()
        return [
            self._number(name) if name in NUMBERS else _category(name, pieces)
            for name in names
            if name not in left_out
        ]

    def left_out(self) -> dict[str, int]:
        """Labels that have too many values to be conditions, with the number of their values."""
        values: dict[str, set[str | float]] = {}
        for part in self._facts.values():
            for facts in part:
                for name, value in facts.items():
                    if name not in NUMBERS:
                        values.setdefault(name, set()).add(value)
        return {n: len(found) for n, found in sorted(values.items()) if len(found) > MOST_VALUES}

    def arrays(self, split: str) -> dict[str, npt.NDArray[Any]]:
        """For `index.npz`: `conditions` of shape (P, K), UNKNOWN where a piece has no value, and
        the numbers, NaN where unknown.
        """
        pieces, specifications = self._facts.get(split, []), self.specifications()
        codes = [
            [code_of(spec, _value(facts, spec["name"])) for spec in specifications]
            for facts in pieces
        ]
        numbers = {
            name: np.array([facts.get(name, np.nan) for facts in pieces], dtype=np.float64)
            for name in NUMBERS
        }
        shape = (len(pieces), len(specifications))
        return {"conditions": np.array(codes, dtype=np.int16).reshape(shape)} | numbers

    def _number(self, name: str) -> dict[str, Any]:
        every = [facts[name] for part in self._facts.values() for facts in part if name in facts]
        train = [facts[name] for facts in self._facts.get("train", []) if name in facts]
        shares = np.linspace(0, 1, MOST_BINS + 1)[1:-1]
        found = np.quantile(np.array(train or every, dtype=np.float64), shares, method="lower")
        edges = [round(edge, 4) for edge in np.unique(found).tolist()]
        bounds = [f"{edge:g}" for edge in edges]
        values = [f"below {bounds[0]}"]
        values += [f"{low} to below {high}" for low, high in pairwise(bounds)]
        values.append(f"from {bounds[-1]}")
        spec = {"name": name, "values": values, "edges": edges}
        counts = Counter(code_of(spec, value) for value in every)
        return spec | {"pieces": [counts[code] for code in range(len(values))]}


def code_of(spec: Mapping[str, Any], value: str | float | None) -> int:
    """The code of a value under one entry of `codec.json`; UNKNOWN for None and values not listed.

    A number that equals an edge belongs to the bin above it.
    """
    if value is None:
        return UNKNOWN
    if "edges" in spec:
        return int(np.searchsorted(np.array(spec["edges"]), float(value), side="right"))
    values: Sequence[str] = spec["values"]
    return values.index(str(value)) if str(value) in values else UNKNOWN


def _value(facts: Facts, name: str) -> str | float | None:
    return facts.get(name, "no" if name.startswith(PLAYS) else None)


def _category(name: str, pieces: Sequence[Facts]) -> dict[str, Any]:
    found = (_value(facts, name) for facts in pieces)
    counts = Counter(str(value) for value in found if value is not None)
    values = sorted(counts)
    return {"name": name, "values": values, "pieces": [counts[value] for value in values]}
