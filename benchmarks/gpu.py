"""On a GPU: training beside the card's peak and beside GPT-2, sampling beside `generate`, relative
attention beside plain. Where there is none, this has no cases.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks import peers, relative
from benchmarks.measure import OURS, Case, Race, in_turn
from benchmarks.sampling import generate
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.draw import draw
from ostinato.sampling.autoregressive.recorded import stepper

# dense bf16, of NVIDIA's data sheets for the SXM parts: H100 and H200 are the same chip
PEAKS = {"H100 80GB HBM3": 989.4e12, "H200": 989.4e12}
LENGTH, BATCH = 2048, 32
# 100M weights each, apart from the embeddings; the wider, the longer the products
SHAPES = {"8 layers of 1,024": (8, 1024, 8), "12 layers of 768": (12, 768, 12)}
SAMPLED = ((1, 256), (8, 256), (64, 256), (1, 2048), (64, 2048))
RELATIVE = ((16, 640), (8, 2048))
AIM_PEAK, AIM_GENERATE, AIM_RELATIVE = 0.5, 5.0, 1 / 1.3
STEPS = 10  # of training, in a round
GPU = torch.device("cuda")


def cases() -> list[Case]:
    """Nothing where there is no GPU."""
    if not torch.cuda.is_available():
        return []
    return [
        *[Case(f"gpu, training, {name}", partial(training, name=name)) for name in SHAPES],
        *[
            Case(f"gpu, sampling, batch {b}, length {n}", partial(sampling, batch=b, length=n))
            for b, n in SAMPLED
        ],
        *[
            Case(
                f"gpu, relative, {kind}, batch {b}, length {n}",
                partial(relative_training, kind=kind, batch=b, length=n),
            )
            for b, n in RELATIVE
            for kind in relative.KINDS
        ],
        Case("gpu, relative, sampling", relative_sampling),
    ]


def training(rounds: int, name: str) -> Race:
    """One step: forward, backward, optimizer; compiled, mixed with bf16."""
    layers, width, heads = SHAPES[name]
    shape = {"layers": layers, "width": width, "heads": heads}
    model = peers.ours(LENGTH, **shape)
    flops = {whole: BATCH * LENGTH * flops_a_token(model, layers, width, whole) for whole in (0, 1)}
    gpt2 = peers.gpt2(LENGTH, layers, width, heads)
    contestants = {
        OURS: steps(model, peers.loss_of_ours),
        "transformers, compiled too": steps(gpt2, peers.loss_of_gpt2),
    }
    seconds = in_turn(contestants, rounds)
    peak = next((rate for card, rate in PEAKS.items() if card in torch.cuda.get_device_name()), 0)
    if peak:
        limits = {
            f"bf16 peak, {peak / 1e12:.0f} TFLOP/s": flops[1],
            "the same peak, attention's hidden half not counted": flops[0],
        }
        for limit, count in limits.items():
            seconds[limit] = [STEPS * count / peak] * rounds
    aims = {who: AIM_PEAK for who in seconds if who.startswith("bf16 peak")}
    question = f"training, bfloat16 mixed, {name}, {weights(model) / 1e6:.0f}M, batch {BATCH}, "
    return Race(
        question=question + f"length {LENGTH}",
        unit="tokens",
        amount=STEPS * BATCH * LENGTH,
        seconds=seconds,
        aims=aims,
        peak_mb={who: added_mb(run) for who, run in contestants.items()},
    )


def added_mb(run: Callable[[], object]) -> float:
    """What a run adds at its peak to the card's memory, weights and optimizer not counted."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def weights(model: nn.Module) -> int:
    """Weights that multiply: all but the embeddings."""
    tables = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Embedding))
    return sum(p.numel() for p in model.parameters()) - tables


def flops_a_token(model: nn.Module, layers: int, width: int, whole: bool) -> int:
    """Of a step: 6 a weight and 12 L D T of attention, of which causal attention needs half
    (Chowdhery et al. 2022, appendix B, counts the whole).
    """
    return 6 * weights(model) + 12 * layers * width * LENGTH // (1 if whole else 2)


def steps(model: nn.Module, loss_of: peers.Loss) -> Callable[[], None]:
    """STEPS optimizer steps on random tokens."""
    model = model.to(GPU).train()
    model.compile()
    tokens_BT = torch.randint(peers.VOCABULARY, (BATCH, LENGTH + 1), device=GPU)
    return repeated(model, lambda: loss_of(model, tokens_BT))


def repeated(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)

    def run() -> None:
        for _ in range(STEPS):
            with torch.autocast("cuda", torch.bfloat16):
                found = loss()
            found.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()

    return run


def sampling(rounds: int, batch: int, length: int) -> Race:
    """In full precision, at temperature 1 without truncation, all on the GPU."""
    ours = sampler(peers.ours(length))
    gpt2 = peers.gpt2(length + 1).to(GPU).eval()
    contestants = {
        OURS: lambda: ours(batch, length),
        "transformers": lambda: finished(partial(generate, gpt2, batch, length)),
    }
    return Race(
        question=f"sampling, GPU, batch {batch}, length {length}",
        unit="tokens",
        amount=batch * length,
        seconds=in_turn(contestants, rounds),
        aims={"transformers": AIM_GENERATE} if batch == 1 else {},
    )


def finished(run: Callable[[], object]) -> None:
    run()
    torch.cuda.synchronize()


def sampler(model: Autoregressive) -> Callable[[int, int], None]:
    """Positions of a model, recording included."""
    model = model.to(GPU).eval()

    @torch.inference_mode()
    def make(batch: int, length: int) -> None:
        steps = stepper(model, batch)
        state = steps.start(batch, length)
        for _ in range(length * model.shape.width):
            numbers_B = torch.rand(batch, device=GPU)
            steps.push(state, draw(steps.next_logits(state), numbers_B, Decoding()))
        torch.cuda.synchronize()

    return make


def relative_training(rounds: int, kind: str, batch: int, length: int) -> Race:
    """music_transformer beside gpt in the shape of size jsb_large, on rows of four voices."""
    contestants = {}
    for who, model in large(length, **relative.KINDS[kind]).items():
        model.to(GPU).train().compile()
        size = (batch, length, relative.SHAPE.width)
        rows_BTW = torch.randint(relative.SHAPE.vocabulary, size, device=GPU)
        contestants[who] = repeated(
            model, lambda model=model, rows=rows_BTW: model(rows, rows, rows[:, 0, 0] * 0).mean()
        )
    return Race(
        question=f"relative attention, training, GPU, {kind}, batch {batch}, length {length}",
        unit="positions",
        amount=STEPS * batch * length,
        seconds=in_turn(contestants, rounds),
        aims={relative.PEER: AIM_RELATIVE},
    )


def large(context: int, **changes: object) -> dict[str, Autoregressive]:
    """Both families as wide and deep as Huang et al. 2018."""
    shape = {"width": 512, "layers": 5, "heads": 8, "max_distance": 128}
    return relative.models(context, **{**shape, **changes})


def relative_sampling(rounds: int) -> Race:
    """One sequence."""
    length = 640
    contestants = {who: sampler(model) for who, model in large(length).items()}
    return Race(
        question=f"relative attention, sampling {length} positions, GPU, batch 1",
        unit="positions",
        amount=length,
        seconds=in_turn({who: partial(run, 1, length) for who, run in contestants.items()}, rounds),
        aims={relative.PEER: AIM_RELATIVE},
    )
