"""One piece of an autoregressive model, bar by bar, with a player's bars in between."""

from ostinato.music.piece import Piece
from ostinato.music.timing import numbered_bars
from ostinato.representations.bars import first_bars
from ostinato.representations.protocol import Representation, Structured, Timed, Tokens
from ostinato.sampling.autoregressive.decode import Stream
from ostinato.sampling.sampler import Made

ALL_BARS = 1 << 30


class BarSession:
    """A Stream of one sequence that stops at bar lines.

    In a stream of events a bar is complete when the next one has begun, so the event that begins it
    is then there as well: the tokens are those of the same piece without stops.
    """

    def __init__(self, stream: Stream, representation: Representation) -> None:
        self.representation, self._stream = representation, stream
        stream.stops = True
        stream.finish_prompts()

    def advance(self, bars: int = 1) -> Made:
        """Add bars, fewer where the piece ends before; returns all of the piece so far."""
        if bars < 1:
            raise ValueError(f"bars={bars} must be at least 1")
        self._run(self._stream.bars() + bars)
        return self._stream.made()[0]

    def hear(self, played: Piece) -> None:
        """Append whole bars that a player played, as context for what follows.

        Raises:
            ValueError: what the encoding cannot hold, or more than the piece has room for.
        """
        quantized = self.representation.quantize(played).piece
        tokens = first_bars(self.representation, quantized, ALL_BARS)
        bars = max((number for _, number in numbered_bars(quantized)), default=1)
        until = self._stream.bars() + max(1, bars)
        self._stream.force(self._without_beginning(tokens))
        self._run(until)

    def _run(self, bars: int) -> None:
        """Advance until the piece has so many bars, or ends."""
        while not self._stream.ended and self._stream.bars() < bars:
            self._stream.step()

    def _without_beginning(self, tokens: Tokens) -> Tokens:
        """Without the events that begin the bar, where they are already there."""
        if not isinstance(self.representation, Timed):
            return self._with_bar_line(tokens)
        timing = self.representation.timing()
        if not any(timing["bar"]):
            raise ValueError(
                "this encoding has no bar lines, so a player's bars have no place in it; take a "
                "model that was trained on remi or on a grid"
            )
        first = 0
        while first < len(tokens) and not self._stream.allows(int(tokens[first, 0])):
            first += 1
        # where nothing fits, not even the end of the bars, `force` says so
        return tokens[first:] if first < len(tokens) else tokens

    def _with_bar_line(self, tokens: Tokens) -> Tokens:
        """The first bar line names its meter only if that differs from the meter so far."""
        known = self.representation
        structure = known.structure() if isinstance(known, Structured) else None
        if not structure or not len(tokens) or self._stream.allows(int(tokens[0, 0])):
            return tokens
        tokens = tokens.copy()
        tokens[0, 0] = structure["bar"] if structure["meters"] else structure["inside"]
        return tokens
