"""One piece of an autoregressive model, bar by bar, with a player's bars in between."""

import math

import numpy as np

from ostinato.music.piece import Piece
from ostinato.representations.protocol import Grammar, Representation, Timed, Tokens
from ostinato.sampling.autoregressive.decode import Stream
from ostinato.sampling.prompts import prefix_of
from ostinato.sampling.request import BEATS_PER_BAR
from ostinato.sampling.sampler import Made

ONE = np.ones(1, dtype=bool)


class BarSession:
    """A Stream of one sequence that stops at bar lines.

    In a stream of events a bar is complete when the next one has begun, so the event that begins it
    is then there as well: the tokens are those of the same piece without stops.
    """

    def __init__(self, stream: Stream, representation: Representation) -> None:
        self.representation, self._stream, self._bars = representation, stream, 0
        stream.finish_prompts()
        while self._reached(self._until(self._bars + 1)):
            self._bars += 1

    def advance(self, bars: int = 1) -> Made:
        """Add bars, fewer where the piece ends before; returns all of the piece so far."""
        if bars < 1:
            raise ValueError(f"bars={bars} must be at least 1")
        self._run(self._bars + bars)
        return self._stream.made()[0]

    def hear(self, played: Piece) -> None:
        """Append whole bars that a player played, as context for what follows.

        Raises:
            ValueError: what the encoding cannot hold, or more than the piece has room for.
        """
        bars = max(1, math.ceil(played.quarters / BEATS_PER_BAR))
        tokens = prefix_of(self.representation, played, bars * BEATS_PER_BAR)
        self._stream.force(self._without_beginning(tokens))
        self._run(self._bars + bars)

    def _run(self, bars: int) -> None:
        """Advance until the piece has so many bars, or ends."""
        probe = self._until(bars)
        while not self._stream.ended and not self._reached(probe):
            row_W = self._stream.step()[0]
            for column in self._stream.order:
                probe.advance(row_W[None, column], ONE, column)
        self._bars = bars

    def _until(self, bars: int) -> Grammar:
        """The grammar of the piece so far, were it to end after so many bars."""
        tokens = self._stream.made()[0].tokens
        return self.representation.grammar(bars * BEATS_PER_BAR, [tokens])

    def _reached(self, probe: Grammar) -> bool:
        """Whether nothing but the end may follow."""
        if probe.finished()[0]:
            return True
        if not isinstance(self.representation, Timed):
            return False
        allowed = probe.allowed(self._stream.order[0])
        return allowed is not None and bool(allowed[0, 0]) and int(allowed[0].sum()) == 1

    def _without_beginning(self, tokens: Tokens) -> Tokens:
        """Without the events that begin the bar, where they are already there."""
        if not isinstance(self.representation, Timed):
            return tokens
        timing = self.representation.timing()
        if not any(timing["bar"]):
            raise ValueError(
                "this encoding has no bar lines, so a player's bars have no place in it; take a "
                "model that was trained on remi or on a grid"
            )
        first = 0
        while first < len(tokens) and not self._stream.allows(int(tokens[first, 0])):
            first += 1
        return tokens[first:]
