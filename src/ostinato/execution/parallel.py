"""One function over many items: on the cores of this machine, or on a cluster of Dask or Ray.

`map_items` is for code of ours that is known to end; `map_guarded` for libraries that read what
others wrote. Both go through joblib; a bounded number of chunks is open in its backends (see
engines.py).
"""

import os
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

from ostinato.execution.engines import WorkersLost, engine
from ostinato.execution.guard import Limits, opened, packed
from ostinato.execution.guarded_child import plain
from ostinato.execution.guarded_process import Answer

BACKENDS = ("loky", "dask", "ray")
OPEN_CHUNKS = 4  # for each worker: computed, being computed, or waiting to be taken
CHUNKS_PER_WORKER = 8  # of a short list, so that all workers end at about the same time


@dataclass(frozen=True)
class Executor:
    """Where `map_guarded` works.

    workers: processes on this machine; default: OSTINATO_WORKERS, else one for each core. A cluster
    that is given by its address has its own number.
    address: of a running cluster ("tcp://host:8786" of Dask, "host:6379" of Ray); without one, Dask
    and Ray start on this machine.
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
            raise ValueError("loky works on this machine; for a cluster's address take dask or ray")


def executor_from(settings: Mapping[str, Any]) -> Executor:
    """An Executor from the settings of conf/executor/<name>.yaml.

    Raises:
        ValueError: an unknown setting or backend, naming the valid ones.
    """
    known = [field.name for field in fields(Executor)]
    if unknown := sorted(set(settings) - set(known)):
        raise ValueError(f"unknown settings {unknown} of the executor; valid: {', '.join(known)}")
    return Executor(**settings)


def map_items(
    function: Callable[..., Any], *columns: Sequence[Any], workers: int | None = None
) -> list[Any]:
    """Results in the order of the items, whatever the number of workers (default: all cores)."""
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
    """Yield the result or the Failure of every item, in their order, whatever the executor.

    Items are taken and results held in chunks, OPEN_CHUNKS for each worker: the consumer may be as
    slow as it likes, and `items` as long. The function is imported by its address and works in the
    folder of this process, which workers on other machines must see as well.

    Raises:
        ValueError: the function cannot be sent to another process.
        ModuleNotFoundError: the engine is not installed.
        GuardError: the function cannot be imported by the workers.
        WorkersLost: workers died for reasons of their own, or the cluster is out of reach.
    """
    if chunk < 1:
        raise ValueError(f"chunk={chunk} must be at least 1")
    return _stream(packed(function), items, executor, limits, chunk)


def _stream(
    call: bytes, items: Iterable[Any], executor: Executor, limits: Limits, chunk: int
) -> Generator[Any, None, None]:
    waiting: deque[Callable[[], list[Answer]]] = deque()

    def oldest() -> Iterator[Any]:
        with _blamed_on(executor):
            answers = waiting.popleft()()
        return map(opened, answers)

    workers = executor.workers or _default_workers()
    with engine(executor.backend, workers, executor.address) as (submit, workers):
        if isinstance(items, Sized):
            chunk = max(1, min(chunk, len(items) // (workers * CHUNKS_PER_WORKER)))
        for content, count in _chunks(items, chunk):
            with _blamed_on(executor):
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
def _blamed_on(executor: Executor) -> Iterator[None]:
    """run_chunk raises nothing: errors in here are the engine's."""
    try:
        yield
    except Exception as error:
        words = plain(f"{type(error).__name__}: {error}")
        raise WorkersLost(
            f"a worker of {executor.backend} is lost; start the run again, it goes on from what is "
            f"finished ({words})"
        ) from error


def _default_workers() -> int:
    return int(os.environ.get("OSTINATO_WORKERS", os.cpu_count() or 1))
