"""The parallel fifths and octaves that are expected of a model, without drawing any.

After each prefix of a clip a model has probabilities of all pitches; those that would move in
parallel with a voice of the same position are known. Their sum is differentiable.
"""

# N clips, T positions, W sub-tokens of a position, V symbols, P pitches

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.intervals import sounding_rows
from ostinato.models.spec import PAD, Voices

FIFTH, OCTAVE = 7, 12


@dataclass(frozen=True)
class Expected:
    """By clip, (N,): parallels that are expected, and the divergence from the base in nats."""

    parallels: Tensor
    kl: Tensor


def expected_of(model: nn.Module, base: nn.Module, tokens_NTW: Tensor) -> Expected:
    """Under a model, after every prefix of clips, those within their prompts included.

    A pair of voices is counted where the later of both is chosen.
    """
    log_NTWV = log_probabilities(model, tokens_NTW)
    with torch.no_grad():
        base_NTWV = log_probabilities(base, tokens_NTW)
    own: Any = model
    parallel_NTWV = parallel_choices(tokens_NTW, own.shape.voices, own.order, log_NTWV.shape[-1])
    counts_NTW = tokens_NTW != PAD
    probs_NTWV = log_NTWV.exp()
    parallels_NTW = (probs_NTWV * parallel_NTWV).sum(dim=-1)
    kl_NTW = (probs_NTWV * (log_NTWV - base_NTWV)).sum(dim=-1)
    return Expected(*((each * counts_NTW).sum(dim=(1, 2)) for each in (parallels_NTW, kl_NTW)))


def log_probabilities(model: nn.Module, tokens_NTW: Tensor) -> Tensor:
    """Of every sub-token after its prefix, (N, T, W, V); differentiable."""
    last: Any = model.intervals or model.chain
    found: list[Tensor] = []
    hook = last.register_forward_hook(lambda _, __, logits: found.append(logits))
    try:
        model.score(tokens_NTW)  # type: ignore[operator]
    finally:
        hook.remove()
    return found[0].float().log_softmax(dim=-1)


def parallel_choices(
    tokens_NTW: Tensor, voices: Voices, order: Sequence[int], symbols: int
) -> Tensor:
    """Which symbols would move a voice in parallel fifths or octaves with one of the same position
    that is chosen before it, (N, T, W, V). order: of the columns of a position. symbols: V.
    """
    now_NTW = sounding_rows(tokens_NTW, voices.hold) - voices.lowest
    before_NTW = F.pad(now_NTW[:, :-1], (0, 0, 1, 0), value=-1)
    found_NTWV = torch.zeros((*tokens_NTW.shape, symbols), dtype=torch.bool)
    found_NTWV = found_NTWV.to(tokens_NTW.device)
    pitch_P = torch.arange(voices.pitches, device=tokens_NTW.device)
    columns = [column for column in order if voices.first <= column < voices.end]
    for place, mine in enumerate(columns):
        for other in columns[:place]:
            was, own = before_NTW[..., other, None], before_NTW[..., mine, None]
            new = now_NTW[..., other, None]
            lowest, highest = torch.minimum(torch.minimum(was, own), new), torch.maximum(was, own)
            known = (lowest >= 0) & (torch.maximum(highest, new) < voices.pitches)
            kept = (own - was).abs() % OCTAVE
            same = (pitch_P - new).abs() % OCTAVE == kept
            together = ((pitch_P - own).sign() == (new - was).sign()) & (new != was)
            parallel = known & same & together & ((kept == 0) | (kept == FIFTH))
            found_NTWV[..., mine, voices.lowest : voices.lowest + voices.pitches] |= parallel
    return found_NTWV
