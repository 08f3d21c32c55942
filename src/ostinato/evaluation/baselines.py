"""What a model must beat: likelihoods that need no network, counted on train with add-alpha
smoothing.

uniform: every sub-token alike. unigram: by frequency in its column. bigram: given the same column
of the position before. hold: given that, the step's place in the beat, and whether the columns to
the left moved; on a grid this is "a voice goes on" and nothing else, so whoever is not clearly
below it has learned only to hold notes.
"""

from collections.abc import Callable, Iterable

import numpy as np

from ostinato.data.tokens import TokenSet
from ostinato.evaluation.likelihood import Scored, pieces_of, scored

ALPHA = 0.05
STEPS_IN_BEAT = 4
Contexts = Callable[[np.ndarray, int], np.ndarray]


def _alone(piece: np.ndarray, vocabulary: int) -> np.ndarray:
    return np.broadcast_to(np.arange(piece.shape[1]), piece.shape)


def _after_previous(piece: np.ndarray, vocabulary: int) -> np.ndarray:
    before = np.vstack([np.full((1, piece.shape[1]), vocabulary), piece[:-1]])
    return _alone(piece, vocabulary) * (vocabulary + 1) + before


def _holding(piece: np.ndarray, vocabulary: int) -> np.ndarray:
    width = piece.shape[1]
    moved = np.ones_like(piece)
    moved[1:] = piece[1:] != piece[:-1]
    left = np.zeros_like(piece)
    left[:, 1:] = np.cumsum(moved, axis=1)[:, :-1]
    place = (np.arange(len(piece)) % STEPS_IN_BEAT)[:, None]
    return (_after_previous(piece, vocabulary) * STEPS_IN_BEAT + place) * width + left


CONTEXTS: dict[str, Contexts] = {
    "unigram": _alone,
    "bigram": _after_previous,
    "hold": _holding,
}


def score_baselines(tokens: TokenSet, split: str) -> dict[str, Scored]:
    """Every baseline on a split; `hold` only where a position has several sub-tokens."""
    vocabulary = len(tokens.codec["vocabulary"])
    width = tokens.codec["width"]
    lengths = tokens.splits[split].length
    results = {"uniform": scored(tokens, split, lengths * width * np.log(vocabulary))}
    for name, contexts in CONTEXTS.items():
        if name == "hold" and width == 1:
            continue
        train = list(pieces_of(tokens, "train"))
        nats = _count_and_score(train, pieces_of(tokens, split), contexts, vocabulary)
        results[name] = scored(tokens, split, nats)
    return results


def _count_and_score(
    train: Iterable[np.ndarray],
    pieces: Iterable[np.ndarray],
    contexts: Contexts,
    vocabulary: int,
) -> np.ndarray:
    rows: dict[int, np.ndarray] = {}
    pairs = [(contexts(piece, vocabulary).ravel(), piece.ravel()) for piece in train]
    seen = np.concatenate([context for context, _ in pairs])
    chosen = np.concatenate([token for _, token in pairs])
    keys, counts = np.unique(seen * vocabulary + chosen, return_counts=True)
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        rows.setdefault(key // vocabulary, np.full(vocabulary, ALPHA))[key % vocabulary] += count
    costs = {context: -np.log(row / row.sum()) for context, row in rows.items()}
    unseen = np.full(vocabulary, np.log(vocabulary))
    return np.array(
        [
            sum(
                costs.get(context, unseen)[token]
                for context, token in zip(
                    contexts(piece, vocabulary).ravel().tolist(),
                    piece.ravel().tolist(),
                    strict=True,
                )
            )
            for piece in pieces
        ]
    )
