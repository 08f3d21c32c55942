"""Opens runs and finds them again, by the fingerprint of a training or the hash of its weights."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ostinato.tracking.handle import RunHandle, flattened, write
from ostinato.tracking.store import PARENT_RUN, Store, on_store

PARENT_TAG = "mlflow.parentRunId"
PROCESS_TAG = "process"
CONFIG = "config.yaml"
NAMED = ("system", "model", "out", "encoding", "+sweep")
CANDIDATES = 50


@dataclass(frozen=True)
class RestoredRun:
    """Contents of a run that is restored from files.

    curve: (step, metrics by name) in the order of the steps.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    curve: Sequence[tuple[int, Mapping[str, float]]] = ()


@contextmanager
def training_run(
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    dataset: tuple[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Iterator[RunHandle]:
    """The run of one training; with several ranks only the main process opens it.

    A killed or failed run with the same tag `fingerprint` is resumed: its params stay, and its
    curve continues after its last step. An exception in the body ends the run as FAILED, an
    interruption (Ctrl-C) as KILLED; both are raised again.

    Args:
        name: of the run; the overrides that `config` names, or those in which a job of a sweep
            differs from the others, are appended.
        params: settings, may be nested.
        tags: fingerprint, family, size, seed, encoding …
        dataset: name and digest of the training data.
        config: all of the composed configuration, for the artifact config.yaml.

    Raises:
        ValueError: MLFLOW_TRACKING_URI is not a store; no other error of tracking is raised.
    """
    name = f"{name} {_differing(config or {})}".rstrip()
    run = on_store(lambda store: _begin(store, name, params, tags, dataset))
    with _until_end(run or RunHandle(None)) as handle:
        if config:
            handle.attempt(lambda client: client.log_dict(handle.id, dict(config), CONFIG))
        yield handle


@contextmanager
def sweep_run(name: str, overrides: Sequence[str], run: str = "") -> Iterator[RunHandle]:
    """The parent run of a sweep: a new one, or the one with the id `run`.

    Jobs become its children if $OSTINATO_PARENT_RUN holds its id.
    """

    def begin(store: Store) -> RunHandle:
        if run:
            store.client.update_run(run, status="RUNNING")
            return RunHandle(store, run)
        tags = {"overrides": " ".join(overrides), "sweep": "true"}
        return RunHandle(store, _create(store, name, tags))

    with _until_end(on_store(begin) or RunHandle(None)) as handle:
        yield handle


def run_for_weights(weights_sha: str, restore: Callable[[], RestoredRun]) -> RunHandle:
    """The newest run whose training made these weights.

    If there is none (DVC took the training from its cache, or another machine ran it), one is
    created from what `restore` returns, with the tag `restored`. Concurrent calls get the same run.
    """
    return on_store(lambda store: _find_or_restore(store, weights_sha, restore)) or RunHandle(None)


def tagged_run(name: str, tag: str, value: str) -> RunHandle:
    """The newest run in which a tag has this value, or a new one; the caller closes it."""

    def find(store: Store) -> RunHandle:
        with store.lock():
            found = _search(store, tag, value)
            run = str(found[0].info.run_id) if found else _create(store, name, {tag: value})
        return RunHandle(store, run)

    return on_store(find) or RunHandle(None)


def _begin(
    store: Store,
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    dataset: tuple[str, str] | None,
) -> RunHandle:
    tags = {**tags, **_environment_tags(), PROCESS_TAG: _process()}
    old = _interrupted(store, tags.get("fingerprint", ""))
    if old is not None:
        store.client.update_run(old.info.run_id, status="RUNNING")
        run = RunHandle(store, old.info.run_id, _last_steps(store, old))
        # params cannot change; only missing ones of a killed run are added
        missing = {k: v for k, v in flattened(params).items() if k not in old.data.params}
        run.attempt(lambda client: write(client, run.id, params=missing, tags=tags))
    else:
        run = RunHandle(store, _create(store, name, tags))
        run.attempt(lambda client: write(client, run.id, params=params))
    if dataset is not None:
        run.attempt(lambda client: client.log_inputs(run.id, [_dataset_input(*dataset)]))
    run.watch_system(continued=old is not None)
    return run


def _differing(config: Mapping[str, Any]) -> str:
    """What a training was started with beside its system, or in a sweep, what only this job has.

    The launcher `process` sets $OSTINATO_JOB. A system's own seed is not named.
    """
    system = (config.get("systems") or {}).get(config.get("system"), {})
    own = f"seed={system.get('seed')}"
    found = [
        text
        for text in config.get("overrides", ())
        if text.split("=")[0] not in NAMED and text != own
    ]
    return os.environ.get("OSTINATO_JOB") or " ".join(found)


@contextmanager
def _until_end(run: RunHandle) -> Iterator[RunHandle]:
    status = "FINISHED"
    try:
        yield run
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        raise
    finally:
        run.close(status)


def _new_run(store: Store, name: str, tags: Mapping[str, str]) -> Any:
    return store.client.create_run(store.experiment, run_name=name, tags=dict(tags))


def _create(store: Store, name: str, tags: Mapping[str, str]) -> str:
    """A new run with mlflow's own tags (user, script, git commit) and ours; its id."""
    from mlflow.tracking.context.registry import resolve_tags

    run_id = str(_new_run(store, name, resolve_tags({})).info.run_id)
    write(store.client, run_id, tags=tags)
    return run_id


def _environment_tags() -> dict[str, str]:
    """Tags from the environment: DVC's stage and experiment, and the parent run of a sweep.

    The parent is set as the tag that mlflow itself would set, without its check, which fails for a
    parent in another store.
    """
    names = {"dvc.stage": "DVC_STAGE", "dvc.exp": "DVC_EXP_NAME", PARENT_TAG: PARENT_RUN}
    return {tag: os.environ[name] for tag, name in names.items() if os.environ.get(name)}


def _interrupted(store: Store, fingerprint: str) -> Any:
    """The newest unfinished run of this fingerprint that no other process is writing."""
    runs = _search(store, "fingerprint", fingerprint) if fingerprint else []
    open_runs = [run for run in runs if run.info.status != "FINISHED"]
    return next((run for run in open_runs if not _is_being_written(run)), None)


def _is_being_written(run: Any) -> bool:
    """Whether a running process of this machine writes the run; a kill leaves status RUNNING."""
    host, _, rest = run.data.tags.get(PROCESS_TAG, "").partition(" ")
    pid = rest.split(" ")[0]
    if run.info.status != "RUNNING" or host != socket.gethostname() or int(pid) == os.getpid():
        return False
    return _process(int(pid)) == run.data.tags[PROCESS_TAG]


def _process(pid: int | None = None) -> str:
    """Host, PID and start time of a process (default: this one); "" if it has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return f"{socket.gethostname()} {process.pid} {process.create_time():.0f}"
    except psutil.Error:
        return ""


def _last_steps(store: Store, run: Any) -> dict[str, int]:
    """Last step of each metric of the run, without those of the system monitor."""
    names = sorted(name for name in run.data.metrics if not name.startswith("system/"))
    history = store.client.get_metric_history
    return {name: max(row.step for row in history(run.info.run_id, name)) for name in names}


def _dataset_input(name: str, digest: str) -> Any:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = CodeDatasetSource({"name": name, "digest": digest})
    meta = MetaDataset(source, name=name, digest=digest[:36])  # all that mlflow takes
    return DatasetInput(Dataset(**meta.to_dict()), [InputTag("mlflow.data.context", "training")])


def _search(store: Store, tag: str, value: str) -> list[Any]:
    """Runs with this tag, newest first."""
    return list(
        store.client.search_runs(
            [store.experiment],
            f"tags.{tag} = '{value}'",
            max_results=CANDIDATES,
            order_by=["attributes.start_time DESC"],
        )
    )


def _with_weights(store: Store, weights_sha: str) -> list[Any]:
    """Runs with these weights, newest first, without incompletely restored ones."""
    runs = _search(store, "weights", weights_sha)
    return [r for r in runs if r.info.status != "RUNNING" or "restored" not in r.data.tags]


def _find_or_restore(
    store: Store, weights_sha: str, restore: Callable[[], RestoredRun]
) -> RunHandle:
    with store.lock():
        if found := _with_weights(store, weights_sha):
            return RunHandle(store, str(found[0].info.run_id))
        restored = restore()
        tags = {**restored.tags, "weights": weights_sha, "restored": "true"}
        half_written = _search(store, "weights", weights_sha)
        run = (half_written or [_new_run(store, restored.name, tags)])[0]
        run_id = str(run.info.run_id)
        # one time for all rows, so that writing them again after a kill adds no duplicates
        start = int(run.info.start_time)
        rows = [
            (name, value, start, step)
            for step, row in restored.curve
            for name, value in row.items()
        ]
        write(store.client, run_id, rows, restored.params, tags)
        store.client.log_dict(run_id, dict(restored.params), CONFIG)
        store.client.set_terminated(run_id)
        return RunHandle(store, run_id)
