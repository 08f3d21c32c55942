"""LSTM over positions (Eck & Schmidhuber 2002).

Layers are torch's fused LSTM; with `residual` each has a layer norm before it and a skip connection
around it, which allows more layers and higher learning rates.
"""

# B batch, T positions, D width

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.autoregressive.parts.config import StepConfig
from ostinato.models.spec import ArraySpec

LayerState = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Config(StepConfig):
    """Settings of the family; dropout is before every layer and before the output.

    embedding: width of the first layer's input; 0: `width`.
    """

    embedding: int = 0
    layers: int = 2
    dropout: float = 0.2
    residual: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise ValueError(f"layers={self.layers} must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")
        if self.embedding < 0:
            raise ValueError(f"embedding={self.embedding} must be at least 0")
        if self.residual and self.embedding not in (0, self.width):
            raise ValueError(
                f"residual adds a layer's input to its output: embedding={self.embedding} must be "
                f"width={self.width} or 0; or set residual to false"
            )

    @property
    def read_width(self) -> int:
        """Width of the first layer's input."""
        return self.embedding or self.width


class Model(Autoregressive):
    """Stacked LSTM."""

    recordable = True

    def __init__(self, config: Config, shape: ArraySpec) -> None:
        super().__init__(config, shape)
        self.width, self.residual = config.width, config.residual
        reads = [config.read_width] + [config.width] * (config.layers - 1)
        self.layers = nn.ModuleList(nn.LSTM(read, config.width, batch_first=True) for read in reads)
        self.norms = nn.ModuleList(
            nn.LayerNorm(config.width) if config.residual else nn.Identity()
            for _ in range(config.layers + 1)
        )
        self.rate = config.dropout
        for layer in self.layers:
            # an initially open forget gate preserves gradients over long notes (Jozefowicz 2015)
            bias = layer.get_parameter("bias_hh_l0")
            nn.init.ones_(bias[config.width : 2 * config.width])

    def trunk(self, x_BTD: Tensor, rows_BTW: Tensor) -> Tensor:
        """Outputs of shape (B, T, D)."""
        return self._run(x_BTD, None)[0]

    def trunk_cache(self, batch: int, length: int, fixed: bool = False) -> list[LayerState]:
        """Hidden and cell state of every layer, zero; `length` and `fixed` are not used."""
        like, size = next(self.parameters()), (1, batch, self.width)
        return [(like.new_zeros(size), like.new_zeros(size)) for _ in self.layers]

    def trunk_step(self, x_BD: Tensor, rows_BW: Tensor, cache: list[LayerState]) -> Tensor:
        """One more position."""
        out_B1D, cache[:] = self._run(x_BD[:, None], cache)
        return out_B1D[:, 0]

    def trunk_select(self, cache: list[LayerState], index_B: Tensor) -> None:
        """Keep these sequences; states are (1, B, D)."""
        cache[:] = [(h.index_select(1, index_B), c.index_select(1, index_B)) for h, c in cache]

    def _run(
        self, x_BTD: Tensor, states: list[LayerState] | None
    ) -> tuple[Tensor, list[LayerState]]:
        after = []
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms[:-1], strict=True)):
            read_BTD, state = self._drop(norm(x_BTD)), states[number] if states else None
            if whole_precision(x_BTD.device.type):
                with torch.autocast(x_BTD.device.type, enabled=False):
                    out_BTD, state = layer(read_BTD.float(), state)
            else:
                out_BTD, state = layer(read_BTD, state)
            x_BTD = x_BTD + out_BTD if self.residual else out_BTD
            after.append(state)
        return self._drop(self.norms[-1](x_BTD)), after

    def _drop(self, x_BTD: Tensor) -> Tensor:
        """Variational dropout: one mask for all positions of a sequence (Gal & Ghahramani 2016)."""
        if not self.training or not self.rate:
            return x_BTD
        keep_B1D = torch.rand(len(x_BTD), 1, x_BTD.shape[2], device=x_BTD.device) >= self.rate
        return x_BTD * (keep_B1D / (1 - self.rate)).to(x_BTD.dtype)


def whole_precision(device: str) -> bool:
    """Whether the layers run in full precision although autocast requests bf16.

    On a GPU, torch's autocast runs cuDNN's LSTM in half precision for any requested type
    (aten/src/ATen/cudnn/AutocastRNN.cpp). On a CPU with AVX2 at most, oneDNN has no bf16 LSTM and
    raises an error (torch 2.13).
    """
    if not torch.is_autocast_enabled(device) or torch.get_autocast_dtype(device) != torch.bfloat16:
        return False
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if device != "cpu" or not has_onednn:
        return device == "cuda"
    return not torch.ops.mkldnn._is_mkldnn_bf16_supported()
