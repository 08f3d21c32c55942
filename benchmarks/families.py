"""Samples a second of trained models of every family, one by one and several at a time, and bars
that their trainings learn from in a second.

`python -m benchmarks.families models/gpt models/vae` writes results/families.json and .md. Seconds
are the processor's, of one thread, so other work on the machine disturbs less. Pieces have 8 bars
and do not end sooner; a sample of sound has the family's default of 8.192 seconds. A training takes
some steps of the system's own size and batch on data/tokens; bars are those of its crops. Rows of
systems that are not asked for are kept, so measure all on one machine.
"""

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

from ostinato.execution.commands import run_command

RESULTS = Path(__file__).parent / "results"
BARS, ROUNDS, STEPS = 8, 3, 8


def main() -> None:
    """Parse the command line, measure, write the results after every model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, help="folders of trained models")
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()

    import torch

    from benchmarks.measure import machine
    from ostinato.files import read_json, write_json, write_text

    torch.set_num_threads(1)
    about = {"format": 1, "machine": machine(), "bars": BARS, "batch": arguments.batch}
    path = RESULTS / "families.json"
    kept = (
        read_json(path, expect_format=1, made_by="this program")
        if path.exists()
        else about | {"rows": []}
    )
    if {key: kept[key] for key in about} != about:
        raise ValueError(f"{path} was measured otherwise or elsewhere: remove it, and measure all")
    for folder in arguments.models:
        row = measured(folder, arguments.batch)
        print(row, flush=True)
        rows = [*(other for other in kept["rows"] if other["system"] != row["system"]), row]
        kept = about | {"rows": rows}
        write_json(path, kept)
        write_text(RESULTS / "families.md", table(rows, about))


def measured(folder: Path, batch: int) -> dict[str, Any]:
    """A row of the table; samples are made with the options that `generate.py` has by default."""
    from ostinato.generator import Generator

    generator = Generator.load(folder)
    card = generator.trained.card
    seconds(generator, 1, seed=7)  # not counted: the first fills caches
    one = [seconds(generator, 1, seed) for seed in range(1, ROUNDS + 1)]
    several = seconds(generator, batch, seed=1)
    return {key: card[key] for key in ("system", "family", "size", "parameters")} | {
        "seconds of one": [round(value, 3) for value in one],
        "seconds of several": round(several, 3),
        "samples a second, 1": round(1 / median(one), 3),
        "samples a second, several": round(batch / several, 3),
        "bars trained a second": bars_trained(card),
    }


def bars_trained(card: dict[str, Any]) -> float | None:
    """Bars in the crops of training steps for a second of the processor, the first step left out;
    None for sound, and for a family that learns from preferences.
    """
    import importlib

    import pytorch_lightning as pl
    import torch

    from ostinato.config import load_config
    from ostinato.loading.tokens import open_tokens
    from ostinato.models.registry import build
    from ostinato.models.spec import ArraySpec
    from ostinato.training.settings import settings_of

    name = f"{card['family']}/{card['size']}"
    config = load_config("train", [f"model={name}"]) | {"choices": {"model": name}}
    settings = settings_of(config | {"system": None, "encoding": card["encoding"]})
    tokens = open_tokens(Path("data/tokens") / settings.encoding)
    spec = ArraySpec.of(tokens.codec)
    if spec.is_real or card["paradigm"] == "policy":
        return None
    torch.manual_seed(1)
    paradigm = importlib.import_module(f"ostinato.training.{card['paradigm']}")
    module = paradigm.Module(build(settings.family, settings.model, spec), settings)
    ends: list[float] = []
    values: list[float] = []

    class Clock(pl.Callback):
        """Seconds of the processor at the end of every step, and the values it learned from."""

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, *_: Any):
            ends.append(time.process_time())
            chosen = settings.training  # strips of bars have no count: they are whole
            values.append(float(batch.get("count", chosen.batch * chosen.crop * spec.width)))

    trainer = pl.Trainer(
        max_epochs=1,
        limit_train_batches=STEPS + 1,
        limit_val_batches=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        logger=False,
        enable_model_summary=False,
        accelerator="cpu",
        callbacks=[Clock()],
    )
    trainer.fit(module, paradigm.Data(tokens, settings))
    part = tokens.splits["train"]
    bars = sum(values[1:]) / spec.width * part.bars.sum() / part.length.sum()
    return round(float(bars) / (ends[-1] - ends[0]), 1)


def seconds(generator: Any, count: int, seed: int) -> float:
    """Of the processor, for so many samples that are asked for at once."""
    from ostinato.music.piece import Piece
    from ostinato.music.timing import numbered_bars
    from ostinato.sampling.request import Request

    start = time.process_time()
    samples = generator.generate(Request(bars=BARS, min_bars=BARS, n=count, seed=seed))
    spent = time.process_time() - start
    lengths = {
        max(bar for _, bar in numbered_bars(one.piece))
        for one in samples
        if isinstance(one.piece, Piece)
    }
    if lengths - {BARS}:
        raise RuntimeError(f"pieces have {sorted(lengths)} bars, not {BARS}")
    return spent


def table(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """The rows as Markdown."""
    processor, torch = about["machine"]["processor"], about["machine"]["libraries"]["torch"]
    head = (
        f"Samples of {BARS} bars for a second of the processor, one thread: asked for one by one "
        f"(median of {ROUNDS}) and {about['batch']} at once (once); and bars in the crops of "
        f"{STEPS} training steps for a second, validation left out. {processor}, torch {torch}."
    )
    titles = ("batch 1", f"batch {about['batch']}", "bars trained")
    lines = [
        "",
        f"| system | family | parameters | {' | '.join(titles)} |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        speeds = (row[f"samples a second, {many}"] for many in ("1", "several"))
        cells = (row["system"], f"{row['family']}/{row['size']}", f"{row['parameters']:,}")
        learned = row["bars trained a second"]
        speeds = (
            *(f"{speed:.3g}" for speed in speeds),
            "–" if learned is None else f"{learned:.0f}",
        )
        lines.append("| " + " | ".join((*cells, *speeds)) + " |")
    return "\n".join([head, *lines]) + "\n"


if __name__ == "__main__":
    run_command(main)
