"""Sampling with a cache of keys and values: tokens a second, at temperature 1 without truncation;
and what a token costs us late in a long piece beside early in it.
"""

from collections.abc import Callable

import torch

from benchmarks import peers
from benchmarks.measure import OURS, Case, Clock, Race, in_turn
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.draw import draw

BATCHES, LENGTHS = (1, 8, 64), (256, 2048)
AIMS = {1: {"transformers": 3.0}, 64: {"transformers": 2.0}}
LONG = 2048
SPAN, WINDOW, LATE = 256, 256, 8192  # tokens that are timed, our context, where the late ones end


def cases() -> list[Case]:
    """Every length and batch, then the cost of a token along a piece."""
    pairs = [(batch, length) for length in LENGTHS for batch in BATCHES]
    return [
        *[Case(name(*pair), lambda rounds, pair=pair: race(rounds, *pair)) for pair in pairs],
        Case("cost of a token along a piece", along_a_piece),
    ]


def name(batch: int, length: int) -> str:
    return f"sampling, batch {batch}, length {length}"


def race(rounds: int, batch: int, length: int) -> Race:
    makers = {
        OURS: ours(peers.ours(length), length),
        "transformers": _gpt2(length),
        peers.OUR_GPT2: ours(peers.our_gpt2(length), length),
        "x-transformers": _x_transformer(length),
    }
    long = batch > 1 and length >= LONG  # minutes for each: one round, and none to warm up
    return Race(
        question=name(batch, length),
        unit="tokens",
        amount=batch * length,
        seconds=in_turn(
            {who: (lambda make=make: make(batch)) for who, make in makers.items()},
            1 if long else rounds,
            warm=not long,
        ),
        aims=AIMS.get(batch, {}),
    )


@torch.inference_mode()
def along_a_piece(rounds: int) -> Race:
    """A context of 256: tokens 7,937 to 8,192 beside tokens 257 to 512 of the same piece."""
    model = peers.ours(WINDOW).eval()
    seconds: dict[str, list[float]] = {OURS: [], "early in the piece": []}
    for number in range(rounds + 1):
        state = model.start(1, LATE)
        _tokens(model, state, SPAN)
        early = _tokens(model, state, SPAN)
        _tokens(model, state, LATE - 3 * SPAN)
        late = _tokens(model, state, SPAN)
        if number:
            seconds[OURS].append(late)
            seconds["early in the piece"].append(early)
    return Race(
        question=f"a token late in a piece of {LATE:,}",
        unit="tokens",
        amount=SPAN,
        seconds=seconds,
        aims={"early in the piece": 1.0},
    )


def _tokens(model: Autoregressive, state: object, number: int) -> float:
    """Sample so many more; the seconds it took."""
    start = Clock.now()
    for _ in range(number):
        logits_BV = model.next_logits(state)
        model.push(state, draw(logits_BV, torch.rand(len(logits_BV)), Decoding()))
    return Clock.now() - start


def ours(model: Autoregressive, length: int) -> Callable[[int], None]:
    model.eval()

    @torch.inference_mode()
    def make(batch: int) -> None:
        _tokens(model, model.start(batch, length), length)

    return make


def _gpt2(length: int) -> Callable[[int], None]:
    model = peers.gpt2(length + 1).eval()
    return lambda batch: generate(model, batch, length)


def generate(model: torch.nn.Module, batch: int, length: int) -> None:
    """`length` tokens by the generate of Hugging Face's transformers."""
    begin = torch.zeros(batch, 1, dtype=torch.long, device=next(model.parameters()).device)
    made = model.generate(
        begin,
        attention_mask=torch.ones_like(begin),
        do_sample=True,
        top_k=0,
        max_new_tokens=length,
        pad_token_id=0,
    )
    assert made.shape == (batch, length + 1)


def _x_transformer(length: int) -> Callable[[int], None]:
    from x_transformers import AutoregressiveWrapper

    wrapped = AutoregressiveWrapper(peers.x_transformer(length + 1).eval())

    def make(batch: int) -> None:
        begin = torch.zeros(batch, 1, dtype=torch.long)
        made = wrapped.generate(
            begin, length, temperature=1.0, filter_logits_fn=_unchanged, cache_kv=True
        )
        assert made.shape == (batch, length)

    return make


def _unchanged(logits: torch.Tensor) -> torch.Tensor:
    return logits
