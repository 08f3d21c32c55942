"""Stage: the flat rival in half precision, and its likelihoods beside those of the report."""

import json
import sys
from pathlib import Path

import torch

from ostinato.files import require, write_json, write_text
from ostinato.loading.tokens import open_tokens
from ostinato.reproduction.band import chosen_pieces, score_band, table
from ostinato.reproduction.folder import read_params, run_stage
from ostinato.sampling.load import check_trained_on, load_trained
from ostinato.sampling.pretrained import keep

FLAT, KEPT = "flat", Path("pretrained-flat")


def score() -> None:
    """Reads scores.json, models/flat and data/tokens/band; writes KEPT, rivals.json, rivals.md."""
    torch.set_flush_denormal(True)  # its attention is otherwise several times as slow
    options = read_params()["report"]
    tokens = open_tokens(Path("data/tokens/band"))
    scores = json.loads(require(Path("scores.json"), "dvc repro report").read_text("utf-8"))
    numbers = chosen_pieces(tokens, options["pieces"], options["seed"])
    keep(Path("models") / FLAT, KEPT)
    trained = load_trained(KEPT)
    check_trained_on(trained, tokens)
    found = score_band(trained.model, tokens, numbers, options["resamples"], options["seed"])
    write_json(Path("rivals.json"), found)
    compared = table(scores | {"rivals": scores["rivals"] | {FLAT: found}})
    write_text(Path("rivals.md"), compared)
    sys.stdout.write(compared)


if __name__ == "__main__":
    run_stage(score)
