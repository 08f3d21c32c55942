"""Maps a function over many items, on this machine or on a cluster of Dask or Ray.

`map_items` is for functions that are known to end; `map_guarded` is for libraries that read
untrusted files. Both use joblib, with a bounded number of open chunks (engines.py).
"""

import os
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ostinato.execution.engines import WorkersLost, engine
from ostinato.execution.guard import Limits, open_answer, pack_call
from ostinato.execution.guarded_child import shortened
from ostinato.execution.guarded_process import Answer
from ostinato.settings import checked

BACKENDS = ("loky", "dask", "ray")
OPEN_CHUNKS = 4  # per worker: waiting, running or done but not consumed
CHUNKS_PER_WORKER = 8  # for short lists, so that workers end at about the same time


@dataclass(frozen=True)
class Executor:
    """Where `map_guarded` runs.

    workers: processes on this machine; default: OSTINATO_WORKERS, else one per core; ignored with
    an address. address: of a running cluster ("tcp://host:8786" for Dask, "host:6379" for Ray);
    without one, Dask and Ray start on this machine.
    """

    backend: str = "loky"
    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"unknown backend {self.backend!r}; valid: {', '.join(BACKENDS)}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers={self.workers} must be at least 1, or null for all cores")
        if self.backend == "loky" and self.address:
            raise ValueError("loky runs on this machine only; use dask or ray with an address")


def executor_from(settings: Mapping[str, Any]) -> Executor:
    """An Executor from the settings of conf/executor/<name>.yaml.

    Raises:
        ValueError: an unknown setting or backend, naming the valid ones.
    """
    return checked(Executor, "executor", settings)


def map_items(
    function: Callable[..., Any], *columns: Sequence[Any], workers: int | None = None
) -> list[Any]:
    """Results in the order of the items, for any number of workers (default: all cores)."""
    from joblib import Parallel, delayed

    workers = workers or _default_workers()
    items = list(zip(*columns, strict=True))
    if workers == 1 or len(items) < 2 * workers:
        return [function(*item) for item in items]
    chunk = max(1, len(items) // (workers * 8))
    return list(
        Parallel(n_jobs=workers, batch_size=chunk)(delayed(function)(*item) for item in items)
    )


def map_guarded(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    executor: Executor,
    limits: Limits,
    chunk: int = 32,
) -> Generator[Any, None, None]:
    """Yield the result or the Failure of every item, in order, for any executor.

    At most OPEN_CHUNKS chunks per worker are in memory, so `items` can be long and the consumer
    slow. The function is imported by name and runs in the current folder, which workers on other
    machines must see too.

    Raises:
        ValueError: the function cannot be sent to another process.
        ModuleNotFoundError: the engine is not installed.
        GuardError: the function cannot be imported by the workers.
        WorkersLost: workers died, not because of an item, or the cluster cannot be reached.
    """
    if chunk < 1:
        raise ValueError(f"chunk={chunk} must be at least 1")
    return _stream(pack_call(function), items, executor, limits, chunk)


def _stream(
    call: bytes, items: Iterable[Any], executor: Executor, limits: Limits, chunk: int
) -> Generator[Any, None, None]:
    waiting: deque[Callable[[], list[Answer]]] = deque()

    def oldest() -> Iterator[Any]:
        with _as_workers_lost(executor):
            answers = waiting.popleft()()
        return map(open_answer, answers)

    workers = executor.workers or _default_workers()
    with engine(executor.backend, workers, executor.address) as (submit, workers):
        if isinstance(items, Sized):
            chunk = max(1, min(chunk, len(items) // (workers * CHUNKS_PER_WORKER)))
        for content, count in _chunks(items, chunk):
            with _as_workers_lost(executor):
                waiting.append(submit(call, content, count, limits))
            if len(waiting) >= OPEN_CHUNKS * workers:
                yield from oldest()
        while waiting:
            yield from oldest()


def _chunks(items: Iterable[Any], size: int) -> Iterator[tuple[bytes, int]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield pickle.dumps(part, protocol=5), len(part)


@contextmanager
def _as_workers_lost(executor: Executor) -> Iterator[None]:
    """Turn errors into WorkersLost: run_chunk raises none, so they come from the engine."""
    try:
        yield
    except Exception as error:
        words = shortened(f"{type(error).__name__}: {error}")
        raise WorkersLost(
            f"a worker of {executor.backend} is lost; run again to resume from the finished "
            f"shards ({words})"
        ) from error


def _default_workers() -> int:
    return int(os.environ.get("OSTINATO_WORKERS", os.cpu_count() or 1))
