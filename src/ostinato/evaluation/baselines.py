"""Baselines for encodings of symbols: likelihoods that need no network, counted on train with
add-alpha smoothing.

uniform: every sub-token alike. unigram: by frequency in its column. bigram: given the same column
of the position before. hold: given that, the place among four positions (a beat of sixteenths), and
whether the columns to the left moved. On a grid this predicts that a voice holds its note and
nothing else, so a model that is not clearly better has learned only to hold notes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ostinato.evaluation.scored import Scored, check_given, pieces_of, scored
from ostinato.loading.tokens import TokenSet

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


def score_baselines(tokens: TokenSet, split: str, *, given: int = 0) -> dict[str, Scored]:
    """Every baseline on a split; `hold` only where a position has several sub-tokens.

    given: positions at the start of every piece that are not scored (see score_split); all of train
    is counted.
    """
    check_given(tokens, split, given)
    vocabulary = len(tokens.codec["vocabulary"])
    width = tokens.codec["width"]
    alike = np.log(vocabulary)
    uniform = {n: np.full(p.shape, alike) for n, p in enumerate(pieces_of(tokens, split))}
    results = {"uniform": scored(tokens, split, uniform, given=given)}
    for name, contexts in CONTEXTS.items():
        if name == "hold" and width == 1:
            continue
        costs = _count(pieces_of(tokens, "train"), contexts, vocabulary)
        nats = _score(pieces_of(tokens, split), costs, contexts, vocabulary)
        results[name] = scored(tokens, split, dict(enumerate(nats)), given=given)
    return results


def _count(
    train: Iterable[np.ndarray], contexts: Contexts, vocabulary: int
) -> dict[int, np.ndarray]:
    """Nats of every sub-token after every context that is in train."""
    seen: Counter[int] = Counter()
    for piece in train:
        pairs = contexts(piece, vocabulary).ravel() * vocabulary + piece.ravel()
        keys, counts = np.unique(pairs, return_counts=True)
        seen.update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))
    rows: dict[int, np.ndarray] = {}
    for key, count in seen.items():
        rows.setdefault(key // vocabulary, np.full(vocabulary, ALPHA))[key % vocabulary] += count
    return {context: -np.log(row / row.sum()) for context, row in rows.items()}


def _score(
    pieces: Iterable[np.ndarray],
    costs: dict[int, np.ndarray],
    contexts: Contexts,
    vocabulary: int,
) -> Iterator[np.ndarray]:
    """Nats of every sub-token of every piece, (T, W) each; after a context that train does not
    have, all symbols are alike.
    """
    unseen = np.full(vocabulary, np.log(vocabulary))
    for piece in pieces:
        pairs = zip(
            contexts(piece, vocabulary).ravel().tolist(), piece.ravel().tolist(), strict=True
        )
        nats = [costs.get(context, unseen)[token] for context, token in pairs]
        yield np.array(nats).reshape(piece.shape)
