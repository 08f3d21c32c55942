"""The stage of reproductions/<paper> that scores baselines without a network."""

import argparse
from pathlib import Path
from typing import Any

from ostinato.evaluation.baselines import score_baselines
from ostinato.files import write_json
from ostinato.loading.tokens import open_tokens
from ostinato.reproduction.folder import FORMAT, SPLITS, read_params, run_stage
from ostinato.reproduction.protocol import ProtocolOf, check_units, figures


def score_without_network(encoding: str, out: Path, protocol_of: ProtocolOf) -> None:
    """Score the baselines of an encoding by the protocol and write `out`."""
    tokens = open_tokens(Path("data/tokens") / encoding)
    protocol = protocol_of(read_params()["protocol"], encoding)
    check_units(tokens, protocol)
    baselines: dict[str, Any] = {}
    for split in SPLITS:
        for name, scored in score_baselines(tokens, split, given=protocol.given).items():
            baselines.setdefault(name, {})[split] = figures(scored, tokens, split, protocol)
    write_json(out, {"format": FORMAT, "encoding": encoding, "baselines": baselines})


def baselines_stage(protocol_of: ProtocolOf) -> None:
    """The command `python baselines.py <encoding> [out]`."""
    parser = argparse.ArgumentParser(description="Score baselines without a network.")
    parser.add_argument("encoding", help="a key of `encodings` in params.yaml")
    parser.add_argument("out", nargs="?", type=Path, default=Path("scores/baselines.json"))
    options = parser.parse_args()
    run_stage(lambda: score_without_network(options.encoding, options.out, protocol_of))
