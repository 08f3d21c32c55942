"""Workers for chunks of items, through joblib's backends: loky here, clusters of Dask and Ray.

The backends are joblib's own, and are used by the calls that joblib defines for them (`configure`,
`start_call`, `submit`, `retrieve_result_callback`, `stop_call`, `terminate`); only the loop over
the chunks is not `joblib.Parallel`'s. That one hands out the next task when one is done, not when
its result is taken, so that results pile up before a slow consumer; and it waits for a backend's
callback, which over Dask never comes for a task whose workers died (joblib 1.6): the future that
`submit` returns gets the error.

Where the head of a Ray cluster is gone, Ray itself ends this process, within about a minute and
with its own words; any other loss of workers is a WorkersLost.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from ostinato.execution.guard import GuardError, Limits, borrowed_guard
from ostinato.execution.guarded_child import UNUSABLE, plain
from ostinato.execution.guarded_process import Answer

JOIN_SECONDS = 60  # in which a cluster must have a worker, at the start and when it lost all
END_SECONDS = 10  # in which it should let go of what nobody wants any more
LOOK_SECONDS = 2  # between two looks at a cluster from which nothing comes, or at a parent
RETRIES = 3  # of a worker of Ray that died; Dask has its own (distributed.scheduler)
Submit = Callable[[bytes, bytes, int, Limits], Callable[[], list[Answer]]]
Engine = AbstractContextManager[tuple[Submit, int]]


class WorkersLost(RuntimeError):
    """Workers died or the cluster is out of reach, which is not the fault of any item."""


def engine(backend: str, workers: int, address: str | None) -> Engine:
    """An open engine: how a chunk is submitted, and the number of workers.

    Raises:
        ModuleNotFoundError: the engine is not installed.
        WorkersLost: it has no workers.
    """
    if address is None and workers == 1:
        return _here()
    if backend == "dask":
        return _dask(address, workers)
    if backend == "ray":
        return _ray(address, workers)
    return _loky(workers)


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


@contextmanager
def _here() -> Iterator[tuple[Submit, int]]:
    """This process, one chunk after the other, each when it is wanted."""
    yield (lambda *arguments: partial(run_chunk, *arguments)), 1


class Tasks:
    """Chunks in the hands of one of joblib's backends.

    has_workers: asked while nothing comes, since engines themselves wait for workers for ever.
    """

    def __init__(self, backend: Any, has_workers: Callable[[], bool]) -> None:
        self.backend, self.has_workers = backend, has_workers
        self._open: set[Any] = set()

    def submit(self, *chunk: Any) -> Callable[[], list[Answer]]:
        """Hand a chunk over; the answers are had by a call of what is returned."""
        from joblib.parallel import BatchedCalls

        calls = BatchedCalls([(run_chunk, chunk, {})], self.backend.get_nested_backend())
        task = self.backend.submit(calls, _ignore)
        self._open.add(task)
        return partial(self._take, task)

    def _take(self, task: Any) -> list[Answer]:
        alone = 0
        while not _is_done(task, LOOK_SECONDS):
            alone = 0 if self.has_workers() else alone + LOOK_SECONDS
            if alone >= JOIN_SECONDS:
                raise TimeoutError(f"no workers for {JOIN_SECONDS} s")
        self._open.discard(task)
        # loky's backend wants the future, those of clusters what came of it
        value = task.get() if hasattr(task, "get") else task
        (answers,) = self.backend.retrieve_result_callback(value)
        return list(answers)

    def forget(self) -> None:
        """Wait a little for tasks that were called off: no thread of theirs outlives the engine."""
        latest = time.monotonic() + END_SECONDS
        while self._open:
            _is_done(self._open.pop(), max(0.0, latest - time.monotonic()))


def _is_done(task: Any, seconds: float) -> bool:
    if isinstance(task, Future):
        return bool(wait([task], seconds).done)
    task.wait(seconds)  # of Ray's pool
    return bool(task.ready())


def _ignore(_: object) -> None:
    """The loop of joblib itself would hand out the next task here."""


@contextmanager
def _started(
    backend: Any, workers: int, has_workers: Callable[[], bool] = lambda: True
) -> Iterator[Tasks]:
    """A backend between its hooks for the start and the end of a call."""
    from joblib import Parallel

    tasks = Tasks(backend, has_workers)
    try:
        with Parallel(n_jobs=workers, backend=backend):  # configures and in the end terminates it
            backend.start_call()
            try:
                yield tasks
            finally:
                backend.stop_call()
    finally:
        tasks.forget()


@contextmanager
def _loky(workers: int) -> Iterator[tuple[Submit, int]]:
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.parallel import LokyBackend

    class OwnPool(LokyBackend):
        """On a pool of its own: the one that joblib shares may be replaced by its next user while
        chunks of ours are in it.
        """

        def configure(self, n_jobs: int = 1, parallel: Any = None, **_: object) -> int:
            self.parallel = parallel
            self._workers = ProcessPoolExecutor(
                n_jobs,
                env=self._prepare_worker_env(n_jobs),
                initializer=_end_with,
                initargs=(os.getpid(),),
            )
            return n_jobs

        def terminate(self) -> None:
            # not by killing workers: what one of them has half sent would be waited for (loky 3.6)
            self._workers.shutdown(wait=True)

    with TemporaryDirectory(prefix="ostinato-") as folder:
        stop = Path(folder, "stop")
        with _started(OwnPool(), workers) as tasks:
            try:
                yield (lambda *chunk: tasks.submit(*chunk, stop)), workers
            finally:
                stop.touch()


def _end_with(parent: int) -> None:
    """End this worker when its parent is killed: it would wait for work for ever (loky 3.6)."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        os._exit(1)

    Thread(target=look, daemon=True).start()


@contextmanager
def _dask(address: str | None, workers: int) -> Iterator[tuple[Submit, int]]:
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise _missing("dask") from error
    from joblib import parallel_config

    with ExitStack() as stack:
        if address is None:
            # pages are served in any case: on a free port, or two clusters would want the same
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=":0",
                scheduler_kwargs={"dashboard": False},
            )
            address = stack.enter_context(cluster).scheduler_address
        with _reached("dask", address):
            client = stack.enter_context(Client(address, set_as_default=False))
            client.wait_for_workers(1, timeout=JOIN_SECONDS)
        with parallel_config("dask", client=client) as config:  # which makes the backend
            backend = config["backend"]
        slots = sum(client.nthreads().values())
        tasks = stack.enter_context(_started(backend, slots, lambda: bool(client.nthreads())))
        try:
            yield tasks.submit, slots
        finally:
            with suppress(Exception):  # of a scheduler that is gone
                client.cancel(list(backend.waiting_futures.futures))
            tasks.forget()


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
        slots = max(1, int(ray.cluster_resources().get("CPU", 1)))
        backend = _ray_backend()
        if backend.effective_n_jobs(slots) == 1:  # joblib has no pool of one worker
            yield (lambda *arguments: partial(run_chunk, *arguments)), 1
            return
        with _started(backend, slots, lambda: any(n["Alive"] for n in ray.nodes())) as tasks:
            yield tasks.submit, slots
    finally:
        ray.shutdown()


def _ray_backend() -> Any:
    """A backend of joblib on a pool of Ray's actors.

    They reserve no processors, as by default in such a pool, or else one whose machine is lost
    could wait for another for ever.
    """
    from joblib import parallel_config
    from ray.util.joblib import register_ray

    register_ray()
    actors = {
        "max_restarts": RETRIES,
        "max_task_retries": RETRIES,
        "scheduling_strategy": "SPREAD",
    }
    with parallel_config("ray", ray_remote_args=actors) as config:
        return config["backend"]


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
