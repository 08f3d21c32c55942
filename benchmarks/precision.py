"""int8 weights at batch 1: tokens a second beside full precision and the peers, the products of one
token in several forms, and for trained models what is lost.

python -m benchmarks --only precision                     the races
python -m benchmarks.precision --model models/gpt …       what is lost; needs their data/tokens

The latter writes results/precision.json and .md.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import peers
from benchmarks.measure import OURS, Case, Race, in_turn
from benchmarks.sampling import generate, ours
from ostinato.execution.commands import run_command
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.precision.apply import in_precision
from ostinato.sampling.load import Trained

LENGTHS, AIM = (256, 1024), 3.0
FULL = "ostinato, full precision"
RESULTS = Path(__file__).parent / "results"
TOP_P = 0.95


def cases() -> list[Case]:
    """Steps at two lengths, and the products alone."""
    found = [
        Case(f"int8, batch 1, length {n}", lambda rounds, n=n: steps(rounds, n)) for n in LENGTHS
    ]
    return [*found, Case("products of a token", products)]


def steps(rounds: int, length: int) -> Race:
    """The decoder of the peers, whose steps read 3.3 million weights."""
    makers = {
        OURS: ours(int8(peers.ours(length)), length),
        FULL: ours(peers.ours(length), length),
    }
    hugging = peers.gpt2(length + 1).eval()
    contestants = {who: (lambda make=make: make(1)) for who, make in makers.items()}
    contestants["transformers"] = lambda: generate(hugging, 1, length)
    return Race(
        question=f"int8, batch 1, length {length}",
        unit="tokens",
        amount=length,
        seconds=in_turn(contestants, rounds),
        aims={"transformers": AIM},
    )


def int8(model: Autoregressive) -> Autoregressive:
    """The same weights in 8 bits."""
    card = {"system": "peer", "family": "gpt", "weights_sha256": ""}
    found: Autoregressive = in_precision(Trained(model.eval(), None, card), "int8").model
    return found


@torch.inference_mode()
def products(rounds: int) -> Race:
    """All products of one token with the matrices of its blocks, in forms that could be had."""
    from ostinato.precision.graph import Graph

    shapes = ((256, 768), (256, 256), (256, 1408), (704, 256))
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(*s, generator=generator) for _ in range(peers.LAYERS) for s in shapes]
    inputs = {k: torch.randn(1, k, generator=generator) for k, _ in shapes}
    graph = Graph()
    named = {k: graph.input(f"x{k}", (1, k)) for k in inputs}
    outputs = {graph.product(named[len(w)], w): (1, w.shape[1]) for w in weights}
    session = graph.session(outputs)
    feed = {named[k]: x.numpy() for k, x in inputs.items()}
    halves = {k: x.bfloat16() for k, x in inputs.items()}
    bf16 = [w.bfloat16() for w in weights]
    packed = [_packed(w) for w in weights]
    repeated = 50
    forms: dict[str, Callable[[], object]] = {
        OURS: lambda: session.run(None, feed),
        "torch, fp32": lambda: [inputs[len(w)] @ w for w in weights],
        "torch, bf16": lambda: [halves[len(w)] @ w for w in bf16],
        "torch, int8 (_weight_int8pack_mm)": lambda: [
            torch._weight_int8pack_mm(halves[w.shape[1]], w, scale) for w, scale in packed
        ],
    }
    return Race(
        question="products of a token",
        unit="tokens",
        amount=repeated,
        seconds=in_turn(
            {
                who: (lambda form=form: [form() for _ in range(repeated)])
                for who, form in forms.items()
            },
            rounds,
        ),
        aims={},
    )


def _packed(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(outputs, inputs) as integers, and a scale for each output."""
    scale = weight.abs().amax(dim=0) / 127
    return (weight / scale).round().to(torch.int8).T.contiguous(), scale.bfloat16()


@torch.inference_mode()
def lost(folder: Path, pieces: int, positions: int) -> dict[str, Any]:
    """Held-out pieces, step by step with full and with int8 weights side by side.

    Shares of sub-tokens: of which both have the same most probable one, and of which both draw the
    same with the same random number from the nucleus of 0.95.
    """
    from ostinato.loading.tokens import open_tokens
    from ostinato.sampling.autoregressive.decoding import Decoding
    from ostinato.sampling.autoregressive.draw import draw
    from ostinato.sampling.load import load_trained

    trained = load_trained(folder)
    models = trained.model, in_precision(load_trained(folder), "int8").model
    tokens = open_tokens(folder.parents[1] / "data" / "tokens" / trained.card["encoding"])
    split = tokens.splits["test"]
    decoding, rng = Decoding(top_p=TOP_P), np.random.default_rng(1)
    nats, alike, drawn, count = np.zeros(2), 0, 0, 0
    for number in range(min(pieces, len(split))):
        rows = torch.from_numpy(split.tokens_of(number)[:positions].astype(np.int64))
        states = [model.start(1, len(rows)) for model in models]
        for row in rows:
            for column in models[0].order:
                logits = [m.next_logits(s).float() for m, s in zip(models, states, strict=True)]
                uniform = torch.tensor([rng.random()])
                choices = [int(draw(one, uniform, decoding)) for one in logits]
                best = [int(one.argmax()) for one in logits]
                nats -= [float(one.log_softmax(-1)[0, row[column]]) for one in logits]
                alike, drawn = alike + (best[0] == best[1]), drawn + (choices[0] == choices[1])
                count += 1
                for model, state in zip(models, states, strict=True):
                    model.push(state, row[column : column + 1])
    full, small = (float(total) / count for total in nats)
    return {
        "model": folder.name,
        "sub-tokens": count,
        "nats, full": full,
        "nats, int8": small,
        "same most probable": alike / count,
        "same drawn": drawn / count,
    }


def main() -> None:
    """Parse the command line, compare, write the results after every model."""
    from benchmarks.measure import machine
    from ostinato.files import write_json, write_text

    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument("--model", nargs="+", type=Path, required=True)
    parser.add_argument("--pieces", type=int, default=10)
    parser.add_argument("--positions", type=int, default=200, help="of each piece, at most")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for folder in given.model:
        rows.append(lost(folder.resolve(), given.pieces, given.positions))
        print(rows[-1], flush=True)
        setting = {"format": 1, "machine": machine(), "pieces": given.pieces}
        setting |= {"positions": given.positions, "rows": rows}
        write_json(RESULTS / "precision.json", setting)
        write_text(RESULTS / "precision.md", table(rows, given.pieces, given.positions))


def table(rows: list[dict[str, Any]], pieces: int, positions: int) -> str:
    """Markdown."""
    lines = [
        f"The first {positions} positions of {pieces} test pieces, step by step with both.",
        "",
        "| model | sub-tokens | nats, full | nats, int8 | same most probable | same drawn |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        model, count, full, small, best, drawn = row.values()
        lines.append(
            f"| `{model}` | {count:,} | {full:.4f} | {small:.4f} | {best:.2%} | {drawn:.2%} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_command(main)
