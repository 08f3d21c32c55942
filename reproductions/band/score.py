"""Stage: the band and its rivals in half precision, their likelihoods by role and style, levels."""

import sys
from pathlib import Path

import torch

from ostinato.files import write_json, write_text
from ostinato.loading.tokens import open_tokens
from ostinato.representations.registry import build
from ostinato.reproduction.band import (
    chord_kinds,
    chosen_pieces,
    levels_in,
    score_band,
    table,
)
from ostinato.reproduction.folder import read_params, run_stage
from ostinato.sampling.load import check_trained_on, load_trained
from ostinato.sampling.pretrained import keep

BAND = "band"
KEPT = {BAND: Path("pretrained"), "alone": Path("pretrained-alone")}  # the other one is its rival


def score() -> None:
    """Reads models/* and data/tokens/band; writes KEPT, scores.json and table.md."""
    torch.set_flush_denormal(True)  # the rival's attention is otherwise several times as slow
    options = read_params()["report"]
    tokens = open_tokens(Path("data/tokens/band"))
    numbers = chosen_pieces(tokens, options["pieces"], options["seed"])
    form = build(tokens.codec["representation"])
    kinds, found = chord_kinds(tokens, form), {}
    for name, kept in KEPT.items():
        card = keep(Path("models") / name, kept)
        card["codec"] = card["codec"] | {"chord_kinds": kinds}  # for messages
        write_json(kept / "model.json", card)
        trained = load_trained(kept)
        check_trained_on(trained, tokens)
        found[name] = score_band(
            trained.model, tokens, numbers, options["resamples"], options["seed"]
        )
    scores = found.pop(BAND) | {"rivals": found, "levels": levels_in(tokens, form)}
    write_json(Path("scores.json"), scores)
    write_text(Path("table.md"), table(scores))
    sys.stdout.write(table(scores))


if __name__ == "__main__":
    run_stage(score)
