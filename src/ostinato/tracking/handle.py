"""Handle of one run; no method raises an error of the store."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ostinato.tracking.store import Store, warn_once

MAX_FAILURES = 3  # failed calls in a row after which tracking of the run stops

Row = tuple[str, float, int, int]  # name, value, milliseconds since 1970, step


class RunHandle:
    """An open run; does nothing without a store, or after three failed calls in a row."""

    def __init__(
        self, store: Store | None, run: str = "", logged: Mapping[str, int] | None = None
    ) -> None:
        """Open an existing run; `logged`: last step of each metric of an earlier process."""
        self.id = run
        self._store = store
        self._logged = dict(logged or {})
        self._rows: list[Row] = []
        self._failures = 0
        self._monitor: Any = None

    @property
    def tracked(self) -> bool:
        """Whether values are still logged."""
        return self._store is not None and self._failures < MAX_FAILURES

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Buffer metrics of a training step, except steps that the run already had when resumed."""
        now = int(time.time() * 1000)
        for name, value in metrics.items():
            if self.tracked and step > self._logged.get(name, -1):
                self._rows.append((name, float(value), now, step))

    def flush(self) -> None:
        """Write buffered metrics; called before a state is saved, so that a kill leaves no gap.

        They are kept for the next call if that fails: a database may be locked for a moment.
        """
        if self._rows and self.attempt(lambda client: write(client, self.id, rows=self._rows)):
            self._rows.clear()

    def finish_weights(self, sha256: str) -> None:
        """Tag the run with its weights, by which later stages find it."""
        self.tag("weights", sha256)

    def tag(self, key: str, value: str) -> None:
        """Set or replace a tag."""
        self.attempt(lambda client: client.set_tag(self.id, key, value))

    def artifacts(self, folder: Path, under: str = "") -> None:
        """Store every file of a folder, below the run's artifact folder `under`."""
        self.attempt(lambda client: client.log_artifacts(self.id, str(folder), under or None))

    def artifact(self, file: Path, under: str = "") -> None:
        """Store one file; one of the same name is replaced."""
        self.attempt(lambda client: client.log_artifact(self.id, str(file), under or None))

    def set_metrics(self, metrics: Mapping[str, float]) -> bool:
        """Write metrics now, except those that have this value already (a stage may run again)."""

        def change(client: Any) -> None:
            known, now = client.get_run(self.id).data.metrics, int(time.time() * 1000)
            rows = [(k, float(v), now, 0) for k, v in metrics.items() if known.get(k) != v]
            write(client, self.id, rows=rows)

        return self.attempt(change)

    def watch_system(self, *, continued: bool) -> None:
        """Log use of CPU, memory, disk, network and GPU from a thread until `close`."""

        def start(_: Any) -> None:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            assert self._store is not None
            self._monitor = SystemMetricsMonitor(
                self.id, resume_logging=continued, tracking_uri=self._store.uri
            )
            self._monitor.start()

        self.attempt(start)

    def close(self, status: str) -> None:
        """Flush and end the run (FINISHED, FAILED, KILLED); a failed store is tried once more."""
        self._failures = min(self._failures, MAX_FAILURES - 1)
        self.flush()
        if self._monitor is not None:
            self.attempt(lambda _: self._monitor.finish())
        self.attempt(lambda client: client.set_terminated(self.id, status=status))

    def attempt(self, action: Callable[[Any], object]) -> bool:
        """Run an action on the client; False if it fails (with one warning) or tracking is off."""
        if self._store is None or not self.tracked:
            return False
        try:
            action(self._store.client)
        except Exception as error:
            warn_once(self._store.uri, error)
            self._failures += 1
            return False
        self._failures = 0
        return True


def write(
    client: Any,
    run: str,
    rows: list[Row] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write any number of rows, of nested params and of tags; mlflow divides and shortens them."""
    from mlflow.entities import Metric, Param, RunTag

    client.log_batch(
        run,
        metrics=[Metric(*row) for row in rows or []],
        params=[Param(key, value) for key, value in flattened(params or {}).items()],
        tags=[RunTag(key, str(value)) for key, value in (tags or {}).items()],
    )


def flattened(values: Mapping[str, Any], separator: str = ".") -> dict[str, str]:
    """Nested values as texts by joined name."""
    from pandas import json_normalize

    (row,) = json_normalize(dict(values), sep=separator).to_dict("records") or [{}]
    return {str(key): str(value) for key, value in row.items()}
