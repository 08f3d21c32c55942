"""The one decoding loop of all autoregressive families.

Every sequence has a generator of its own, so a sample depends on its seed and not on its neighbours
in the batch. Prompts of different lengths run side by side: where a sequence still has prompt, that
is pushed instead of a draw. A grammar masks what would not decode.
"""

# B batch, V vocabulary

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ostinato.models.parts.autoregressive import Autoregressive
from ostinato.representations.protocol import Grammar, Representation, Tokens
from ostinato.sampling.settings import Decoding

DRAWS = 1024
BELOW_ONE = 1 - 2**-24  # a number close to 1 rounds up to it in single precision


@dataclass(frozen=True)
class Sampled:
    """One sequence, its prompt included.

    nats: of every sub-token, shape (T, W), under the model itself: no temperature, no truncation,
    no mask. failed: why the sequence is not whole, or None.
    """

    tokens: Tokens
    nats: np.ndarray
    failed: str | None


class Uniforms:
    """A stream of uniform numbers in [0, 1) of one sequence."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._numbers: list[float] = []

    def next(self) -> float:
        """The next number."""
        if not self._numbers:
            self._numbers = self._rng.random(DRAWS).tolist()[::-1]
        return self._numbers.pop()


@torch.inference_mode()
def decode(
    model: Autoregressive,
    representation: Representation,
    prompts: Sequence[Tokens],
    seeds: Sequence[int],
    quarters: float,
    decoding: Decoding,
) -> list[Sampled]:
    """Sample one sequence for each prompt (of shape (T, W), possibly T = 0), all in one batch.

    Every sequence becomes `quarters` long, its prompt included; one that is not done after 32
    positions a quarter is returned as failed.
    """
    batch, width = len(prompts), representation.width
    longest = max(map(len, prompts))
    limit = max(int(32 * quarters), 2 * longest + 1)
    grammars = [representation.grammar(quarters, prompt) for prompt in prompts]
    uniforms = [Uniforms(seed) for seed in seeds]
    device = next(model.parameters()).device
    model.eval()
    state = model.start(batch, max(int(8 * quarters), longest))
    rows: list[np.ndarray] = []
    costs: list[np.ndarray] = []
    lengths = [limit] * batch
    done = [grammar.finished() for grammar in grammars]
    for number, prompt in enumerate(prompts):
        if done[number]:
            lengths[number] = len(prompt)
    for position in range(limit):
        if all(done) and position >= longest:
            break
        row, cost = np.zeros((batch, width), np.int32), np.zeros((batch, width), np.float32)
        for column in model.order:
            logits_BV = model.next_logits(state).float()
            given = [
                int(prompt[position, column]) if position < len(prompt) else None
                for prompt in prompts
            ]
            chosen = _choose(logits_BV, grammars, uniforms, given, done, column, decoding)
            nats = torch.logsumexp(logits_BV, 1) - logits_BV.gather(1, chosen[:, None])[:, 0]
            row[:, column], cost[:, column] = chosen.cpu().numpy(), nats.cpu().numpy()
            model.push(state, chosen.to(device))
        rows.append(row)
        costs.append(cost)
        for number, grammar in enumerate(grammars):
            if not done[number] and position + 1 >= len(prompts[number]) and grammar.finished():
                done[number], lengths[number] = True, position + 1
    return _collect(rows, costs, lengths, done, width)


def _choose(
    logits_BV: Tensor,
    grammars: Sequence[Grammar],
    uniforms: Sequence[Uniforms],
    given: Sequence[int | None],
    done: Sequence[bool],
    column: int,
    decoding: Decoding,
) -> Tensor:
    """The next sub-token of every sequence: given, drawn, or 0 for one that is done."""
    drawing = [value is None and not over for value, over in zip(given, done, strict=True)]
    masks = [
        grammar.allowed(column) if draws else None
        for grammar, draws in zip(grammars, drawing, strict=True)
    ]
    if any(mask is not None and not mask.all() for mask in masks):
        everything = np.ones(logits_BV.shape[1], dtype=bool)
        stacked = np.stack([everything if mask is None else mask for mask in masks])
        forbidden = torch.from_numpy(~stacked).to(logits_BV.device)
        logits_BV = logits_BV.masked_fill(forbidden, -torch.inf)
    numbers = [
        source.next() if draws else 0.0 for source, draws in zip(uniforms, drawing, strict=True)
    ]
    drawn = draw(logits_BV, torch.tensor(numbers, device=logits_BV.device), decoding)
    if not all(drawing):
        fixed = torch.tensor([value or 0 for value in given], device=drawn.device)
        drawn = torch.where(torch.tensor(drawing, device=drawn.device), drawn, fixed)
    tokens = drawn.tolist()
    for token, grammar, draws in zip(tokens, grammars, drawing, strict=True):
        if draws:
            grammar.advance(token, column)
    return drawn


def draw(logits_BV: Tensor, uniform_B: Tensor, decoding: Decoding) -> Tensor:
    """One sub-token for each row by inverting the cumulative distribution at `uniform_B`.

    Likeliest first, so that truncation keeps a prefix: top_k of it, then the nucleus.
    """
    probs_BV = torch.softmax(logits_BV.float() / decoding.temperature, dim=1)
    sorted_BV, order_BV = _likeliest_first(probs_BV)
    if decoding.top_k:
        sorted_BV = sorted_BV[:, : decoding.top_k]
    cumulative_BV = sorted_BV.cumsum(dim=1)
    total_B1 = cumulative_BV[:, -1:]
    if decoding.top_p < 1:
        inside_BV = cumulative_BV - sorted_BV < decoding.top_p * total_B1
        total_B1 = cumulative_BV.gather(1, inside_BV.sum(dim=1, keepdim=True) - 1)
    point_B1 = uniform_B.float().clamp(max=BELOW_ONE)[:, None] * total_B1
    rank_B1 = torch.searchsorted(cumulative_BV, point_B1, right=True)
    return order_BV.gather(1, rank_B1)[:, 0]


def _likeliest_first(probs_BV: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities in falling order with their sub-tokens, equal ones by number.

    Sorts integers: above, the bits of the probability, which order as it does; below, the
    sub-token. NumPy does it with vector instructions, 4x faster than torch's stable sort.
    """
    bits_BV = probs_BV.cpu().numpy().view(np.int32).astype(np.int64)
    last = bits_BV.shape[1] - 1
    keys_BV = (bits_BV << 32) | np.arange(last, -1, -1)
    keys_BV.sort(axis=1)
    order_BV = torch.from_numpy(last - (keys_BV[:, ::-1] & 0xFFFFFFFF)).to(probs_BV.device)
    return probs_BV.gather(1, order_BV), order_BV


def _collect(
    rows: Sequence[np.ndarray],
    costs: Sequence[np.ndarray],
    lengths: Sequence[int],
    done: Sequence[bool],
    width: int,
) -> list[Sampled]:
    shape = (0, len(lengths), width)
    tokens = np.stack(rows) if rows else np.zeros(shape, np.int32)
    nats = np.stack(costs) if costs else np.zeros(shape, np.float32)
    return [
        Sampled(
            tokens=tokens[:length, number],
            nats=nats[:length, number],
            failed=None if whole else f"not finished after {len(rows)} positions",
        )
        for number, (length, whole) in enumerate(zip(lengths, done, strict=True))
    ]
