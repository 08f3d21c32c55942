"""The stage of reproductions/<paper> that scores a trained system by a protocol."""

import argparse
from pathlib import Path
from typing import Any

import torch

from ostinato.evaluation.exact import check_exact, extreme_pieces
from ostinato.evaluation.likelihood import score_split
from ostinato.evaluation.mixture import Mixture, Predictor
from ostinato.files import write_json
from ostinato.loading.tokens import TokenSet, open_tokens
from ostinato.reproduction.folder import FORMAT, SPLITS, entry, read_params, run_stage
from ostinato.reproduction.protocol import Protocol, ProtocolOf, check_units, figures
from ostinato.sampling.load import Trained, check_trained_on, load_trained

DESCRIBED = ("system", "family", "size", "encoding", "seed", "parameters", "best_step")


def score_model(model: Predictor, tokens: TokenSet, protocol: Protocol) -> dict[str, Any]:
    """The figures of every split, after seeing that what is scored is the official split and that
    the model's likelihood is exact.

    Raises:
        InexactLikelihood: naming what is not.
    """
    check_units(tokens, protocol)
    for split in SPLITS:
        for piece_TW in extreme_pieces(tokens, split):
            check_exact(model, piece_TW[: protocol.checked or None])
    return {
        split: figures(
            score_split(model, tokens, split, given=protocol.given), tokens, split, protocol
        )
        for split in SPLITS
    }


def score_system(system: str, protocol_of: ProtocolOf) -> None:
    """Write scores/<system>.json of the trained models/<system>."""
    params = read_params()
    trained, tokens = _trained_on(system, params)
    model, card = trained.model, trained.card
    torch.set_num_threads(card["training"]["threads"])
    _write(system, model, tokens, {key: card[key] for key in DESCRIBED}, protocol_of, params)


def score_mixture(mixture: str, protocol_of: ProtocolOf) -> None:
    """Write scores/<mixture>.json of the mean of the probabilities of its `members`.

    Raises:
        ValueError: members of several encodings.
    """
    params = read_params()
    item = entry(params["mixtures"], mixture)
    members = [_trained_on(member, params) for member in item["members"]]
    encodings = sorted({trained.card["encoding"] for trained, _ in members})
    if len(encodings) != 1:
        raise ValueError(f"members of mixture {mixture} are of encodings {', '.join(encodings)}")
    torch.set_num_threads(max(trained.card["training"]["threads"] for trained, _ in members))
    described = {
        "system": mixture,
        "family": "mixture",
        "size": f"of {len(members)}",
        "encoding": encodings[0],
        "seed": "–",
        "parameters": sum(trained.card["parameters"] for trained, _ in members),
        "members": list(item["members"]),
    }
    model = Mixture([trained.model for trained, _ in members])
    _write(mixture, model, members[0][1], described, protocol_of, params)


def _trained_on(system: str, params: dict[str, Any]) -> tuple[Trained, TokenSet]:
    """A trained system and the tokens that it was trained on."""
    encoding = entry(params["systems"] | params["frozen"], system)["encoding"]
    tokens = open_tokens(Path("data/tokens") / encoding)
    trained = load_trained(Path("models") / system)
    check_trained_on(trained, tokens)
    return trained, tokens


def _write(
    name: str,
    model: Predictor,
    tokens: TokenSet,
    described: dict[str, Any],
    protocol_of: ProtocolOf,
    params: dict[str, Any],
) -> None:
    protocol = protocol_of(params["protocol"], described["encoding"])
    found = score_model(model, tokens, protocol)
    for split in SPLITS:
        value = found[split]["all"]["token_weighted"]["value"]
        print(f"{name} {split}: {value:.4f} nats per {protocol.unit}")  # noqa: T201
    write_json(Path("scores") / f"{name}.json", {"format": FORMAT, **described, **found})


def score_stage(protocol_of: ProtocolOf) -> None:
    """The command `python score.py <system>`, for a mixture `python score.py --mixture <name>`."""
    parser = argparse.ArgumentParser(description="Score one system, or a mixture, by the protocol.")
    parser.add_argument("name", help="a key of `systems`, or of `mixtures`, in params.yaml")
    parser.add_argument("--mixture", action="store_true", help="score the mean of its members")
    options = parser.parse_args()
    score = score_mixture if options.mixture else score_system
    run_stage(lambda: score(options.name, protocol_of))
