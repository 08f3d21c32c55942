"""How a simulated listener chooses between two sounds of known utility."""

import math

import numpy as np


def choose(rng: np.random.Generator, first: float, second: float, tie: float = 0.0) -> str:
    """`a`, `b` or `tie` by Davidson's (1970) model, which is Bradley and Terry's where tie is 0.

    P(a) : P(b) : P(tie) = e^first : e^second : tie · e^((first + second) / 2).
    """
    top = max(first, second)  # utilities of any size
    weights = np.array(
        [
            math.exp(first - top),
            math.exp(second - top),
            tie * math.exp((first + second) / 2 - top),
        ]
    )
    return str(rng.choice(["a", "b", "tie"], p=weights / weights.sum()))
