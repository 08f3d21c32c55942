"""Tuning steps a second of dpo and rloo, and seconds of one measurement of the guards.

python -m benchmarks.tuning --steps 6   writes results/tuning.json; needs data/feedback/<study>
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ostinato.execution.commands import run_command

HERE = Path(__file__).parent


def tuning(learns_from: str, size: str) -> tuple[Any, Any]:
    """A training at its first step, and its batches."""
    from ostinato.config import load_config
    from ostinato.feedback.card import base_of, read_card
    from ostinato.feedback.clips import prompt_pieces
    from ostinato.feedback.guards import Guards
    from ostinato.loading.tokens import open_tokens
    from ostinato.models.registry import build
    from ostinato.models.spec import ArraySpec
    from ostinato.training.policy import Data, Module
    from ostinato.training.settings import settings_of

    given = [f"model=tuned/{size}", "encoding=" + read_card(learns_from)["encoding"]]
    config = load_config("train", given) | {"choices": {"model": f"tuned/{size}"}}
    config["model"] |= {"study": learns_from, "base": base_of(learns_from)}
    settings = settings_of(config)
    tokens = open_tokens(Path("data/tokens") / settings.encoding)
    module = Module(build("tuned", settings.model, ArraySpec.of(tokens.codec)), settings)
    guards = Guards(module.study, module._base[0], tokens)
    clips = guards.settings.clips
    bars = clips.prompt_bars + clips.bars
    module._guards, module.prompts = (guards,), prompt_pieces(tokens, "train", clips.prompts, bars)
    return module, Data(tokens, settings).training_set(0, 1, 1)


def seconds(run: Callable[[int], object], count: int) -> list[float]:
    """Of calls after the first."""
    found = []
    for number in range(count + 1):
        start = time.perf_counter()
        run(number)
        found.append(time.perf_counter() - start)
    return found[1:]


def main() -> None:
    """Parse the command line, run, write the results."""
    from benchmarks.measure import machine
    from ostinato.files import write_json

    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("--study", default="feedback/simulated")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--note", default="", help="written beside the results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for size in ("dpo", "rloo"):
        module, batches = tuning(given.study, size)
        optimizer = torch.optim.AdamW(module.model.parameters(), lr=1e-4, fused=True)

        def step(number: int, module: Any = module, batches: Any = batches) -> None:
            optimizer.zero_grad()  # noqa: B023 - called before the next size
            (module.loss(batches[number]) / batches[number]["count"]).backward()
            optimizer.step()  # noqa: B023

        median = float(np.median(seconds(step, given.steps)))
        rows.append({"what": f"{size}, steps a second", "value": round(1 / median, 2)})
    row = module.guards.row
    guard = float(np.median(seconds(lambda _: row(module.model, 12.0), 1)))
    rows.append({"what": "guards, seconds", "value": round(guard, 1)})
    for line in rows:
        print(f"{line['what']}: {line['value']}")
    found = {"machine": machine(), "note": given.note, "rows": rows}
    write_json(HERE / "results" / "tuning.json", found)


if __name__ == "__main__":
    run_command(main)
