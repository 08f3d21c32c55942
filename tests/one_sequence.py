"""A grammar of one sequence, for tests that follow a single one."""

import numpy as np


class OneSequence:
    """A batch of one: masks of shape (V,), and single tokens."""

    def __init__(self, representation, quarters, prompt):
        self.grammar = representation.grammar(quarters, [prompt])
        self.size = len(representation.vocabulary)

    def allowed(self, column=0):
        mask = self.grammar.allowed(column)
        return np.ones(self.size, bool) if mask is None else mask[0]

    def advance(self, token, column=0):
        self.grammar.advance(np.array([token]), np.array([True]), column)

    def finished(self):
        return bool(self.grammar.finished()[0])
