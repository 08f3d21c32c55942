"""Every column has its own frequencies, whatever came before."""

from dataclasses import dataclass

import torch
from torch import nn

from ostinato.models.spec import PAD


@dataclass(frozen=True, kw_only=True)
class Config:
    """sharpness multiplies the logits."""

    sharpness: float = 1.0


class Model(nn.Module):
    """W categorical distributions."""

    def __init__(self, config, spec):
        super().__init__()
        self.logits_WV = nn.Parameter(torch.zeros(spec.width, spec.vocabulary))
        self.sharpness = config.sharpness

    def nats(self, tokens_BTW):
        """Nats of every sub-token, 0 where it is PAD."""
        nats_WV = -(self.sharpness * self.logits_WV).log_softmax(dim=-1)
        columns_W = torch.arange(len(nats_WV))
        return nats_WV[columns_W, tokens_BTW.clamp(min=0)].masked_fill(tokens_BTW == PAD, 0.0)
