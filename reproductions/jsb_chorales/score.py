"""Stage: score one system on the official split, after seeing that its likelihood is exact."""

import argparse
import sys
from pathlib import Path

import torch
from protocol import FORMAT, SPLITS, check_cells, figures, read_params

from ostinato.config import entry_of
from ostinato.data.tokens import open_tokens
from ostinato.evaluation.exact import check_exact, extreme_pieces
from ostinato.evaluation.likelihood import score_split
from ostinato.execution.files import write_json
from ostinato.sampling.load import load_trained


def score(system: str) -> None:
    """Write scores/<system>.json."""
    params = read_params()
    item = entry_of(params["systems"], system, "system")
    tokens = open_tokens(Path("data/tokens") / item["encoding"])
    trained = load_trained(Path("models") / system)
    card = trained.card
    if card["tokens_digest"] != tokens.digest:
        raise ValueError(f"models/{system} was trained on other tokens: dvc repro train@{system}")
    torch.set_num_threads(card["training"]["threads"])
    check_cells(tokens, params["protocol"]["cells"])
    for split in SPLITS:
        for piece_TW in extreme_pieces(tokens, split):
            check_exact(trained.model, piece_TW)
    described = ("system", "family", "size", "encoding", "seed", "parameters", "best_step")
    result = {"format": FORMAT, **{key: card[key] for key in described}}
    for split in SPLITS:
        scored = score_split(trained.model, tokens, split)
        result[split] = figures(scored, tokens, split, params["protocol"])
        value = result[split]["all"]["token_weighted"]["value"]
        print(f"{system} {split}: {value:.4f} nats per voice-cell")  # noqa: T201
    write_json(Path("scores") / f"{system}.json", result)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", help="a key of `systems` in params.yaml")
    try:
        score(parser.parse_args().system)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
