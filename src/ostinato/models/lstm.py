"""LSTM over positions (Eck & Schmidhuber 2002), its state carried from step to step when sampling.

Notable: layers are torch's fused LSTM; with `residual` each has a layer norm before it and a skip
around it, which lets a strong one grow deeper and train at a higher rate.
"""

# B batch, T positions, D width

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ostinato.models.parts.autoregressive import Autoregressive, StepConfig, TokenShape

LayerState = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Config(StepConfig):
    """Settings of the family; dropout is between layers and before the head."""

    layers: int = 2
    dropout: float = 0.2
    residual: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise ValueError(f"layers={self.layers} must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")


class Model(Autoregressive):
    """Stacked LSTM."""

    def __init__(self, config: Config, shape: TokenShape) -> None:
        super().__init__(config, shape)
        self.width, self.residual = config.width, config.residual
        self.layers = nn.ModuleList(
            nn.LSTM(config.width, config.width, batch_first=True) for _ in range(config.layers)
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(config.width) if config.residual else nn.Identity()
            for _ in range(config.layers + 1)
        )
        self.rate = config.dropout
        for layer in self.layers:
            # a forget gate that starts open keeps gradients alive over long notes (Jozefowicz 2015)
            bias = layer.get_parameter("bias_hh_l0")
            nn.init.ones_(bias[config.width : 2 * config.width])

    def trunk(self, x_BTD: Tensor) -> Tensor:
        """Outputs of shape (B, T, D)."""
        return self._run(x_BTD, None)[0]

    def trunk_cache(self, batch: int, length: int) -> list[LayerState]:
        """Hidden and cell state of every layer, zero; the length does not matter."""
        zero = torch.zeros(1, batch, self.width, device=next(self.parameters()).device)
        return [(zero, zero) for _ in self.layers]

    def trunk_step(self, x_BD: Tensor, cache: list[LayerState]) -> Tensor:
        """One more position."""
        out_B1D, cache[:] = self._run(x_BD[:, None], cache)
        return out_B1D[:, 0]

    def _run(
        self, x_BTD: Tensor, states: list[LayerState] | None
    ) -> tuple[Tensor, list[LayerState]]:
        after = []
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms[:-1], strict=True)):
            out_BTD, state = layer(self._drop(norm(x_BTD)), states[number] if states else None)
            x_BTD = x_BTD + out_BTD if self.residual else out_BTD
            after.append(state)
        return self._drop(self.norms[-1](x_BTD)), after

    def _drop(self, x_BTD: Tensor) -> Tensor:
        """Variational dropout: one mask for all positions of a sequence (Gal & Ghahramani 2016)."""
        if not self.training or not self.rate:
            return x_BTD
        keep_B1D = torch.rand(len(x_BTD), 1, self.width, device=x_BTD.device) >= self.rate
        return x_BTD * (keep_B1D / (1 - self.rate)).to(x_BTD.dtype)
