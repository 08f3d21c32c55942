"""One function over many items: on the cores of this machine, or on a cluster of Dask or Ray.

`map_items` is for code of ours that is known to end; `map_guarded` for libraries that read what
others wrote. Engines are asked through their own futures, of which a bounded number is open:
`joblib.Parallel` hands out the next task when one is done, not when its result is taken, so that
results pile up before a slow consumer, and over Dask it waits for ever for a worker that was
killed (joblib 1.6).
"""

import os
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ostinato.execution.guard import GuardError, Limits, borrowed_guard, opened, packed
from ostinato.execution.guarded_child import UNUSABLE, plain
from ostinato.execution.guarded_process import Answer

BACKENDS = ("loky", "dask", "ray")
OPEN_CHUNKS = 4  # for each worker: computed, being computed, or waiting to be taken
CHUNKS_PER_WORKER = 8  # of a short list, so that all workers end at about the same time
JOIN_SECONDS = 60  # in which a cluster must have its first worker
Submit = Callable[[bytes, bytes, int, Limits], Callable[[], list[Answer]]]


class WorkersLost(RuntimeError):
    """Workers died or the cluster is out of reach, which is not the fault of any item."""


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

    with _engine(executor) as (submit, workers):
        if isinstance(items, Sized):
            chunk = max(1, min(chunk, len(items) // (workers * CHUNKS_PER_WORKER)))
        for content, count in _chunks(items, chunk):
            with _blamed_on(executor):
                waiting.append(submit(call, content, count, limits))
            if len(waiting) >= OPEN_CHUNKS * workers:
                yield from oldest()
        while waiting:
            yield from oldest()


def run_chunk(
    call: bytes, items: bytes, count: int, limits: Limits, stop: Path | None = None
) -> list[Answer]:
    """Answers of a pickled list of `count` items; runs in the workers and raises no error.

    stop: a file whose appearance says that nobody wants the rest any more.
    """
    answers: list[Answer] = []
    try:
        with borrowed_guard() as guard, closing(guard.relay(call, items, count, limits)) as relay:
            while not (stop and stop.exists()) and (answer := next(relay, None)):
                answers.append(answer)
    except GuardError as error:
        return [(UNUSABLE, str(error).encode())]
    return answers


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


def _engine(executor: Executor) -> AbstractContextManager[tuple[Submit, int]]:
    """An open engine: how a chunk is submitted, and the number of workers."""
    workers = executor.workers or _default_workers()
    if executor.address is None and workers == 1:
        return _here()
    if executor.backend == "dask":
        return _dask(executor.address, workers)
    if executor.backend == "ray":
        return _ray(executor.address, workers)
    return _loky(workers)


@contextmanager
def _here() -> Iterator[tuple[Submit, int]]:
    """This process, one chunk after the other, each when it is wanted."""
    yield (lambda *arguments: partial(run_chunk, *arguments)), 1


@contextmanager
def _loky(workers: int) -> Iterator[tuple[Submit, int]]:
    """Processes of an own pool: the one that joblib shares may be replaced by its next user."""
    from joblib.externals.loky import ProcessPoolExecutor

    with TemporaryDirectory(prefix="ostinato-") as folder:
        pool, stop = ProcessPoolExecutor(workers), Path(folder, "stop")
        try:
            yield (lambda *chunk: pool.submit(run_chunk, *chunk, stop).result), workers
        finally:
            # not by killing workers: what one of them has half sent would be waited for (loky 3.6)
            stop.touch()
            pool.shutdown(wait=True)


@contextmanager
def _dask(address: str | None, workers: int) -> Iterator[tuple[Submit, int]]:
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise _missing("dask") from error
    with ExitStack() as stack:
        if address is None:
            cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, memory_limit=0, dashboard_address=None
            )
            address = stack.enter_context(cluster).scheduler_address
        with _reached("dask", address):
            client = stack.enter_context(Client(address, set_as_default=False))
            client.wait_for_workers(1, timeout=JOIN_SECONDS)
        submit = partial(client.submit, run_chunk, pure=False)
        yield (lambda *arguments: submit(*arguments).result), sum(client.nthreads().values())


@contextmanager
def _ray(address: str | None, workers: int) -> Iterator[tuple[Submit, int]]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise _missing("ray") from error
    own = {} if address else {"num_cpus": workers, "include_dashboard": False}
    hint = "; a cluster that wants a token needs RAY_AUTH_MODE=token here as well"
    with _reached("ray", address, hint if address else ""):
        ray.init(address or "local", log_to_driver=False, logging_level="error", **own)
    try:
        remote = ray.remote(run_chunk)
        slots = max(1, int(ray.cluster_resources().get("CPU", 1)))
        yield (lambda *arguments: partial(ray.get, remote.remote(*arguments))), slots
    finally:
        ray.shutdown()


@contextmanager
def _reached(backend: str, address: str | None, hint: str = "") -> Iterator[None]:
    try:
        yield
    except Exception as error:
        place = address or "this machine"
        raise WorkersLost(
            f"no workers of {backend} at {place} ({plain(str(error))}){hint}"
        ) from error


def _missing(extra: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"{extra} is not installed: pip install 'ostinato[{extra}]'")
