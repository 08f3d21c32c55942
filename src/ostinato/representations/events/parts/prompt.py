"""The end of a prompt: the tokens that move time exactly to the cut, where sampling continues."""

from collections.abc import Sequence

import numpy as np

from ostinato.representations.events.parts.clock import read_clock
from ostinato.representations.events.parts.vocabulary import Vocabulary
from ostinato.representations.protocol import Tokens


def column(tokens: Sequence[int]) -> Tokens:
    """Tokens of shape (T, 1)."""
    return np.array(tokens, dtype=np.int32).reshape(-1, 1)


def remi_to_cut(vocabulary: Vocabulary, tokens: list[int], steps: int) -> list[int]:
    """Tokens with empty bars, and at last a bar or a position, up to the cut at `steps`."""
    clock = read_clock(vocabulary, column(tokens))
    meter = clock.meters[-1][1]
    bars, position = divmod(steps - clock.bar_start, vocabulary.bar_steps[meter])
    empty = [vocabulary.token("bar", 0), vocabulary.token("meter", meter)]
    tokens = tokens + empty * bars
    # on a bar line the next meter is left open
    return [*tokens, vocabulary.token("position", position)] if position else tokens[:-1]


def midi_like_to_cut(vocabulary: Vocabulary, tokens: list[int], steps: int) -> list[int]:
    """Tokens without what ends at the cut at `steps`, and with time shifts up to it."""
    clock = read_clock(vocabulary, column(tokens))
    if clock.time == steps:
        shifts = [i for i, t in enumerate(tokens) if vocabulary.kinds[t] == "time_shift"]
        return tokens[: shifts[-1] + 1]
    longest = vocabulary.count("time_shift")
    often, rest = divmod(steps - clock.time, longest)
    values = [longest] * often + [rest] * bool(rest)
    return tokens + [vocabulary.token("time_shift", value) for value in values]
