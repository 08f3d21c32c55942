"""Workers for chunks of items, through joblib's backends: loky on this machine, Dask, Ray.

The backends are joblib's own and are used through joblib's interface (`configure`, `start_call`,
`submit`, `retrieve_result_callback`, `stop_call`, `terminate`). Only the loop over chunks is not
`joblib.Parallel`'s, for two reasons. It submits the next task when one is done, not when its result
is consumed, so results pile up if the consumer is slow. And it waits for a backend's callback,
which Dask never calls for a task whose workers died (joblib 1.6); the future gets the error.

If the head of a Ray cluster is lost, Ray itself ends this process within about a minute; any other
loss of workers raises WorkersLost.
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
from ostinato.execution.guarded_child import UNUSABLE, shortened
from ostinato.execution.guarded_process import Answer

JOIN_SECONDS = 60  # timeout for a cluster without workers
END_SECONDS = 10  # timeout for cancelled tasks
POLL_SECONDS = 2  # interval at which workers, or a parent process, are checked
RETRIES = 3  # for a Ray worker that died; Dask has its own setting (distributed.scheduler)
Submit = Callable[[bytes, bytes, int, Limits], Callable[[], list[Answer]]]
Engine = AbstractContextManager[tuple[Submit, int]]


class WorkersLost(RuntimeError):
    """Workers died or the cluster cannot be reached; not caused by an item."""


def engine(backend: str, workers: int, address: str | None) -> Engine:
    """An open engine: a function that submits a chunk, and the number of workers.

    Raises:
        ModuleNotFoundError: the engine is not installed.
        WorkersLost: it has no workers.
    """
    if address is None and workers == 1:
        return _in_this_process()
    if backend == "dask":
        return _dask(address, workers)
    if backend == "ray":
        return _ray(address, workers)
    return _loky(workers)


def run_chunk(
    call: bytes, items: bytes, count: int, limits: Limits, stop: Path | None = None
) -> list[Answer]:
    """Answers for a pickled list of `count` items; runs in the workers and raises no error.

    stop: a file; once it exists, remaining items are skipped.
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
def _in_this_process() -> Iterator[tuple[Submit, int]]:
    """Run chunks in this process, each when its result is requested."""
    yield (lambda *arguments: partial(run_chunk, *arguments)), 1


class Tasks:
    """Chunks submitted to one of joblib's backends.

    has_workers: checked while waiting, because backends wait for workers forever.
    """

    def __init__(self, backend: Any, has_workers: Callable[[], bool]) -> None:
        self.backend, self.has_workers = backend, has_workers
        self._open: set[Any] = set()

    def submit(self, *chunk: Any) -> Callable[[], list[Answer]]:
        """Submit a chunk; returns a callable that waits for its answers."""
        from joblib.parallel import BatchedCalls

        calls = BatchedCalls([(run_chunk, chunk, {})], self.backend.get_nested_backend())
        task = self.backend.submit(calls, _ignore)
        self._open.add(task)
        return partial(self._take, task)

    def _take(self, task: Any) -> list[Answer]:
        alone = 0
        while not _is_done(task, POLL_SECONDS):
            alone = 0 if self.has_workers() else alone + POLL_SECONDS
            if alone >= JOIN_SECONDS:
                raise TimeoutError(f"no workers for {JOIN_SECONDS} s")
        self._open.discard(task)
        # loky's backend takes the future, those of clusters its value
        value = task.get() if hasattr(task, "get") else task
        (answers,) = self.backend.retrieve_result_callback(value)
        return list(answers)

    def forget(self) -> None:
        """Wait a little for cancelled tasks, so that their threads end before the engine."""
        latest = time.monotonic() + END_SECONDS
        while self._open:
            _is_done(self._open.pop(), max(0.0, latest - time.monotonic()))


def _is_done(task: Any, seconds: float) -> bool:
    if isinstance(task, Future):
        return bool(wait([task], seconds).done)
    task.wait(seconds)  # of Ray's pool
    return bool(task.ready())


def _ignore(_: object) -> None:
    """Callback of a task; joblib's own loop would submit the next task here."""


@contextmanager
def _started(
    backend: Any, workers: int, has_workers: Callable[[], bool] = lambda: True
) -> Iterator[Tasks]:
    """Start a backend, and end it afterwards."""
    from joblib import Parallel

    tasks = Tasks(backend, has_workers)
    try:
        with Parallel(n_jobs=workers, backend=backend):  # configures and terminates it
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
        """With a pool of its own: joblib's shared pool can be replaced by its next user while our
        chunks are in it.
        """

        def configure(self, n_jobs: int = 1, parallel: Any = None, **_: object) -> int:
            self.parallel = parallel
            self._workers = ProcessPoolExecutor(
                n_jobs,
                env=self._prepare_worker_env(n_jobs),
                initializer=_end_with_parent,
                initargs=(os.getpid(),),
            )
            return n_jobs

        def terminate(self) -> None:
            # not by killing workers: loky 3.6 would wait for a half-sent result
            self._workers.shutdown(wait=True)

    with TemporaryDirectory(prefix="ostinato-") as folder:
        stop = Path(folder, "stop")
        with _started(OwnPool(), workers) as tasks:
            try:
                yield (lambda *chunk: tasks.submit(*chunk, stop)), workers
            finally:
                stop.touch()


def _end_with_parent(parent: int) -> None:
    """End this worker if its parent is killed; loky 3.6 would wait for work forever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def _dask(address: str | None, workers: int) -> Iterator[tuple[Submit, int]]:
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise _missing("dask") from error
    from joblib import parallel_config

    with ExitStack() as stack:
        if address is None:
            # a dashboard port is opened in any case; :0 chooses a free one
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=":0",
                scheduler_kwargs={"dashboard": False},
            )
            address = stack.enter_context(cluster).scheduler_address
        with _connecting("dask", address):
            client = stack.enter_context(Client(address, set_as_default=False))
            client.wait_for_workers(1, timeout=JOIN_SECONDS)
        with parallel_config("dask", client=client) as config:  # creates the backend
            backend = config["backend"]
        slots = sum(client.nthreads().values())
        tasks = stack.enter_context(_started(backend, slots, lambda: bool(client.nthreads())))
        try:
            yield tasks.submit, slots
        finally:
            with suppress(Exception):  # the scheduler may be gone
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
    hint = "; for a cluster with tokens set RAY_AUTH_MODE=token here too"
    with _connecting("ray", address, hint if address else ""):
        ray.init(address or "local", log_to_driver=False, logging_level="error", **own)
    try:
        slots = max(1, int(ray.cluster_resources().get("CPU", 1)))
        backend = _ray_backend()
        if backend.effective_n_jobs(slots) == 1:  # joblib has no pool with one worker
            yield (lambda *arguments: partial(run_chunk, *arguments)), 1
            return
        with _started(backend, slots, lambda: any(n["Alive"] for n in ray.nodes())) as tasks:
            yield tasks.submit, slots
    finally:
        ray.shutdown()


def _ray_backend() -> Any:
    """A backend of joblib on a pool of Ray's actors.

    Actors reserve no CPUs (the default of such a pool); otherwise an actor whose machine is lost
    could wait forever for another one.
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
def _connecting(backend: str, address: str | None, hint: str = "") -> Iterator[None]:
    try:
        yield
    except Exception as error:
        place = address or "this machine"
        raise WorkersLost(
            f"no workers of {backend} at {place} ({shortened(str(error))}){hint}"
        ) from error


def _missing(extra: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"{extra} is not installed: pip install 'ostinato[{extra}]'")
