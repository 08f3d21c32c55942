"""How sub-tokens are chosen."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """temperature divides the logits; top_k keeps the k likeliest (0: all); top_p keeps the
    nucleus.

    The nucleus is the smallest set of likeliest sub-tokens whose probability reaches top_p
    (Holtzman 2020).
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature={self.temperature} must be above 0; top_k=1 is greedy")
        if self.top_k < 0:
            raise ValueError(f"top_k={self.top_k} cannot be negative; 0 keeps all")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must lie in (0, 1]")
