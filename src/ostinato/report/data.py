"""Data of the report; `report.load` reads it from the pipeline's files."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ostinato.metrics.bootstrap import Interval
from ostinato.music.piece import Piece

SPLITS = ("test", "valid")
SETS = ("train", "heldout", "samples")
UNITS = ("bits_per_quarter", "nats_per_note", "nats_per_token")


@dataclass(frozen=True)
class Likelihood:
    """Likelihood of one split: an interval for each of UNITS; lower is better."""

    units: Mapping[str, Interval]
    pieces: int
    tokens: int


@dataclass(frozen=True)
class FeatureResult:
    """One musical feature: its mean in each of SETS, and two Wasserstein-1 distances.

    distance: between samples and held-out music; floor: between training and held-out music, which
    is what a perfect model of this corpus would reach.
    """

    name: str
    label: str
    unit: str
    description: str
    means: Mapping[str, Interval]
    distance: Interval
    floor: Interval


@dataclass(frozen=True)
class CopiedPassage:
    """The longest passage of `piece` that also occurs in the training piece `of`."""

    notes: int
    quarters: float
    piece: str
    of: str


@dataclass(frozen=True)
class Originality:
    """Passages copied from the training music: mean of the longest per piece, and the longest."""

    mean_notes: Interval
    longest: CopiedPassage


@dataclass(frozen=True)
class Curve:
    """Nats per token over optimizer steps; NaN where a step was not measured."""

    steps: Sequence[int] = ()
    train: Sequence[float] = ()
    valid: Sequence[float] = ()


@dataclass(frozen=True)
class StoredSample:
    """One generated piece; `piece` is None where generation failed, for the reason in `failed`."""

    id: str
    task: str
    seed: int
    index: int
    nats: float
    prompt: str | None = None
    prompt_bars: float = 0.0
    bars: int | None = None
    failed: str | None = None
    piece: Piece | None = None

    def __post_init__(self) -> None:
        if self.piece is None and not self.failed:
            raise ValueError(f"sample {self.id} has neither a piece nor a reason for its failure")


@dataclass(frozen=True)
class System:
    """All results of one trained system.

    values: the values of single pieces by (set, feature); copied_notes: the longest copied passage
    of each piece by set, in notes. is_bound: the true nats are at most
    those of `likelihood`.
    """

    name: str
    family: str
    size: str
    encoding: str
    dataset: str
    seed: int
    parameters: int
    likelihood: Mapping[str, Likelihood]
    baselines: Mapping[str, Mapping[str, Likelihood]]
    features: tuple[FeatureResult, ...]
    copied: Mapping[str, Originality]
    values: Mapping[tuple[str, str], tuple[float, ...]]
    copied_notes: Mapping[str, tuple[float, ...]]
    curve: Curve
    samples: tuple[StoredSample, ...]
    is_bound: bool = False

    @property
    def failed(self) -> int:
        """Samples without music."""
        return sum(sample.piece is None for sample in self.samples)


@dataclass(frozen=True)
class DatasetNote:
    """A dataset as the top of the page shows it; splits: pieces by split."""

    title: str = ""
    licence: str = ""
    citation: str = ""
    splits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportData:
    """The whole comparison; systems in the order of the page."""

    systems: tuple[System, ...]
    title: str = "Ostinato"
    datasets: Mapping[str, DatasetNote] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [system.name for system in self.systems]
        if not names:
            raise ValueError("a report needs a system; add one to `systems` in params.yaml")
        if len(set(names)) < len(names):
            raise ValueError(f"two systems of a report share a name: {', '.join(sorted(names))}")


@dataclass(frozen=True)
class Group:
    """Systems that differ only in their seed; `number` decides the colour."""

    number: int
    systems: tuple[System, ...]

    @property
    def first(self) -> System:
        """The first system; represents what all of the group share."""
        return self.systems[0]

    @property
    def name(self) -> str:
        """The name of a single system, else family and size."""
        several = len(self.systems) > 1
        return f"{self.first.family} {self.first.size}" if several else self.first.name

    def likelihood(self, split: str, unit: str) -> Interval:
        """Mean over the seeds, NaN if no seed has one."""
        found = [s.likelihood[split].units[unit] for s in self.systems if split in s.likelihood]
        return pooled(found)

    def spread(self, split: str, unit: str) -> float:
        """Standard deviation over the seeds; NaN for fewer than two."""
        found = [
            s.likelihood[split].units[unit].value for s in self.systems if split in s.likelihood
        ]
        if len(found) < 2:
            return math.nan
        mean = sum(found) / len(found)
        return math.sqrt(sum((value - mean) ** 2 for value in found) / (len(found) - 1))


def group_by_seed(systems: Sequence[System]) -> tuple[Group, ...]:
    """Groups of one dataset, encoding, family and size, in order of their first system."""
    groups: dict[tuple[str, str, str, str], list[System]] = {}
    for system in systems:
        key = (system.dataset, system.encoding, system.family, system.size)
        groups.setdefault(key, []).append(system)
    return tuple(Group(i, tuple(members)) for i, members in enumerate(groups.values()))


def pooled(intervals: Sequence[Interval]) -> Interval:
    """Mean of values and of bounds over seeds.

    The bounds measure variation over pieces, which is nearly the same for every seed; variation
    over seeds is `Group.spread`.
    """
    if not intervals:
        return Interval()
    count = len(intervals)
    return Interval(
        sum(x.value for x in intervals) / count,
        sum(x.low for x in intervals) / count,
        sum(x.high for x in intervals) / count,
    )
