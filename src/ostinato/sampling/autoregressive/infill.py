"""Fills cells of a piece, given all its other cells, later ones as well: a particle filter.

A model that reads from left to right does not see what follows. So N particles run side by side:
each draws the free cells and is given the kept ones, and its weight is the probability of the kept
ones (sequential importance resampling: Gordon 1993; Doucet 2001). When few particles have most of
the weight, copies of those replace the others (systematic resampling: Kitagawa 1996), and at the
end one is chosen by its weight. With many particles the distribution of its cells approaches

    p(free | kept)  ∝  Π p(free cell | all before)  Π p(kept cell | all before)

where free cells are drawn with the decoding options (temperature, truncation, grammar) and kept
ones have the model's probability; with few particles this is an approximation. Kept cells before a
free one, also within its row in the chain's order, are conditioned on exactly.
"""

# G pieces, N particles of each, B = G * N, T positions, W sub-tokens of a position

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ostinato.models.autoregressive.parts.base import Autoregressive, State
from ostinato.models.spec import Given
from ostinato.representations.protocol import Extent, Mask, Representation, Tokens
from ostinato.sampling.autoregressive.decode import Chooser, nats_of
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.draw import Uniforms
from ostinato.sampling.sampler import Made

Weights = npt.NDArray[np.float64]
ENOUGH = 0.5  # share of the particles: with a smaller effective sample they are resampled


@dataclass(frozen=True)
class Gaps:
    """A piece of shape (T, W), and which of its cells are to be filled."""

    tokens_TW: Tokens
    free_TW: Mask

    def __post_init__(self) -> None:
        if self.tokens_TW.shape != self.free_TW.shape:
            raise ValueError(
                f"free has the shape {self.free_TW.shape}, the piece {self.tokens_TW.shape}"
            )
        if not self.free_TW.any():
            raise ValueError("no cell is free: the span and the voices name nothing of the piece")

    @property
    def first(self) -> int:
        """The first position with a free cell."""
        return int(self.free_TW.any(axis=1).argmax())


def infill(
    model: Autoregressive,
    representation: Representation,
    gaps: Gaps,
    seeds: Sequence[int],
    decoding: Decoding,
    given: Given | None = None,
) -> list[Made]:
    """Fill the gaps once for each seed; kept cells do not change.

    A piece fails if the grammar allows the kept cells after none of its particles.
    """
    swarm, lots = _filtered(model, representation, gaps, seeds, decoding, given)
    return swarm.choose(lots)


def kept_nats(
    model: Autoregressive,
    representation: Representation,
    gaps: Gaps,
    seeds: Sequence[int],
    decoding: Decoding,
    given: Given | None = None,
) -> Weights:
    """Nats of the kept cells from the first free one on, whatever is in the gaps; one estimate for
    each seed.

    exp(-nats) is an unbiased estimate of their probability where the free cells are drawn with the
    model's own (no temperature, no truncation), so the nats are too high in expectation (Del Moral
    2004, section 7.4).
    """
    return _filtered(model, representation, gaps, seeds, decoding, given)[0].kept_nats()


@torch.inference_mode()
def _filtered(
    model: Autoregressive,
    representation: Representation,
    gaps: Gaps,
    seeds: Sequence[int],
    decoding: Decoding,
    given: Given | None,
) -> tuple["_Swarm", Uniforms]:
    """The particles after the last position, and the random numbers that choose among them."""
    model.eval()
    particles = decoding.particles
    batch = len(seeds) * particles
    state, costs_GTW = _until_free(model, gaps, len(seeds), given)
    copies = np.repeat(np.arange(len(seeds)), particles)
    model.select(state, torch.from_numpy(copies))
    begun = gaps.tokens_TW[: gaps.first]
    grammar = representation.grammar(Extent(bars=None), [begun] * batch)
    streams = Uniforms([(seed, number) for seed in seeds for number in range(particles)])
    chooser = Chooser(model, grammar, streams, decoding, batch)
    for row_W in begun:
        chooser.follow(np.tile(row_W, (batch, 1)))
    swarm = _Swarm(gaps, costs_GTW[copies], len(seeds), particles)
    lots = Uniforms([(seed, particles) for seed in seeds])
    for position in range(gaps.first, len(gaps.tokens_TW)):
        _step(model, state, chooser, swarm, position)
        index = swarm.resampled(lots)
        if index is not None:
            model.select(state, torch.from_numpy(index))
            chooser.select(index)
    return swarm, lots


def _until_free(
    model: Autoregressive, gaps: Gaps, count: int, given: Given | None
) -> tuple[State, np.ndarray]:
    """The state before the first position with a free cell, and the nats of all before it."""
    length, width = gaps.tokens_TW.shape
    state = model.start(count, length, given=given)
    device = next(model.parameters()).device
    costs = np.zeros((count, length, width), np.float32)
    for position in range(gaps.first):
        for column in model.order:
            token = int(gaps.tokens_TW[position, column])
            chosen_G = torch.full((count,), token, device=device)
            costs[:, position, column] = nats_of(model.next_logits(state).float(), chosen_G)
            model.push(state, chosen_G)
    return state, costs


def _step(
    model: Autoregressive, state: State, chooser: Chooser, swarm: "_Swarm", position: int
) -> None:
    """One position of every particle."""
    everyone = np.ones(len(swarm.tokens_BTW), dtype=bool)
    free_W, given_W = swarm.gaps.free_TW[position], swarm.gaps.tokens_TW[position]
    for column in model.order:
        logits_BV = model.next_logits(state).float()
        token = int(given_W[column])
        if free_W[column]:
            chosen_B = chooser.draw(logits_BV, column, everyone)
        else:
            chosen_B = torch.full((len(everyone),), token, device=logits_BV.device)
        nats_B = nats_of(logits_BV, chosen_B)
        if not free_W[column]:
            mask_BV = chooser.grammar.allowed(column)
            swarm.weigh(nats_B if mask_BV is None else np.where(mask_BV[:, token], nats_B, np.inf))
        swarm.costs_BTW[:, position, column] = nats_B
        chooser.take(chosen_B.cpu().numpy(), column, everyone)
        model.push(state, chosen_B)
    swarm.tokens_BTW[:, position] = chooser.end_row()


class _Swarm:
    """N particles of each of G pieces: their tokens, nats and logarithms of weights."""

    def __init__(self, gaps: Gaps, costs_BTW: np.ndarray, pieces: int, particles: int) -> None:
        self.gaps, self.costs_BTW = gaps, costs_BTW
        self.tokens_BTW = np.tile(gaps.tokens_TW, (len(costs_BTW), 1, 1))
        self._logs_GN = np.zeros((pieces, particles))
        self._dead_G = np.zeros(pieces, dtype=bool)
        self._kept_G = np.zeros(pieces)  # nats of kept cells before the last resampling

    def weigh(self, nats_B: np.ndarray) -> None:
        """Account for the nats of a kept cell."""
        self._logs_GN -= nats_B.reshape(self._logs_GN.shape)

    def resampled(self, lots: Uniforms) -> npt.NDArray[np.int64] | None:
        """Indices of the particles to keep, (B,); None where no piece is resampled."""
        pieces, count = self._logs_GN.shape
        weights_GN = self._weights()
        low_G = 1 / np.square(weights_GN).sum(axis=1) < ENOUGH * count
        if not low_G.any():
            return None
        numbers_G = lots.next(low_G)
        index_GN = np.tile(np.arange(count), (pieces, 1))
        for piece in np.flatnonzero(low_G).tolist():
            index_GN[piece] = systematic(weights_GN[piece], float(numbers_G[piece]))
        self._kept_G[low_G] += self._mean_nats()[low_G]
        self._logs_GN[low_G] = 0.0
        index = (index_GN + count * np.arange(pieces)[:, None]).ravel()
        self.tokens_BTW, self.costs_BTW = self.tokens_BTW[index], self.costs_BTW[index]
        return index

    def kept_nats(self) -> Weights:
        """Estimates of the nats of all kept cells so far, one for each piece."""
        return self._kept_G + self._mean_nats()

    def _mean_nats(self) -> Weights:
        """-log of the mean weight since the last resampling."""
        top_G = self._logs_GN.max(axis=1)
        means: Weights = -top_G - np.log(np.exp(self._logs_GN - top_G[:, None]).mean(axis=1))
        return means

    def choose(self, lots: Uniforms) -> list[Made]:
        """One particle of each piece, by its weight."""
        pieces, count = self._logs_GN.shape
        numbers_G = lots.next(np.ones(pieces, dtype=bool))
        cumulative_GN = self._weights().cumsum(axis=1)
        samples = []
        for piece, point in enumerate(numbers_G.tolist()):
            cumulative = cumulative_GN[piece]
            rank = int(np.searchsorted(cumulative, point * cumulative[-1], side="right"))
            chosen = piece * count + min(rank, count - 1)
            failed = f"none of {count} particles may have the kept cells; ask for more"
            tokens, nats = self.tokens_BTW[chosen], self.costs_BTW[chosen]
            samples.append(Made(tokens, nats, failed if self._dead_G[piece] else None))
        return samples

    def _weights(self) -> Weights:
        """They sum to one for each piece; all are equal where no particle is possible."""
        top_G1 = self._logs_GN.max(axis=1, keepdims=True)
        lost_G = np.isneginf(top_G1[:, 0])
        self._dead_G |= lost_G
        self._logs_GN[lost_G] = 0.0
        weights_GN = np.exp(self._logs_GN - np.where(lost_G[:, None], 0.0, top_G1))
        normed: Weights = weights_GN / weights_GN.sum(axis=1, keepdims=True)
        return normed


def systematic(weights_N: Weights, number: float) -> npt.NDArray[np.int64]:
    """As many particles as there are, each N times its weight, rounded up or down.

    number: in [0, 1), the offset of the evenly spaced points.
    """
    count = len(weights_N)
    points = (np.arange(count) + number) / count
    cumulative = weights_N.cumsum()
    found = np.searchsorted(cumulative, points * cumulative[-1], side="right")
    return found.clip(max=count - 1).astype(np.int64)
