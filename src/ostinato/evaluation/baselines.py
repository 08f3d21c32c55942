"""Baselines for encodings of symbols: likelihoods that need no network.

uniform: every sub-token alike. unigram: by frequency in its column. bigram: given the same column
of the position before. bigram_in_beat: given that, the place among four positions (a beat of
sixteenths), and whether the columns to the left moved. hold: a column repeats what it was with its
share in train, and changes to another sub-token by frequency: holding and nothing else. These are
counted on train; unigram and bigrams with add-alpha smoothing. ngram: the back-off n-gram of
`ngram`, whose order is chosen on valid. copy: `copy_model`, mixed with it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ostinato.evaluation.copy_model import fitted_weights, matches, mixed
from ostinato.evaluation.ngram import STEPS_IN_BEAT, Ngram
from ostinato.evaluation.scored import Scored, check_given, pieces_of, scored
from ostinato.loading.tokens import TokenSet

ALPHA = 0.05
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
    "bigram_in_beat": _holding,
}


def score_baselines(tokens: TokenSet, split: str, *, given: int = 0) -> dict[str, Scored]:
    """Every baseline on a split; hold and bigram_in_beat where a position has several sub-tokens.

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
        if name == "bigram_in_beat" and width == 1:
            continue
        costs = _count(pieces_of(tokens, "train"), contexts, vocabulary)
        nats = _score(pieces_of(tokens, split), costs, contexts, vocabulary)
        results[name] = scored(tokens, split, dict(enumerate(nats)), given=given)
    for name, costs_N in _fitted(tokens, split).items():
        results[name] = scored(tokens, split, costs_N, given=given)
    return results


def _fitted(tokens: TokenSet, split: str) -> dict[str, dict[int, np.ndarray]]:
    """Nats by the baselines that are more than a table, by number of the piece."""
    pieces = list(pieces_of(tokens, split))
    valid = list(pieces_of(tokens, "valid")) if "valid" in tokens.splits else []
    model = Ngram(tokens)
    level = model.best_level(valid)
    weights = fitted_weights([(*matches(p), model.probabilities(p)[level]) for p in valid])
    ngram = [model.probabilities(piece)[level] for piece in pieces]
    copied = [mixed(*matches(p), q, weights) for p, q in zip(pieces, ngram, strict=True)]
    found = {"ngram": ngram, "copy": copied}
    if pieces and pieces[0].shape[1] > 1:
        found["hold"] = _holding_alone(tokens, pieces)
    return {
        name: {n: -np.log(p).reshape(pieces[n].shape) for n, p in enumerate(parts)}
        for name, parts in found.items()
    }


def _holding_alone(tokens: TokenSet, pieces: list[np.ndarray]) -> list[np.ndarray]:
    """Probabilities where a column repeats itself with its share in train."""
    vocabulary = len(tokens.codec["vocabulary"])
    train = list(pieces_of(tokens, "train"))
    held = sum((p[1:] == p[:-1]).sum(axis=0) for p in train) + ALPHA
    share_W = held / (sum(len(p) - 1 for p in train) + 2 * ALPHA)
    rows = np.concatenate(train)
    counts_WV = np.stack([np.bincount(c, minlength=vocabulary) for c in rows.T]) + ALPHA
    often_WV = counts_WV / counts_WV.sum(axis=1, keepdims=True)
    columns = np.arange(rows.shape[1])
    found = []
    for piece in pieces:
        by_share = often_WV[columns, piece]
        moved = (1 - share_W) * by_share[1:] / (1 - by_share[:-1])
        held_or_moved = np.where(piece[1:] == piece[:-1], share_W, moved)
        found.append(np.vstack([by_share[:1], held_or_moved]))
    return found


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
