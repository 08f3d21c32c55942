"""Likelihoods of whole pieces in several units, with intervals over pieces.

Every value of every piece is scored once, and no padding is. Nats per sub-token compare systems of
one encoding; nats per note and bits per quarter note compare across encodings that hold the same
music. An encoding with bar lines and an end has nats per voice-cell in two forms: of the voices
alone, and with what the bar lines and the end cost.
"""

# B batch, T positions, W sub-tokens of a position

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ostinato.evaluation.scorer import Scorer
from ostinato.loading.batches import conditions_of, whole_pieces
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.bootstrap import Interval, ratio_interval
from ostinato.metrics.likelihood_metrics import likelihood_metrics
from ostinato.models.spec import PAD, ArraySpec, Given


@dataclass(frozen=True)
class Scored:
    """Nats of every piece of a split, and what they are divided by; arrays over pieces.

    voice_nats, voice_cells: of the voices alone, without bar lines and ends; None where an encoding
    has neither.
    """

    nats: np.ndarray
    tokens: np.ndarray
    notes: np.ndarray
    quarters: np.ndarray
    voice_nats: np.ndarray | None = None
    voice_cells: np.ndarray | None = None

    def units(self) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
        """Numerators and denominators of the published units."""
        units = {
            "nats_per_token": (self.nats, self.tokens),
            "nats_per_note": (self.nats, self.notes),
            "bits_per_quarter": (self.nats / math.log(2), self.quarters),
        }
        if self.voice_nats is not None and self.voice_cells is not None:
            units |= {
                "nats_per_voice_cell": (self.voice_nats, self.voice_cells),
                "nats_per_voice_cell_with_bars": (self.nats, self.voice_cells),
            }
        return units

    def intervals(
        self, *, seed: int, resamples: int, groups: np.ndarray | None = None
    ) -> dict[str, Interval]:
        """Every unit with its interval over groups of pieces."""
        return {
            unit: ratio_interval(above, below, seed=seed, resamples=resamples, groups=groups)
            for unit, (above, below) in self.units().items()
        }


def voice_mask(codec: Mapping[str, Any], tokens: np.ndarray) -> np.ndarray:
    """Which sub-tokens, (…, W), are voices: neither bar lines nor in a row that ends the piece."""
    structure = codec["structure"]
    mask: np.ndarray = ~np.isin(tokens, structure["structural"])
    if tokens.shape[-1] > 1 and structure["end"] is not None:
        mask &= (tokens[..., structure["bar_column"]] != structure["end"])[..., None]
    return mask


def scored(
    tokens: TokenSet, split: str, costs: Mapping[int, np.ndarray], *, given: int = 0
) -> Scored:
    """Join the nats of a split's pieces with the lengths in its index.

    costs: nats of every sub-token by number of the piece, (T, W) each or longer. given: positions
    at the start of every piece that are known and not scored.
    """
    part = tokens.splits[split]
    width, structured = part.tokens.shape[1], "structure" in tokens.codec
    nats, voice_nats, cells = (np.zeros(len(part)) for _ in range(3))
    for number, costs_TW in costs.items():
        kept_TW = costs_TW[given : part.length[number]].astype(np.float64)
        nats[number] = kept_TW.sum()
        if structured:
            mask = voice_mask(tokens.codec, part.tokens_of(number)[given:])
            voice_nats[number], cells[number] = kept_TW[mask].sum(), mask.sum()
    found = Scored(nats, (part.length - given) * width, part.notes, part.quarters)
    return replace(found, voice_nats=voice_nats, voice_cells=cells) if structured else found


@torch.inference_mode()
def score_split(scorer: Scorer, tokens: TokenSet, split: str, *, given: int = 0) -> Scored:
    """Score a split's pieces, in full precision; the scorer's model is in evaluation mode.

    Args:
        given: positions at the start of every piece that are known and not scored, where a
            protocol asks for that; notes and quarters stay those of the whole piece.

    Raises:
        ValueError: a piece whose nats are not a finite number, or that is all given.
    """
    check_given(tokens, split, given)
    part = tokens.splits[split]
    costs: dict[int, np.ndarray] = {}
    for numbers, batch in whole_pieces(tokens, split):
        costs_BTW = scorer.score(batch, Given(conditions_of(part, numbers))).numpy()
        costs |= dict(zip(numbers, costs_BTW, strict=True))
    return _finite(scored(tokens, split, costs, given=given), part.piece, split)


def _finite(found: Scored, names: np.ndarray, split: str) -> Scored:
    """The same; raises ValueError where the nats of a piece are no finite number."""
    bad = np.flatnonzero(~np.isfinite(found.nats))
    if len(bad):
        piece, nats = names[bad[0]], found.nats[bad[0]]
        raise ValueError(f"{split} piece {piece}: the likelihood is {nats}; train again")
    return found


@torch.inference_mode()
def score_and_predict(
    scorer: Scorer,
    tokens: TokenSet,
    split: str,
    *,
    seed: int,
    resamples: int,
    groups: np.ndarray | None = None,
) -> tuple[Scored, dict[str, Interval]]:
    """As score_split, and perplexity and, where the scorer predicts, accuracy of the sub-tokens.

    Every piece is scored once for both. Values are of the same metrics as in training, intervals of
    the bootstrap over groups.

    Raises:
        ValueError: a piece whose nats are not a finite number.
    """
    part = tokens.splits[split]
    cells = part.length * part.tokens.shape[1]
    hits = np.zeros(len(part))
    found: dict[int, np.ndarray] = {}
    metrics = None
    for numbers, batch in whole_pieces(tokens, split):
        costs, best = scorer.predict(batch, Given(conditions_of(part, numbers)))
        if metrics is None:
            vocabulary = ArraySpec.of(tokens.codec).vocabulary
            metrics = likelihood_metrics(None if best is None else vocabulary)
        metrics.update(nats=costs, preds=best, target=batch)
        found |= dict(zip(numbers, costs.numpy(), strict=True))
        if best is not None:
            hits[numbers] = (best == batch).sum(dim=(1, 2)).numpy()
    chance = {"seed": seed, "resamples": resamples}
    result = _finite(scored(tokens, split, found), part.piece, split)
    mean = ratio_interval(result.nats, cells, groups=groups, **chance)
    intervals = {
        "perplexity": replace(mean, low=math.exp(mean.low), high=math.exp(mean.high)),
        "accuracy": ratio_interval(hits, cells, groups=groups, **chance),
    }
    values = metrics.compute() if metrics is not None else {}
    return result, {
        name: replace(interval, value=float(values[name]))
        for name, interval in intervals.items()
        if name in values
    }


def check_given(tokens: TokenSet, split: str, given: int) -> None:
    """Raise ValueError where nothing of a piece is scored."""
    part = tokens.splits[split]
    short = np.flatnonzero(part.length <= given)
    if given and len(short):
        raise ValueError(
            f"{split} piece {part.piece[short[0]]} has {part.length[short[0]]} positions and "
            f"given={given} of them are not scored; lower given or leave the piece out"
        )


def pieces_of(tokens: TokenSet, split: str) -> Iterator[np.ndarray]:
    """The token arrays of a split, shape (T, W) each."""
    part = tokens.splits[split]
    for number in range(len(part)):
        array = part.tokens_of(number).astype(np.int64)
        assert (array != PAD).all()
        yield array
