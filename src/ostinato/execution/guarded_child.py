"""The child's side of a Guard: runs one function over items that may hang, crash or eat memory.

It is started by guard.py as a plain process, imports as little as it can, reads requests from its
standard input and answers with one frame for each item, in their order. Its parent kills it
whenever an item breaks a limit; its own alarm ends an item that hangs after the parent has died.
"""

import os
import pickle
import re
import resource
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

# bytes of the call (0: the same as before), bytes of the items, first item, megabytes, seconds
REQUEST = struct.Struct("<QQQQd")
ANSWER = struct.Struct("<cQ")  # kind, bytes of the body
READY, RESULT, ERROR, MEMORY, UNUSABLE = b"A", b"R", b"E", b"M", b"U"
TIME, CRASH = b"T", b"C"  # kinds that its parent finds
GRACE = 1.0  # seconds by which the child's own alarm is later than its parent's clock
LONGEST = 500  # characters of an error's words that are kept
_PAGE = resource.getpagesize()


def serve() -> None:
    """Answer requests until the parent closes the channel or dies."""
    requests, answers = _channel()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # a kernel without memory left should kill this process, no other
        _write("/proc/self/oom_score_adj", b"1000")
    with suppress(BrokenPipeError):
        _Worker(requests, answers).run()
    os._exit(0)  # what libraries do at exit could hang


def _channel() -> tuple[BinaryIO, BinaryIO]:
    """Private descriptors to the parent; whatever the items print goes to standard error."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb", buffering=1 << 16)


class _Worker:
    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self.requests, self.answers = requests, answers
        self.function: Callable[[Any], Any] | None = None
        self.baseline = 0  # bytes of data after the imports of the function's module
        self.settled = 0  # and after its first request, when it has imported all it needs

    def run(self) -> None:
        while header := self.requests.read(REQUEST.size):
            call_bytes, items_bytes, first, megabytes, seconds = REQUEST.unpack(header)
            call, packed = self.requests.read(call_bytes), self.requests.read(items_bytes)
            try:
                if call:
                    self.function, self.baseline = load(call), data_bytes()
                    self.settled = 0
                items = pickle.loads(packed)[first:]  # noqa: S301 - our own parent wrote it
                limit_data(self.baseline + (megabytes << 20))
            except BaseException as error:
                return self.answer(UNUSABLE, words(error))
            self.answer(READY, b"")
            for item in items:
                self.answer(*attempt(self.function, item, seconds))
            self.settled = self.settled or data_bytes()
            if data_bytes() > self.settled + (megabytes << 19):
                return None  # half of the allowance has leaked: the parent starts another child
        return None

    def answer(self, kind: bytes, body: bytes) -> None:
        self.answers.write(ANSWER.pack(kind, len(body)))
        self.answers.write(body)
        self.answers.flush()


def load(call: bytes) -> Callable[[Any], Any]:
    """The function of a call, found where its sender finds modules and files."""
    function, folder, paths = pickle.loads(call)  # noqa: S301 - our own parent wrote it
    os.chdir(folder)
    sys.path[:] = paths + [path for path in sys.path if path not in paths]
    return pickle.loads(function)  # noqa: S301


def attempt(function: Any, item: Any, seconds: float) -> tuple[bytes, bytes]:
    """Kind and body of an item's answer: its pickled result, or why there is none."""
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)
    try:
        return RESULT, pickle.dumps(function(item), protocol=5)
    except BaseException as error:  # an item may call sys.exit
        if not is_memory_error(error):
            return ERROR, words(error)
        limit_data(resource.RLIM_INFINITY)  # saying so needs memory, too; the parent ends us then
        return MEMORY, words(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def is_memory_error(error: BaseException | None) -> bool:
    """Whether memory ran out, here or below what a library made of it."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def words(error: BaseException) -> bytes:
    """Type and words of an error as UTF-8."""
    text = plain(f"{type(error).__name__}: {error}".removesuffix(": "))
    return text.encode(errors="backslashreplace")


def plain(text: str) -> str:
    """One line of at most LONGEST characters, without the addresses that differ in every run."""
    line = re.sub(r"\b0x[0-9a-fA-F]+", "0x…", " ".join(text.split()))
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def data_bytes() -> int:
    """Bytes of private writable memory, which RLIMIT_DATA counts; 0 where Linux does not say."""
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
    """Let allocations beyond `most` bytes of data fail; only Linux counts all of them."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if most == resource.RLIM_INFINITY or (hard != resource.RLIM_INFINITY and most > hard):
        most = hard
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
