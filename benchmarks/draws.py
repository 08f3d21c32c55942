"""Samples of a system, drawn several times: means over the draws, and what leaves the corpus.

`python -m benchmarks.draws gpt-corpus --seeds 2 33` draws as the stage `sample` does, with each
sample seed in turn and without continuations, and measures as `evaluate` does. A mean is outside
where it lies in neither interval of `evaluation/<system>/details.json`: that of held-out music, and
that of as many training pieces.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ostinato.config import load_config
from ostinato.evaluation.excerpts import EvaluationSettings, cut_to, sample_excerpts
from ostinato.evaluation.measures import features, form, part_writing, two_sample
from ostinato.evaluation.measures.protocol import Context
from ostinato.evaluation.reference import read_real_music, read_reference
from ostinato.execution.commands import run_command
from ostinato.generator import Generator, planned_requests
from ostinato.loading.tokens import open_tokens
from ostinato.settings import checked

MEASURES = {
    "two_sample": two_sample,
    "part_writing": part_writing,
    "form": form,
    "features": features,
}
COMPARED = ("part_writing", "form", "features")  # two_sample has no interval of real music


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system")
    parser.add_argument("--seeds", type=int, nargs=2, default=(2, 9), help="the first and the last")
    options = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    two_sample.DRAWS = dict.fromkeys(two_sample.DRAWS, 0)  # floors are those of the evaluation
    generator = Generator.load(Path("models") / options.system)
    context, sampling = context_of(options.system, generator)
    rows = []
    for seed in range(options.seeds[0], options.seeds[1] + 1):
        rows.append(row_of(context, generator, sampling | {"continue": 0, "seed": seed}))
        told = [rows[-1][f"two_sample/{kind}_accuracy"] for kind in ("features", "network")]
        print(f"seed {seed}: {told[0]:.2f} by features, {told[1]:.2f} by the network", flush=True)
    details = json.loads(Path("evaluation", options.system, "details.json").read_text())
    for key in rows[0]:
        if not key.split("/")[1].startswith("clue_") and not key.endswith("/distance"):
            print(line_of(key, np.array([row.get(key, np.nan) for row in rows]), details))


def context_of(system: str, generator: Generator) -> tuple[Context, dict[str, Any]]:
    """What the measures get but for samples, and how samples are drawn."""
    config = load_config("evaluate")
    encoding = config["systems"][system]["encoding"]
    tokens = open_tokens(Path("data/tokens") / encoding)
    real = read_real_music(Path("data/reference", encoding), tokens, generator.representation)
    nothing = sample_excerpts([], [])
    context = Context(
        **vars(real),
        samples=nothing,
        samples_whole=nothing,
        reference={},
        seed=checked(EvaluationSettings, "evaluation", config["evaluation"]).seed,
        resamples=20,  # intervals of single draws are not used
        tokens=tokens,
        scorer=None,
        card=generator.trained.card,
        history=(),
    )
    return context, config["sampling"]


def row_of(context: Context, generator: Generator, sampling: Mapping[str, Any]) -> dict[str, float]:
    """The figures of one draw, by measure and name."""
    made = generator.generate_all(planned_requests(sampling, [], generator.capabilities()))
    kept = [
        (replace(sample.piece, id=f"s{number}"), bool(sample.row.get("ended")))
        for number, sample in enumerate(made)
        if sample.piece is not None
    ]
    whole = sample_excerpts([piece for piece, _ in kept], [ended for _, ended in kept])
    drawn = replace(context, samples=cut_to(whole, context.quarters), samples_whole=whole)
    reference, row = Path("data/reference") / context.tokens.name, {}
    for name, module in MEASURES.items():
        own = read_reference(reference, name, context.tokens.name)
        figures = module.measure(replace(drawn, reference=own)).values
        row |= {f"{name}/{key}": figure.value for key, figure in figures.items()}
    return row


def line_of(key: str, values: np.ndarray, details: Mapping[str, Any]) -> str:
    """Mean and standard deviation of the draws, and the intervals that the mean lies outside of."""
    name, _, figure = key.partition("/")
    known = details["measures"][name]["values"].get(figure, {}) if name in COMPARED else {}
    spans = [known[kind] for kind in ("reference", "floor") if known.get(kind)]
    mean, outside = np.nanmean(values), ""
    if spans and not any(span["low"] <= mean <= span["high"] for span in spans):
        both = " and ".join(f"[{span['low']:.4g}, {span['high']:.4g}]" for span in spans)
        outside = f"   outside {both}"
    return f"{key:40} {mean:.4g} ± {np.nanstd(values, ddof=1):.2g}{outside}"


if __name__ == "__main__":
    run_command(main)
