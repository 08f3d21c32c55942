"""The child process of a Guard: runs a function over items that may hang, crash or exhaust memory.

It imports as little as possible, reads requests from standard input and writes one frame for each
item, in order. The kernel ends it if an item takes too much processor time; the parent kills it if
an item breaks another limit. When the parent dies, a thread that waits for this ends the process;
an item that computes in one call without letting threads run lasts to its limit.
"""

import os
import pickle
import re
import resource
import select
import signal
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

# bytes of the call (0: the same as before), bytes of the items, first item, megabytes, seconds of
# processor time, seconds by the clock
REQUEST = struct.Struct("<QQQQdd")
ANSWER = struct.Struct("<cQ")  # kind, bytes of the body
READY, RESULT, ERROR, MEMORY, UNUSABLE = b"A", b"R", b"E", b"M", b"U"
TIME, CLOCK, CRASH = b"T", b"W", b"C"  # kinds that the parent detects
GRACE = 1.0  # seconds between the parent's timeout and the child's own alarm
LONGEST = 500  # characters kept of an error's message
_PAGE = resource.getpagesize()


def serve() -> None:
    """Answer requests until the parent closes the channel or dies."""
    requests, answers = _channel()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    for alarm in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(alarm, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # if memory runs out, the kernel should kill this process first
        _write("/proc/self/oom_score_adj", b"1000")
    threading.Thread(target=_end_with_parent, args=(requests.fileno(),), daemon=True).start()
    with suppress(BrokenPipeError):
        _Worker(requests, answers).run()
    os._exit(0)  # what libraries do at exit could hang


def _channel() -> tuple[BinaryIO, BinaryIO]:
    """Private descriptors to the parent; output of items goes to standard error."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb", buffering=1 << 16)


def _end_with_parent(channel: int) -> None:
    """Wait until the parent's end of the channel is closed; then end this process's group."""
    watch = select.poll()
    watch.register(channel, 0)  # of this, too, poll reports that the other end is closed
    watch.poll()
    os.killpg(0, signal.SIGKILL)


class _Worker:
    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self.requests, self.answers = requests, answers
        self.function: Callable[[Any], Any] | None = None
        self.baseline = 0  # bytes of data after the imports of the function's module
        self.settled = 0  # and after the first request, when all imports are done

    def run(self) -> None:
        while header := self.requests.read(REQUEST.size):
            call_bytes, items_bytes, first, megabytes, *seconds = REQUEST.unpack(header)
            call, packed = self.requests.read(call_bytes), self.requests.read(items_bytes)
            try:
                if call:
                    self.function, self.baseline = load(call), data_bytes()
                    self.settled = 0
                items = pickle.loads(packed)[first:]  # noqa: S301 - our own parent wrote it
                limit_data(self.baseline + (megabytes << 20))
            except BaseException as error:
                return self.answer(UNUSABLE, described(error))
            self.answer(READY, b"")
            for item in items:
                self.answer(*attempt(self.function, item, *seconds))
            self.settled = self.settled or data_bytes()
            if data_bytes() > self.settled + (megabytes << 19):
                return None  # half of the limit has leaked: end, the parent starts another child
        return None

    def answer(self, kind: bytes, body: bytes) -> None:
        self.answers.write(ANSWER.pack(kind, len(body)))
        self.answers.write(body)
        self.answers.flush()


def load(call: bytes) -> Callable[[Any], Any]:
    """The function of a call, imported with the sender's folder and paths."""
    function, folder, paths = pickle.loads(call)  # noqa: S301 - our own parent wrote it
    os.chdir(folder)
    sys.path[:] = paths + [path for path in sys.path if path not in paths]
    return pickle.loads(function)  # noqa: S301


def attempt(function: Any, item: Any, busy: float, clock: float) -> tuple[bytes, bytes]:
    """Kind and body of an item's answer: the pickled result, or the reason for its absence.

    busy: seconds of processor time, after which SIGPROF ends this process. clock: of the clock.
    """
    signal.setitimer(signal.ITIMER_PROF, busy)
    signal.setitimer(signal.ITIMER_REAL, clock + GRACE)
    try:
        return RESULT, pickle.dumps(function(item), protocol=5)
    except BaseException as error:  # an item may call sys.exit
        if not is_memory_error(error):
            return ERROR, described(error)
        limit_data(resource.RLIM_INFINITY)  # the message needs memory; the parent ends this process
        return MEMORY, described(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def is_memory_error(error: BaseException | None) -> bool:
    """Whether an error or one of its causes is a MemoryError."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def described(error: BaseException) -> bytes:
    """Type and message of an error as UTF-8."""
    text = shortened(f"{type(error).__name__}: {error}".removesuffix(": "))
    return text.encode(errors="backslashreplace")


def shortened(text: str) -> str:
    """One line of at most LONGEST characters, without memory addresses, which vary."""
    line = re.sub(r"\b0x[0-9a-fA-F]+", "0x…", " ".join(text.split()))
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def data_bytes() -> int:
    """Bytes of private writable memory, which RLIMIT_DATA counts; 0 without /proc."""
    try:
        statm = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return 0
    try:
        return int(os.read(statm, 200).split()[5]) * _PAGE
    finally:
        os.close(statm)


def _write(path: str, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, content)
    finally:
        os.close(file)


def limit_data(most: int) -> None:
    """Make allocations beyond `most` bytes of data fail; only Linux counts all of them."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if most == resource.RLIM_INFINITY or (hard != resource.RLIM_INFINITY and most > hard):
        most = hard
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
