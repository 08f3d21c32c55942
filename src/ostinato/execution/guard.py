"""Runs a function over items that may hang, crash the process or exhaust memory.

Each Guard supervises one persistent child process, so a normal item costs only microseconds. An
item that breaks a limit becomes a Failure, and a new child continues with the next item. The child
is started with `subprocess`, because Dask's workers cannot have `multiprocessing` children. POSIX
only; the memory limit needs Linux.
"""

import atexit
import os
import pickle
import sys
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.execution.guarded_child import (
    CLOCK,
    CRASH,
    ERROR,
    MEMORY,
    READY,
    RESULT,
    TIME,
    UNUSABLE,
)
from ostinato.execution.guarded_process import Answer, Child

KINDS = {
    TIME: "time limit",
    CLOCK: "time limit",
    MEMORY: "memory limit",
    CRASH: "crash",
    ERROR: "error",
}
START_SECONDS = 600.0  # for the child's start and the imports of the function's module
WAITING = 20  # the usual limit by the clock, as a multiple of that of processor time


class GuardError(RuntimeError):
    """The function cannot run in a guarded process, independent of the item."""


@dataclass(frozen=True)
class Limits:
    """Limits for one item.

    seconds: processor time of the child, so that other load on the machine changes no result; for
        the first item of a child this includes imports that the function does when it is called.
    megabytes: data (in 2**20 bytes) beyond the child's own; allocations above it fail.
    wall_seconds: time by the clock, for what waits and does not compute; None: 20 times `seconds`.
    """

    seconds: float = 60
    megabytes: int = 4096
    wall_seconds: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.seconds < float("inf"):
            raise ValueError(f"limits.seconds={self.seconds} must be a number greater than 0")
        if self.megabytes < 1 or int(self.megabytes) != self.megabytes:
            raise ValueError(f"limits.megabytes={self.megabytes} must be a whole number above 0")
        if not self.seconds <= self.clock < float("inf"):
            raise ValueError(
                f"limits.wall_seconds={self.wall_seconds} must be a number, at least "
                f"limits.seconds={self.seconds:g}"
            )

    @property
    def clock(self) -> float:
        """Seconds by the clock after which an item is given up, whatever it does."""
        return WAITING * self.seconds if self.wall_seconds is None else self.wall_seconds


@dataclass(frozen=True)
class Failure:
    """Why an item has no result: kind is "time limit", "memory limit", "crash" or "error".

    detail: the limit, the signal and last output of the process, or the error's type and message;
    independent of earlier items.
    """

    kind: str
    detail: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS.values():
            raise ValueError(
                f"unknown kind {self.kind!r}; known: {', '.join(dict.fromkeys(KINDS.values()))}"
            )


def pack_call(function: Callable[[Any], Any]) -> bytes:
    """Pickle a function by reference, with the folder and paths that a child needs to import it.

    Raises:
        ValueError: the function cannot be imported, such as a lambda or one of the main script.
    """
    inner: Any = function
    while hasattr(inner, "func"):  # of functools.partial
        inner = inner.func
    try:
        if getattr(inner, "__module__", None) == "__main__":
            raise ValueError("it is defined in the script that was started")
        reference = pickle.dumps(function, protocol=5)
    except (ValueError, TypeError, AttributeError, pickle.PicklingError) as error:
        raise ValueError(
            f"{function!r} cannot be sent to another process ({error}); "
            "define it at the top of a module that can be imported"
        ) from error
    installed = (sys.prefix, sys.base_prefix)  # another machine has its own
    paths = [path for path in sys.path if not path.startswith(installed)]
    return pickle.dumps((reference, str(Path.cwd()), paths), protocol=5)


def open_answer(answer: Answer) -> Any:
    """The result or the Failure in an answer.

    Raises:
        GuardError: the function could not be run.
    """
    kind, body = answer
    if kind == RESULT:
        return pickle.loads(body)  # noqa: S301 - our own child wrote it
    if kind == UNUSABLE:
        raise GuardError(body.decode())
    return Failure(KINDS[kind], body.decode())


class Guard:
    """Supervisor of one child process, which is started on first use.

    For one thread at a time; close it, or use it as a context manager.
    """

    def __init__(self) -> None:
        self._child: Child | None = None
        self._busy = False
        _GUARDS.add(self)

    def __enter__(self) -> "Guard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child; a later run starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def forget(self) -> None:
        """Release the child after a fork; it belongs to the parent process."""
        child, self._child, self._busy = self._child, None, False
        if child is not None:
            child.forget()

    def run(
        self, function: Callable[[Any], Any], items: Sequence[Any], limits: Limits
    ) -> Iterator[Any]:
        """Yield the result or the Failure of every item, in their order.

        Raises:
            ValueError: the function cannot be sent to another process.
            GuardError: the function cannot be imported there, or no process starts.
        """
        call, content = pack_call(function), pickle.dumps(list(items), protocol=5)
        return map(open_answer, self.relay(call, content, len(items), limits))

    def relay(
        self, call: bytes, items: bytes, count: int, limits: Limits
    ) -> Generator[Answer, None, None]:
        """As `run`, for a packed call and a pickled list of `count` items; answers stay pickled,
        for a process that only passes them on.
        """
        if self._busy:
            raise RuntimeError("this Guard is busy with another run: use one Guard for each")
        self._busy, done = True, 0
        try:
            while done < count:
                child = self._ready(call, items, done, limits)
                while done < count and self._child is child:
                    kind, body = _answer(child, limits)
                    alone, child.used = not child.used, True
                    if kind in (TIME, CLOCK, MEMORY, CRASH):
                        self.close()
                        if kind not in (TIME, CLOCK) and not alone:
                            continue  # an earlier item may be the cause: run this one again, alone
                    done += 1
                    yield kind, body
        finally:
            self._busy = False
            if done < count:
                self.close()  # stopped early: later answers of the child would be misread

    def _ready(self, call: bytes, items: bytes, first: int, limits: Limits) -> Child:
        """A child that accepted the request: the existing one, or a new one."""
        while True:
            if self._child is None:
                self._child = Child()
            child = self._child
            try:
                child.request(
                    call, items, first, int(limits.megabytes), limits.seconds, limits.clock
                )
                kind, body = child.answer(START_SECONDS)
            except TimeoutError:
                raise GuardError(f"no guarded process started within {START_SECONDS:g} s") from None
            except (EOFError, BrokenPipeError):
                _, body = child.end_and_explain()
                self.close()
                if child.used:  # it ended or was killed while idle
                    continue
                raise GuardError(f"no guarded process starts: {body.decode()}") from None
            if kind != READY:
                raise GuardError(f"the function cannot be run: {body.decode()}")
            return child


def _answer(child: Child, limits: Limits) -> Answer:
    """The answer for the current item; a timeout or a dead child is an answer too."""
    try:
        kind, body = child.answer(limits.clock)
    except TimeoutError:
        kind, body = CLOCK, b""
    except EOFError:
        kind, body = child.end_and_explain()
    if kind == TIME:
        return kind, f"more than {limits.seconds:g} s of processor time".encode()
    if kind == CLOCK:
        return kind, f"more than {limits.clock:g} s by the clock".encode()
    if kind == MEMORY:
        return kind, f"more than {limits.megabytes} MB: ".encode() + body
    return kind, body


_GUARDS: weakref.WeakSet[Guard] = weakref.WeakSet()
_IDLE: list[Guard] = []  # of this process; kept with their children for later calls


@contextmanager
def borrowed_guard() -> Iterator[Guard]:
    """A Guard of this process that no other thread uses, if possible one of an earlier call."""
    try:
        guard = _IDLE.pop()
    except IndexError:
        guard = Guard()
    try:
        yield guard
    finally:
        _IDLE.append(guard)


@atexit.register
def _close_all() -> None:
    for guard in list(_GUARDS):
        guard.close()


def _forget_all() -> None:
    for guard in list(_GUARDS):
        guard.forget()


os.register_at_fork(after_in_child=_forget_all)
