"""How sub-tokens are chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

LATER: Mapping[str, Any] = {"min_p": 0.0, "no_repeat": 0}


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """temperature divides the logits; then what each of the others keeps is kept by all of them.

    top_k: the k likeliest (0: all). top_p: the nucleus, the smallest set of the likeliest of these
    whose probability reaches top_p of theirs (Holtzman 2020). min_p: what has at least min_p times
    the likeliest's probability (Nguyen 2024; 0: all). no_repeat: no passage of so many whole
    positions comes twice (0: any; after Paulus 2018). Notes that are held repeat nothing: see
    sampling/repeats.py.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    no_repeat: int = 0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature={self.temperature} must be above 0; top_k=1 is greedy")
        if self.top_k < 0:
            raise ValueError(f"top_k={self.top_k} cannot be negative; 0 keeps all")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must lie in (0, 1]")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p={self.min_p} must lie in [0, 1]; 0 keeps all")
        if self.no_repeat < 0 or self.no_repeat == 1:
            raise ValueError(
                f"no_repeat={self.no_repeat} must be the 2 or more positions of a passage, or 0 "
                "for no limit"
            )

    @property
    def keeps_all(self) -> bool:
        """Whether anything may be drawn."""
        return not self.top_k and self.top_p == 1 and not self.min_p

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Decoding":
        """Those of some settings that are its own; what they do not name is off."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: settings[name] for name in names if name in settings})

    def said(self) -> dict[str, Any]:
        """As plain settings. What came later is left out where it is off: ids of samples are
        hashes of this.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if LATER.get(name) != value}
