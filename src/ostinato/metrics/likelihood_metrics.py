"""Likelihood, perplexity and accuracy of tokens as torchmetrics, which processes can add up.

torchmetrics' own Perplexity needs the logits of one softmax a position, while a family here returns
nats of each sub-token of a chain; its MeanMetric adds in 32 bits, too few for hundreds of millions
of tokens. Its MulticlassAccuracy counts whole numbers and is used as it is.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

PAD = -1


class NatsPerToken(Metric):
    """Mean nats of the scored sub-tokens; NaN before any was scored.

    Sums in 64 bits, which Apple's GPUs do not have: keep it on the CPU there.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False
    nats: Tensor
    count: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("nats", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, nats: Tensor, target: Tensor, pad: int = PAD) -> None:
        """Add sub-tokens. target: what they are, of which `pad` is not scored, or a mask."""
        if nats.shape != target.shape:
            raise ValueError(
                f"nats {tuple(nats.shape)} and target {tuple(target.shape)} must agree in shape"
            )
        mask = target if target.dtype == torch.bool else target != pad
        scored = torch.where(mask, nats.detach(), 0.0).sum(dtype=torch.float64)
        self.nats += scored.to(self.nats.device)
        self.count += mask.sum().to(self.count.device)

    def compute(self) -> Tensor:
        """Nats per scored sub-token, a 64-bit scalar."""
        return self.nats / self.count


class TokenPerplexity(NatsPerToken):
    """exp of the mean nats: as uncertain as a uniform choice among so many; at least 1."""

    def compute(self) -> Tensor:
        """Perplexity per scored sub-token, a 64-bit scalar."""
        return super().compute().exp()


def likelihood_metrics(vocabulary: int | None = None) -> MetricCollection:
    """nats_per_token, perplexity and, where a vocabulary is given, accuracy.

    Call `update(nats=…, preds=…, target=…)` with tensors of one shape; `target` is PAD where
    nothing is scored. preds: the most probable values; without a vocabulary leave it out.
    accuracy is the share of the scored sub-tokens, in [0, 1], whose most probable value is the
    true one.
    """
    metrics: dict[str, Metric | MetricCollection] = {
        "nats_per_token": NatsPerToken(),
        "perplexity": TokenPerplexity(),
    }
    # stated here: torchmetrics finds them out at the first update, which a process may never see
    groups = [["nats_per_token", "perplexity"]]
    if vocabulary is not None:
        metrics["accuracy"] = MulticlassAccuracy(
            vocabulary, average="micro", ignore_index=PAD, validate_args=False
        )
        groups.append(["accuracy"])
    return MetricCollection(metrics, compute_groups=groups)
