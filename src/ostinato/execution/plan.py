"""Which stages have to run, in what order, and about how long that takes.

A stage is in the plan if DVC finds it changed, or if it depends on one that is. How long a stage
took is looked up in docs/build_times.csv; a stage that is not there is expected to take as long as
the longest of its kind.
"""

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ostinato.execution.machine import described, this_kind

TIMES = Path("docs/build_times.csv")
COLUMNS = ("stage", "seconds", "machine")
OF_A_SYSTEM = ("train", "sample", "evaluate")


@dataclass(frozen=True)
class Task:
    """A stage that has to run.

    needs: stages of the plan that must be done before. threads: cores that it uses.
    """

    name: str
    needs: frozenset[str]
    threads: int = 1

    @property
    def kind(self) -> str:
        """The stage's name without its item."""
        return self.name.partition("@")[0]


@dataclass
class Schedule:
    """Hands out tasks whose needs are done, longest remaining chain first.

    A task that uses more threads than there are cores runs alone.
    """

    tasks: Sequence[Task]
    cores: int
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.done: set[str] = set()
        self.running: set[str] = set()
        self._by_name = {task.name: task for task in self.tasks}
        self._chain: dict[str, float] = {}
        for task in self.tasks:
            self._remaining(task.name)

    def startable(self) -> list[Task]:
        """Tasks to start now."""
        free = self.cores - sum(self._by_name[name].threads for name in self.running)
        ready = [
            task
            for task in self.tasks
            if task.name not in self.done | self.running and task.needs <= self.done
        ]
        chosen: list[Task] = []
        for task in sorted(ready, key=lambda task: (-self._chain[task.name], task.name)):
            if task.threads <= free or not (chosen or self.running):
                chosen.append(task)
                free -= task.threads
        return chosen

    def left(self) -> list[str]:
        """Names of tasks that have not been started."""
        return [task.name for task in self.tasks if task.name not in self.done | self.running]

    def expected(self) -> float:
        """Seconds that all tasks take, if each takes as long as it is expected to."""
        trial = Schedule(self.tasks, self.cores, self.seconds)
        clock, ends = 0.0, dict[str, float]()
        while trial.left() or trial.running:
            for task in trial.startable():
                trial.running.add(task.name)
                ends[task.name] = clock + self.seconds.get(task.name, 0.0)
            first = min(trial.running, key=lambda name: (ends[name], name))
            clock = ends[first]
            trial.running.remove(first)
            trial.done.add(first)
        return clock

    def _remaining(self, name: str) -> float:
        """Seconds of the longest chain that begins with a task."""
        if name not in self._chain:
            after = [task.name for task in self.tasks if name in task.needs]
            own = self.seconds.get(name, 0.0)
            self._chain[name] = own + max((self._remaining(task) for task in after), default=0.0)
        return self._chain[name]


def plan(root: Path, targets: Sequence[str] = ()) -> list[Task]:
    """The tasks that bring targets (default: everything) up to date."""
    import networkx
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        graph = repo.index.graph  # from a stage to those it depends on
        wanted = set(graph)
        if targets:
            chosen = [stage for target in targets for stage in repo.stage.collect(target)]
            wanted = {up for stage in chosen for up in (stage, *networkx.descendants(graph, stage))}
        changed = repo.status()
        stale = {
            after
            for stage in wanted
            if stage.addressing in changed
            for after in (stage, *networkx.ancestors(graph, stage))
        } & wanted
        order = [stage for stage in networkx.dfs_postorder_nodes(graph) if stage in stale]
        return [
            Task(
                stage.addressing,
                frozenset(up.addressing for up in networkx.descendants(graph, stage) & stale),
                threads_of(stage.addressing, root),
            )
            for stage in order
        ]


def threads_of(stage: str, root: Path) -> int:
    """Cores that a stage uses: those of its model's settings; all for reading a dataset."""
    kind, _, item = stage.partition("@")
    if kind == "normalize":
        return int(os.environ.get("OSTINATO_WORKERS", os.cpu_count() or 1))
    if kind not in OF_A_SYSTEM:
        return 1
    system = _yaml(root / "params.yaml").get("systems", {}).get(item)
    if system is None:
        return 1
    settings = _yaml(root / "conf" / "model" / system["family"] / f"{system['size']}.yaml")
    return int(settings.get("training", {}).get("threads", 1))


def read_times(path: Path) -> list[dict[str, str]]:
    """Rows of docs/build_times.csv; none where it is missing."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expected_seconds(
    tasks: Iterable[Task], rows: Sequence[Mapping[str, str]]
) -> tuple[dict[str, float], list[str]]:
    """Seconds of each task by name, and the names of those whose kind was never timed."""
    timed = {row["stage"]: float(row["seconds"]) for row in rows}
    kinds: dict[str, float] = {}
    for name, seconds in timed.items():
        kind = name.partition("@")[0]
        kinds[kind] = max(seconds, kinds.get(kind, 0.0))
    found = {task.name: timed.get(task.name, kinds.get(task.kind, 0.0)) for task in tasks}
    return found, [task.name for task in tasks if task.kind not in kinds]


def write_times(path: Path, seconds: Mapping[str, float]) -> None:
    """Replace the rows of these stages by times of this machine."""
    from ostinato.files import write_text

    machine = f"{os.cpu_count()} cores: {described(this_kind())}"
    rows = {row["stage"]: row for row in read_times(path)}
    for name, value in seconds.items():
        rows[name] = {"stage": name, "seconds": f"{value:.0f}", "machine": machine}
    lines = [",".join(COLUMNS)]
    lines += [f'{r["stage"]},{r["seconds"]},"{r["machine"]}"' for _, r in sorted(rows.items())]
    write_text(path, "\n".join(lines) + "\n")


def clock(seconds: float) -> str:
    """A duration as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _yaml(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe").load(path) or {}) if path.exists() else {}
