"""Stage: the band in half precision in `pretrained`, and its likelihoods by role and style."""

import sys
from pathlib import Path

from ostinato.files import write_json, write_text
from ostinato.loading.tokens import open_tokens
from ostinato.reproduction.band import chosen_pieces, score_band, table
from ostinato.reproduction.folder import read_params, run_stage
from ostinato.sampling.load import check_trained_on, load_trained
from ostinato.sampling.pretrained import keep

KEPT = Path("pretrained")


def score() -> None:
    """Reads models/band and data/tokens/band; writes pretrained, scores.json and table.md."""
    options = read_params()["report"]
    tokens = open_tokens(Path("data/tokens/band"))
    keep(Path("models/band"), KEPT)
    trained = load_trained(KEPT)
    check_trained_on(trained, tokens)
    numbers = chosen_pieces(tokens, options["pieces"], options["seed"])
    scores = score_band(trained.model, tokens, numbers, options["resamples"], options["seed"])
    write_json(Path("scores.json"), scores)
    write_text(Path("table.md"), table(scores))
    sys.stdout.write(table(scores))


if __name__ == "__main__":
    run_stage(score)
