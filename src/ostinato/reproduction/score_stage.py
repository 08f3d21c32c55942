"""The stage of reproductions/<paper> that scores a trained system by a protocol."""

import argparse
from pathlib import Path
from typing import Any

import torch

from ostinato.arithmetic import use_threads
from ostinato.evaluation.autoregressive.exact import check_exact, extreme_pieces
from ostinato.evaluation.autoregressive.mixture import Mixture, Predictor
from ostinato.evaluation.likelihood.autoregressive import Scorer as ExactScorer
from ostinato.evaluation.registry import scorer_of
from ostinato.evaluation.scored import score_split
from ostinato.evaluation.scorer import Scorer
from ostinato.files import write_json
from ostinato.loading.tokens import TokenSet, open_tokens
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.reproduction.folder import FORMAT, SPLITS, entry, read_params, run_stage
from ostinato.reproduction.protocol import Protocol, ProtocolOf, check_units, figures
from ostinato.sampling.load import check_trained_on, load_trained

BOUND = "<="
DESCRIBED = ("system", "family", "size", "encoding", "seed", "parameters", "best_step")


def score_model(model: Predictor, tokens: TokenSet, protocol: Protocol) -> dict[str, Any]:
    """The figures of every split, after checking that the model's likelihood is exact.

    Raises:
        InexactLikelihood: says which check failed.
    """
    for split in SPLITS:
        for piece_TW in extreme_pieces(tokens, split):
            check_exact(model, piece_TW[: protocol.checked or None])
    scorer = model if isinstance(model, Mixture) else ExactScorer(model)
    return all_figures(scorer, tokens, protocol)


def all_figures(scorer: Scorer, tokens: TokenSet, protocol: Protocol) -> dict[str, Any]:
    """The figures of every split, after checking that it is the official one.

    Raises:
        InexactLikelihood: it is another one.
    """
    check_units(tokens, protocol)
    return {
        split: figures(
            score_split(scorer, tokens, split, given=protocol.given), tokens, split, protocol
        )
        for split in SPLITS
    }


def score_system(system: str, protocol_of: ProtocolOf) -> None:
    """Write scores/<system>.json of the trained models/<system>."""
    params = read_params()
    model, card, tokens = _trained_on(system, params)
    use_threads(card["training"]["threads"])
    protocol = protocol_of(params["protocol"], card["encoding"])
    described = {key: card[key] for key in DESCRIBED}
    if isinstance(model, Autoregressive):
        _write(system, described, score_model(model, tokens, protocol), protocol)
        return
    scorer = scorer_of(model, card["family"])
    if scorer is None or scorer.kind != "bound":
        raise ValueError(
            f"models/{system} is of family {card['family']}, whose likelihood is neither exact, "
            "step by step, nor bounded: score another system"
        )
    found = all_figures(scorer, tokens, protocol)
    _write(system, described | {"bound": BOUND}, found, protocol)


def score_mixture(mixture: str, protocol_of: ProtocolOf) -> None:
    """Write scores/<mixture>.json for the mean of the probabilities of its `members`.

    Raises:
        ValueError: the members have different encodings.
    """
    params = read_params()
    item = entry(params["mixtures"], mixture)
    members = [_trained_on(member, params) for member in item["members"]]
    cards = [card for _, card, _ in members]
    encodings = sorted({card["encoding"] for card in cards})
    if len(encodings) != 1:
        raise ValueError(f"members of mixture {mixture} differ in encoding: {', '.join(encodings)}")
    use_threads(max(card["training"]["threads"] for card in cards))
    described = {
        "system": mixture,
        "family": "mixture",
        "size": f"of {len(members)}",
        "encoding": encodings[0],
        "seed": "–",
        "parameters": sum(card["parameters"] for card in cards),
        "members": list(item["members"]),
    }
    model = Mixture([_exact(model, card) for model, card, _ in members])
    protocol = protocol_of(params["protocol"], described["encoding"])
    _write(mixture, described, score_model(model, members[0][2], protocol), protocol)


def _trained_on(
    system: str, params: dict[str, Any]
) -> tuple[torch.nn.Module, dict[str, Any], TokenSet]:
    """A trained model in evaluation mode, its `model.json`, and the tokens it was trained on."""
    encoding = entry(params["systems"] | params["frozen"], system)["encoding"]
    tokens = open_tokens(Path("data/tokens") / encoding)
    trained = load_trained(Path("models") / system)
    check_trained_on(trained, tokens)
    return trained.model.eval(), trained.card, tokens


def _exact(model: torch.nn.Module, card: dict[str, Any]) -> Autoregressive:
    """The same; raises ValueError for a model whose likelihood cannot be checked step by step."""
    if not isinstance(model, Autoregressive):
        raise ValueError(
            f"member {card['system']} is of family {card['family']}; only autoregressive families "
            "have an exact likelihood: leave it out of the mixture"
        )
    return model


def _write(name: str, described: dict[str, Any], found: dict[str, Any], protocol: Protocol) -> None:
    sign = described.get("bound", "")
    for split in SPLITS:
        value = found[split]["all"]["token_weighted"]["value"]
        print(f"{name} {split}: {sign}{value:.4f} nats per {protocol.unit}")  # noqa: T201
    write_json(Path("scores") / f"{name}.json", {"format": FORMAT, **described, **found})


def score_stage(protocol_of: ProtocolOf) -> None:
    """The command `python score.py <system>`, for a mixture `python score.py --mixture <name>`."""
    parser = argparse.ArgumentParser(description="Score one system, or a mixture, by the protocol.")
    parser.add_argument("name", help="a key of `systems`, or of `mixtures`, in params.yaml")
    parser.add_argument("--mixture", action="store_true", help="score the mean of its members")
    options = parser.parse_args()
    score = score_mixture if options.mixture else score_system
    run_stage(lambda: score(options.name, protocol_of))
