"""Models of a grid's voices given its bar lines, which have an exact distribution of their own."""

# B batch, T positions, W columns, V voices, D width

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ostinato.models.layers.bar_lines import BarLines, places
from ostinato.models.layers.conditions import ConditionInput
from ostinato.models.spec import PAD, ArraySpec, ConditionSpec, Given

MOST_VOICES = 16
LAST_PLACE = 62  # in a bar, in steps; later ones look alike
SEED = 1  # of the draws of bounds


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """Settings that families over grids share.

    period: a clock for grids without bar lines, such as 16; with bar lines the place in the bar is
    seen. conditions: names of the encoding's conditions that are seen. condition_dropout: how often
    each is hidden in training, as a share of the pieces.
    """

    dropout: float = 0.1
    period: int = 16
    conditions: tuple[str, ...] = ()
    condition_dropout: float = 0.1

    def __post_init__(self) -> None:
        self.check_at_least(1, "period")
        self.check_shares("dropout")

    def check_at_least(self, least: int, *names: str) -> None:
        """Raise ValueError for a setting below `least`."""
        for name in names:
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")

    def check_shares(self, *names: str) -> None:
        """Raise ValueError for a setting outside [0, 1)."""
        for name in names:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie in [0, 1)")


class GridModel(nn.Module):
    """The voices of a grid given its bar lines and conditions; a family adds its network.

    makes: what the family does, as the beginning of a sentence. conditioning: see `condition_on`.

    Raises:
        ValueError: an encoding that is not a grid with a column for each voice.
    """

    makes: ClassVar[str]
    config: GridConfig
    columns_V: Tensor
    conditioning: ConditionInput | None

    def __init__(self, config: GridConfig, spec: ArraySpec) -> None:
        super().__init__()
        structure = spec.structure
        columns = structure.voice_columns if structure else tuple(range(spec.width))
        self.symbols = min(structure.structural) if structure else spec.vocabulary
        self._check(spec, columns)
        self.config, self.shape, self.structure = config, spec, structure
        self.register_buffer("columns_V", torch.tensor(columns), persistent=False)
        self.bar_lines = BarLines(structure) if structure else None

    def _check(self, spec: ArraySpec, columns: tuple[int, ...]) -> None:
        wanted = f"{self.makes} of a grid with one column for each voice"
        if spec.kind != "tokens" or spec.timing is not None or len(columns) > MOST_VOICES:
            raise ValueError(f"{wanted}; choose an encoding of form grid (encoding=…)")
        if spec.structure is None:
            return
        if spec.structure.bar_column in columns:
            raise ValueError(f"{wanted}, and bars in a column of their own; grid_flat has neither")
        if sorted(spec.structure.structural) != list(range(self.symbols, spec.vocabulary)):
            raise ValueError(f"{wanted}; its structural symbols must be the last ones")

    def condition_on(self, width: int) -> ConditionInput | None:
        """A table of the conditions that the family uses; None where it uses none."""
        names, dropout = self.config.conditions, self.config.condition_dropout
        return ConditionInput(names, self.shape.conditions, width, dropout) if names else None

    @property
    def conditions(self) -> tuple[ConditionSpec, ...]:
        """Those that the model uses."""
        return self.conditioning.specs if self.conditioning else ()

    def given(self, codes_BK: Tensor | None) -> Given | None:
        """Of the codes of all conditions of an encoding, those that the model uses."""
        if self.conditioning is None or codes_BK is None:
            return None
        return Given(self.conditioning.pick(codes_BK))

    def conditioned(self, x: Tensor, given: Given | None) -> Tensor:
        """Vectors of pieces, (B, …, D), with those of their conditions added."""
        if self.conditioning is None:
            return x
        codes_BC = given.codes_BC if given else None
        if codes_BC is None:
            codes_BC = self.conditioning.not_given(len(x))
        vectors_BD = self.conditioning(codes_BC)
        return x + vectors_BD.view(len(x), *[1] * (x.ndim - 2), -1)

    def voices(self, rows_BTW: Tensor) -> tuple[Tensor, Tensor]:
        """The voices' cells, (B, T, V), and which of them are music: neither PAD nor in the end."""
        cells_BTV = rows_BTW[..., self.columns_V]
        free_BTV = cells_BTV != PAD
        if self.structure and self.structure.end is not None:
            ends_BT = rows_BTW[..., self.structure.bar_column] == self.structure.end
            free_BTV = free_BTV & ~ends_BT[..., None]
        return cells_BTV, free_BTV

    def places(self, rows_BTW: Tensor, start_B: Tensor) -> Tensor:
        """The place of every row in its bar, (B, T); without bars, in `period`.

        start_B: steps before the first row. The place is unknown, the last value, before the first
        bar line of rows that do not begin a piece.
        """
        if self.structure is None:
            steps_T = torch.arange(rows_BTW.shape[1], device=rows_BTW.device)
            return (start_B[:, None] + steps_T) % self.config.period
        column_BT = rows_BTW[..., self.structure.bar_column]
        begun_BT = (column_BT != self.structure.inside).cumsum(dim=1) > 0
        places_BT = places(column_BT, self.structure, LAST_PLACE)
        return torch.where(begun_BT | (start_B == 0)[:, None], places_BT, LAST_PLACE + 1)

    @property
    def place_count(self) -> int:
        """How many values `places` has."""
        return LAST_PLACE + 2 if self.structure else self.config.period

    def bar_loss(self, batch: Mapping[str, Tensor]) -> Tensor | int:
        """Nats of the whole bar columns beside a training batch; 0 for a grid without."""
        return self.bar_lines.nats(batch["bars"]).sum() if self.bar_lines else 0

    def with_bars(self, nats_BTV: Tensor, rows_BTW: Tensor) -> Tensor:
        """Nats of every column of whole pieces, (B, T, W): of the voices as they are given, of the
        bar column exactly; 0 where a row is PAD.
        """
        nats_BTW = torch.zeros(rows_BTW.shape, device=rows_BTW.device)
        nats_BTW = nats_BTW.index_add(2, self.columns_V, nats_BTV)
        if self.bar_lines is None or self.structure is None:
            return nats_BTW
        column = self.structure.bar_column
        bars_BT = self.bar_lines.nats(rows_BTW[..., column]).float()
        index = torch.tensor([column], device=rows_BTW.device)
        return nats_BTW.index_add(2, index, bars_BT[..., None])


@contextmanager
def fixed_draws(device: torch.device, seed: int = SEED) -> Iterator[None]:
    """What is drawn from torch's generators within is always the same, and changes nothing after
    it.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
