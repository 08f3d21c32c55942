"""Any autoregressive model, tuned from a study: it is of its base's own family, with new weights.

Scoring, sampling and sessions are therefore the base family's. Dropout is off: preferences compare
a model with its frozen base, and with dropout both probabilities would be random. Tables of
intervals learn at one speed, whatever the base's: they have little to unlearn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ostinato.models.registry import build, families
from ostinato.models.spec import ArraySpec

METHODS = ("dpo", "rloo", "expected")
PAIRS = ("choices", "reward")
BASES = "autoregressive"
FIXED = {"dropout": 0.0, "condition_dropout": 0.0, "pair_speed": 2.0}  # settings of any base
INTERVALS = "intervals."  # weights of a base that are stored divided by pair_speed


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a system is tuned; docs/feedback.md has the equations.

    method: dpo (pairs of clips), rloo (rewards of its own samples) or expected (with the corpus as
        referee: parallels expected after each prefix of the base's clips). pairs: of dpo, the
        listeners' `choices`, or clips of one prompt that differ in the study's `reward` by a
        standard deviation or more.
    beta: weight of the divergence from the base; for rloo where it starts.
    tables_lr: how many times as fast the tables of voices' motion learn, which tell a parallel from
        other intervals (models/autoregressive/parts/intervals.py): at the rate of all other weights
        they hardly move in a short training.
    kl_budget: nats a clip that a kept model may diverge from its base.
    group: samples of one prompt that rloo compares.
    study, base: from `learns_from` of params.yaml: where the study is, and the base's family and
        settings.
    """

    method: str
    beta: float
    kl_budget: float
    group: int = 4
    tables_lr: float = 1.0
    pairs: str = "reward"
    study: str = ""
    base: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method={self.method!r} is none of {', '.join(METHODS)}")
        if not self.beta > 0 or not self.kl_budget > 0:
            raise ValueError(f"beta={self.beta} and kl_budget={self.kl_budget} must be above 0")
        if not self.tables_lr > 0:
            raise ValueError(f"tables_lr={self.tables_lr} must be above 0")
        if self.pairs not in PAIRS:
            raise ValueError(f"pairs={self.pairs!r} is none of {', '.join(PAIRS)}")
        if self.group < 2:
            raise ValueError(f"group={self.group} must be at least 2: one sample has no baseline")
        if self.base and self.base["family"] not in families(BASES):
            raise ValueError(
                f"a {self.base['family']} cannot be tuned: its samples have no exact probability "
                f"sub-token by sub-token; bases are {', '.join(families(BASES))}"
            )


def Model(config: Config, spec: ArraySpec) -> nn.Module:  # noqa: N802 - what the registry calls
    """A model of the base's family.

    Raises:
        ValueError: no base is named.
    """
    if not config.base:
        raise ValueError(
            "a tuned system needs a study: give its line in params.yaml learns_from, such as "
            "data/feedback/simulated, and train it by its name, with system=…"
        )
    settings = {key: FIXED.get(key, value) for key, value in config.base["model"].items()}
    return build(config.base["family"], settings, spec)


def start(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The base's weights as those of a Model that computes the same. config: of the tuned model."""
    slower = config["base"]["model"].get("pair_speed", FIXED["pair_speed"]) / FIXED["pair_speed"]
    return {k: v * slower if k.startswith(INTERVALS) else v for k, v in weights.items()}
