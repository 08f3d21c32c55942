"""A grammar of one sequence, and how long pieces are, for tests of grammars."""

import numpy as np

from ostinato.representations.protocol import Extent


class OneSequence:
    """A batch of one: masks of shape (V,), and single tokens."""

    def __init__(self, representation, extent, prompt):
        self.grammar = representation.grammar(extent, [prompt])
        self.size = len(representation.vocabulary)

    def allowed(self, column=0):
        mask = self.grammar.allowed(column)
        return np.ones(self.size, bool) if mask is None else mask[0]

    def advance(self, token, column=0):
        self.grammar.advance(np.array([token]), np.array([True]), column)

    def finished(self):
        return bool(self.grammar.finished()[0])


def exactly(bars, meter=None):
    """So many bars, no more and no less."""
    return Extent(bars=bars, least=bars, meter=meter)


def as_long_as(representation, tokens):
    """What a piece of these tokens may be followed with: to its end, or for its length."""
    options = representation.codec()
    if options["kind"] in ("events", "roles") or options.get("end"):
        return Extent(bars=None)
    if options["kind"] == "pitch":
        return exactly(len(tokens) - 1, "1/4")
    voices = len(options["voices"]) if options["kind"] == "grid_flat" else 1
    return exactly(len(tokens) // voices, f"1/{4 * options['steps_per_quarter']}")


def end_of_bar(piece, bars):
    """Quarters from the start to the end of a bar, where all bars are whole."""
    ends, meters = [0], {meter.onset: meter.bar_quarters() for meter in piece.meters}
    for _ in range(bars):
        meter = max(onset for onset in meters if onset <= ends[-1] * piece.ticks_per_quarter)
        ends.append(ends[-1] + meters[meter])
    return ends[-1]
