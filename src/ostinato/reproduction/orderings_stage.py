"""The stage of reproductions/<paper> that scores masked systems over random orderings."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.arithmetic import use_threads
from ostinato.files import write_json
from ostinato.loading.tokens import Split, TokenSet, open_tokens
from ostinato.metrics.bootstrap import mean_interval
from ostinato.models.masked.absorbing import Model
from ostinato.reproduction.folder import FORMAT, entry, read_params, run_stage
from ostinato.reproduction.orderings import averaged_probability, ordered_nats
from ostinato.sampling.load import check_trained_on, load_trained
from ostinato.seeds import seed_of


def crops(split: Split, steps: int, seed: int) -> list[tuple[str, int, Tensor]]:
    """Id, start and cells (T, W) of one crop of every piece that is long enough."""
    found = []
    for number in range(len(split)):
        piece_TW = torch.from_numpy(split.tokens_of(number).astype(np.int64))
        if len(piece_TW) < steps:
            continue
        rng = np.random.default_rng(seed_of(seed, "crop", number))
        start = int(rng.integers(len(piece_TW) - steps + 1))
        found.append((str(split.piece[number]), start, piece_TW[start : start + steps]))
    return found


class Predictor:
    """Log probabilities of one hidden cell of every canvas, by a masked model.

    start: steps before the first row. mixed: products in half precision, as in training.
    """

    def __init__(self, model: Model, start: int, *, mixed: bool = False) -> None:
        self.model, self.start, self.mixed = model, start, mixed

    def __call__(
        self, rows_BTW: Tensor, hidden_BTW: Tensor, step_B: Tensor, voice_B: Tensor
    ) -> Tensor:
        """See orderings.Predict."""
        start_B = torch.full((len(rows_BTW),), self.start)
        chosen_BTW = torch.zeros_like(hidden_BTW)
        chosen_BTW[torch.arange(len(rows_BTW)), step_B, voice_B] = True
        seen = self.model.seen(rows_BTW, hidden_BTW)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
            y_BTWH = self.model.trunk_out(rows_BTW, seen, start_B)
            logits_BS = self.model.cell_logits(y_BTWH, seen, chosen_BTW)
        return logits_BS.float().log_softmax(dim=1)


def scores(model: Model, tokens: TokenSet, settings: dict[str, Any], unit: str) -> dict[str, Any]:
    """Figures of every split: means over pieces with their intervals."""
    count = settings["units"][unit] or None
    chance = {key: settings[key] for key in ("seed", "resamples")}
    table = {}
    for split in settings["splits"]:
        cut = crops(tokens.splits[split], settings["crop"], settings["seed"])
        averaged, single = [], []
        for number, (_, start, piece_TW) in enumerate(cut[:count]):
            rng = np.random.default_rng(seed_of(settings["seed"], unit, number))
            predict = Predictor(model, start, mixed=settings["mixed"])
            nats_MG = ordered_nats(predict, piece_TW, unit, settings["orderings"], rng)
            averaged.append(averaged_probability(nats_MG).mean())
            single.append(nats_MG.mean())
        table[split] = {
            "pieces": len(single),
            "averaged_probability": mean_interval(np.array(averaged), **chance).plain(),
            "mean_of_orderings": mean_interval(np.array(single), **chance).plain(),
        }
    return table


def score_orderings(system: str) -> None:
    """Write orderings/<system>.json of the trained models/<system>."""
    params = read_params()
    item = entry(params["systems"] | params["frozen"], system)
    tokens = open_tokens(Path("data/tokens") / item["encoding"])
    trained = load_trained(Path("models") / system)
    check_trained_on(trained, tokens)
    use_threads(trained.card["training"]["threads"])
    if not isinstance(trained.model, Model) or trained.model.structure:
        raise ValueError(
            f"models/{system} is of family {trained.card['family']}; orderings are of masked "
            "families, on a grid of cells without bar lines: score one of those"
        )
    settings = params["orderings"]
    found = {unit: scores(trained.model, tokens, settings, unit) for unit in settings["units"]}
    for unit, splits in found.items():
        for split, figures in splits.items():
            mixed, single = figures["averaged_probability"], figures["mean_of_orderings"]
            print(  # noqa: T201
                f"{system} {split}: {mixed['value']:.4f} nats per {unit}, probabilities averaged; "
                f"{single['value']:.4f}, mean over orderings"
            )
    write_json(Path("orderings") / f"{system}.json", {"format": FORMAT, "system": system, **found})


def orderings_stage() -> None:
    """The command `python random_orders.py <system>`."""
    parser = argparse.ArgumentParser(description="Coconet's likelihoods over random orderings.")
    parser.add_argument("system", help="a key of `systems` in params.yaml, of a masked family")
    system = parser.parse_args().system
    run_stage(lambda: score_orderings(system))
