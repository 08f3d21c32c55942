"""The best of several candidates by what was asked for: `reward=conditions`.

A candidate is the better, the more its probability grows when the model is told the conditions:
log p(piece | conditions) - log p(piece), the pointwise mutual information by which Li et al. 2016
(arXiv:1510.03055) rank answers. It needs nothing but the model itself, and leaves every candidate
as likely as the model has it, where guidance moves each of its steps.
"""

# B batch, C conditions, T positions, W width

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from ostinato.feedback.best import Judge, candidates_of, judge_of
from ostinato.models.spec import Given
from ostinato.representations.protocol import Tokens
from ostinato.sampling.candidates import count_of, of_one
from ostinato.sampling.load import Trained
from ostinato.sampling.request import Capabilities, Request
from ostinato.sampling.sounding import generate_sounding
from ostinato.sampling.write import Sample

NAME = "conditions"  # the reward's, in conf/generate.yaml


class Conditioned(Protocol):
    """A generator whose model may know conditions."""

    trained: Trained

    def generate_all(self, requests: Sequence[Request]) -> list[Sample]:
        """The pieces of several requests, one request after the other."""

    def capabilities(self) -> Capabilities:
        """What it can do."""


class Told:
    """Chooses by the conditions of a request. count: of candidates for each piece."""

    def __init__(self, count: int) -> None:
        self.count = count

    def best(self, generator: Conditioned, request: Request) -> list[Sample]:
        """For each piece of a request, the candidate that tells most of what was asked for.

        Raises:
            ValueError: nothing is asked for, or a model that gives no exact probabilities.
        """
        names = ", ".join(spec.name for spec in generator.capabilities().conditions) or "none"
        if not request.conditions:
            raise ValueError(
                f"reward={NAME} chooses by the conditions of a request, and it has none: give "
                f"some, such as style=…; this model's conditions: {names}"
            )
        if not hasattr(generator.trained.model, "score"):
            family = generator.trained.card["family"]
            raise ValueError(f"reward={NAME} needs exact probabilities, which {family} has not")
        made = generate_sounding(generator, candidates_of(request, self.count))
        model = generator.trained.model
        codes = generator.capabilities().codes(request.conditions)
        gains = [gain(model, one.made.tokens, codes) if one.piece else -np.inf for one in made]
        numbers = [range(number, len(made), request.n) for number in range(request.n)]
        return [made[max(group, key=gains.__getitem__)] for group in numbers]


def gain(model: Any, tokens: Tokens, codes: Sequence[int]) -> float:
    """By how many nats a piece, (T, W), is likelier to a model that is told these codes, one for
    each of its conditions.
    """
    told_BC = torch.tensor([codes], device=next(model.parameters()).device)
    tokens_BTW = torch.from_numpy(np.asarray(tokens, dtype=np.int64))[None].to(told_BC.device)
    with torch.inference_mode():
        free, told = (model.score(tokens_BTW, given).sum() for given in (None, Given(told_BC)))
    return float(free - told)


def judge_by(config: Mapping[str, Any]) -> tuple[Judge | Told | None, dict[str, Any]]:
    """What chooses by the reward of conf/generate.yaml, if it names one; see `best.judge_of`."""
    if config["reward"] == NAME:
        return Told(count_of(config)), of_one(config)
    return judge_of(config)
