"""The settings that all autoregressive families share."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StepConfig:
    """Settings that all autoregressive families share.

    width: D, width of the trunk.
    voice_hidden: H, hidden width of each voice's predictor; 0: a linear layer.
    order: order in which the W sub-tokens are predicted; empty: natural order.
    periods: clocks: the trunk sees the position modulo each (16: a bar of 4/4 in sixteenths).
    held_steps: the trunk sees for how many steps each sub-token has been held, counted up to this
        number from the start of its sequence (a training crop begins at 0); 0: not seen.
    repetition_memory: number of past positions in which the longest match of the most recent
        passage is searched; the trunk sees what followed it (parts/repetition.py); 0: not seen.
    pair_tables: the logits of a voice also get learned values by its intervals to the voices
        already chosen, to its own last pitch and above the bass (parts/intervals.py); grids only.
    pair_speed: how much faster these values learn than other weights, by being stored divided by
        this number.
    conditions: names of the encoding's conditions that the trunk sees at every position.
    condition_dropout: how often a condition is hidden in training, as a share of the pieces.
    """

    width: int
    voice_hidden: int = 0
    order: tuple[int, ...] = ()
    periods: tuple[int, ...] = ()
    held_steps: int = 0
    repetition_memory: int = 0
    pair_tables: bool = False
    pair_speed: float = 2.0
    conditions: tuple[str, ...] = ()
    condition_dropout: float = 0.1

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError(
                f"order={list(self.order)} must name each of 0 to {len(self.order) - 1} once"
            )
        if self.held_steps < 0 or self.repetition_memory < 0:
            raise ValueError(
                f"held_steps={self.held_steps} and repetition_memory={self.repetition_memory} "
                "cannot be negative; 0 switches them off"
            )
        if not self.pair_speed > 0:
            raise ValueError(f"pair_speed={self.pair_speed} must be above 0")

    @property
    def read_width(self) -> int:
        """Width of what the trunk reads."""
        return self.width
