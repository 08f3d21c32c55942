"""Handle of one run; no method raises an error of the store."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ostinato.tracking.store import Store, warn_once

# limits of mlflow 3.17 (utils/validation.py); beyond them it refuses a whole batch
KEY_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
DIGEST_LENGTH = 36
TEXTS_PER_BATCH = 100
METRICS_PER_BATCH = 1000

FLUSH_ROWS = 500
FLUSH_SECONDS = 15.0
MAX_FAILURES = 3  # failed calls in a row after which tracking of the run stops

Row = tuple[str, float, int, int]  # name, value, milliseconds since 1970, step


class RunHandle:
    """An open run; does nothing without a store, or after three failed calls in a row.

    Metrics are buffered: a single row takes 25 ms on SQLite, a thousand together 0.3 s.
    """

    def __init__(
        self, store: Store | None, run: str = "", logged: Mapping[str, int] | None = None
    ) -> None:
        """Open an existing run; `logged`: last step of each metric of an earlier process."""
        self.id = run
        self._store = store
        self._logged = dict(logged or {})
        self._rows: list[Row] = []
        self._written = time.monotonic()
        self._failures = 0
        self._monitor: Any = None

    @property
    def tracked(self) -> bool:
        """Whether values are still logged."""
        return self._store is not None and self._failures < MAX_FAILURES

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics of a training step, except steps that the run already had when resumed."""
        if not self.tracked:
            return
        now = milliseconds()
        for name, value in metrics.items():
            key = valid_key(name)
            if step > self._logged.get(key, -1):
                self._rows.append((key, float(value), now, step))
        if len(self._rows) >= FLUSH_ROWS or time.monotonic() - self._written > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write buffered metrics; called before a state is saved, so that a kill leaves no gap."""
        self._written = time.monotonic()
        while self._rows and self.tracked:
            batch = self._rows[:METRICS_PER_BATCH]
            if not self.write(rows=batch):
                return  # kept for the next attempt: the database may be locked for a moment
            del self._rows[: len(batch)]

    def tag(self, key: str, value: str) -> None:
        """Set or replace a tag."""
        self.write(tags={key: value})

    def finish_weights(self, sha256: str) -> None:
        """Tag the run with its weights, by which later stages find it."""
        self.tag("weights", sha256)

    def artifacts(self, folder: Path, under: str = "") -> None:
        """Store every file of a folder, below the run's artifact folder `under`."""
        self.attempt(
            lambda client: client.log_artifacts(self.id, str(folder), artifact_path=under or None)
        )

    def artifact(self, file: Path, under: str = "") -> None:
        """Store one file; one of the same name is replaced."""
        self.attempt(
            lambda client: client.log_artifact(self.id, str(file), artifact_path=under or None)
        )

    def set_metrics(self, metrics: Mapping[str, float], step: int = 0) -> bool:
        """Write metrics now, except those that have this value already (a stage may run again)."""

        def write(client: Any) -> None:
            known = client.get_run(self.id).data.metrics
            now = milliseconds()
            rows = [(valid_key(name), float(value), now, step) for name, value in metrics.items()]
            write_batch(client, self.id, rows=[row for row in rows if known.get(row[0]) != row[1]])

        return self.attempt(write)

    def write(
        self,
        rows: list[Row] | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> bool:
        """Write rows, params and tags now; returns whether that worked."""
        return self.attempt(
            lambda client: write_batch(client, self.id, rows or [], params or {}, tags or {})
        )

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
            if not self.tracked:
                self._rows.clear()
            return False
        self._failures = 0
        return True


def write_batch(
    client: Any,
    run: str,
    rows: list[Row] | None = None,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write any number of rows, params and tags in batches that mlflow accepts."""
    from mlflow.entities import Metric, Param, RunTag

    metrics = [Metric(*row) for row in rows or []]
    for start in range(0, len(metrics), METRICS_PER_BATCH):
        client.log_batch(run, metrics=metrics[start : start + METRICS_PER_BATCH])
    texts = [Param(valid_key(k), shortened(v, PARAM_LENGTH)) for k, v in (params or {}).items()]
    for start in range(0, len(texts), TEXTS_PER_BATCH):
        client.log_batch(run, params=texts[start : start + TEXTS_PER_BATCH])
    marks = [RunTag(valid_key(k), shortened(str(v), TAG_LENGTH)) for k, v in (tags or {}).items()]
    for start in range(0, len(marks), TEXTS_PER_BATCH):
        client.log_batch(run, tags=marks[start : start + TEXTS_PER_BATCH])


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as texts by dotted name; lists as JSON."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{key}"] = json.dumps(value, default=str)
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def flat_metrics(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of nested metrics by name: {"test": {"nats": 2.0}} becomes test/nats.

    An interval {value, low, high} becomes name, name_low and name_high; other numbers next to a
    `value` likewise. Texts, lists, booleans and null are left out.
    """
    flat: dict[str, float] = {}
    interval = "value" in metrics and bool(prefix)
    for key, value in metrics.items():
        joined = f"{prefix}_{key}" if interval else f"{prefix}/{key}".lstrip("/")
        name = prefix if interval and key == "value" else joined
        if isinstance(value, Mapping):
            flat |= flat_metrics(value, name)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[name] = float(value)
    return flat


def valid_key(name: str) -> str:
    """A name that mlflow accepts; long names are cut and get a hash, so that they stay unique."""
    key = re.sub(r"[^\w\-. :/]", "_", name)
    # no part may be empty or consist of dots
    key = re.sub(r"(?<![^/])(\.+|(?=/)|$)", "_", key)
    if len(key) <= KEY_LENGTH:
        return key
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{key[: KEY_LENGTH - 9]}-{digest}"


def shortened(text: str, length: int) -> str:
    """The text, cut to `length` characters with an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def milliseconds() -> int:
    """Current time as mlflow counts it."""
    return int(time.time() * 1000)
