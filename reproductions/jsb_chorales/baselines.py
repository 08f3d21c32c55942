"""Stage: what needs no network, under the same protocol."""

import argparse
import sys
from pathlib import Path
from typing import Any

from protocol import FORMAT, SPLITS, check_cells, figures, read_params

from ostinato.data.tokens import open_tokens
from ostinato.evaluation.baselines import score_baselines
from ostinato.execution.files import write_json


def score(encoding: str) -> None:
    """Write scores/baselines.json."""
    protocol = read_params()["protocol"]
    tokens = open_tokens(Path("data/tokens") / encoding)
    check_cells(tokens, protocol["cells"])
    baselines: dict[str, Any] = {}
    for split in SPLITS:
        for name, scored in score_baselines(tokens, split).items():
            baselines.setdefault(name, {})[split] = figures(scored, tokens, split, protocol)
    write_json(
        Path("scores/baselines.json"),
        {"format": FORMAT, "encoding": encoding, "baselines": baselines},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoding", help="a key of `encodings` in params.yaml")
    try:
        score(parser.parse_args().encoding)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
