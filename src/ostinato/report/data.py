"""Data of the report; `report.load` reads it from the pipeline's files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ostinato.metrics.differences import Column
from ostinato.metrics.figure import Figure
from ostinato.music.piece import Piece
from ostinato.music.recording import Recording
from ostinato.report.listeners import ListeningTest
from ostinato.report.steps import Steps


@dataclass(frozen=True)
class Measured:
    """One measure's result; figures by name, in the measure's order."""

    name: str
    title: str
    note: str
    view: str
    order: int
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class StoredSample:
    """One generated piece, or the sound and the frames of one that has no notes; both are None
    where generation failed, for the reason in `failed`.
    """

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
    recording: Recording | None = None

    def __post_init__(self) -> None:
        if self.piece is None and self.recording is None and not self.failed:
            raise ValueError(f"sample {self.id} has neither a piece nor a reason for its failure")


@dataclass(frozen=True)
class Pair:
    """A sample of a gallery and the piece to hear beside it."""

    measure: str
    sample: StoredSample
    beside: StoredSample | None
    caption: str
    is_flagged: bool


@dataclass(frozen=True)
class System:
    """All results of one trained system.

    columns: values of single pieces by (measure, set, name). series: points (x, y) by (measure,
    name). not_measured: why, by measure. hashes: of weights and tokens. number: decides the colour.
    remark: shown wherever the name is, such as that nobody was asked.
    """

    name: str
    family: str
    size: str
    encoding: str
    dataset: str
    seed: int
    parameters: int
    number: int
    counts: Mapping[str, int]
    not_measured: Mapping[str, str]
    hashes: Mapping[str, str]
    measures: tuple[Measured, ...]
    columns: Mapping[tuple[str, str, str], Column]
    series: Mapping[tuple[str, str], Sequence[tuple[float, float]]]
    pairs: tuple[Pair, ...]
    samples: tuple[StoredSample, ...]
    remark: str = ""

    @property
    def shown(self) -> str:
        """The name with its remark."""
        return f"{self.name} ({self.remark})" if self.remark else self.name

    @property
    def failed(self) -> int:
        """Samples without music."""
        return sum(sample.failed is not None for sample in self.samples)

    @property
    def has_roles(self) -> bool:
        """Whether each role has tokens of its own, and so a lane of its own in rolls."""
        figures = [name for m in self.measures if m.name == "roles" for name in m.figures]
        return any(name.startswith("nats_per_note_") for name in figures)

    def figure(self, measure: str, name: str) -> Figure | None:
        """One figure; None where the system has none."""
        found = [m.figures.get(name) for m in self.measures if m.name == measure]
        return found[0] if found else None

    def headlines(self) -> Iterator[tuple[str, str, Figure]]:
        """Measure, name and figure of what the overview shows."""
        for measured in self.measures:
            for name, figure in measured.figures.items():
                if figure.is_headline:
                    yield measured.name, name, figure


@dataclass(frozen=True)
class DatasetNote:
    """A dataset as the top of the page shows it; splits: pieces by split."""

    title: str = ""
    licence: str = ""
    citation: str = ""
    splits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportData:
    """The whole comparison; systems in the order of the page.

    resamples, seed: of the intervals of differences.
    """

    systems: tuple[System, ...]
    title: str = "Ostinato"
    datasets: Mapping[str, DatasetNote] = field(default_factory=dict)
    resamples: int = 2000
    seed: int = 1
    listeners: tuple[ListeningTest, ...] = ()
    steps: Steps | None = None

    def __post_init__(self) -> None:
        names = [system.name for system in self.systems]
        if not names:
            raise ValueError("a report needs a system; add one to `systems` in params.yaml")
        if len(set(names)) < len(names):
            raise ValueError(f"two systems of a report share a name: {', '.join(sorted(names))}")

    def by_encoding(self) -> dict[str, list[System]]:
        """The systems of every encoding: only those are compared."""
        found: dict[str, list[System]] = {}
        for system in self.systems:
            found.setdefault(system.encoding, []).append(system)
        return found
