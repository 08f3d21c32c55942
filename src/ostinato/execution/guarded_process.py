"""The parent's side of one guarded child: starts it, sends requests, waits for answers, ends it."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

from ostinato.execution.guarded_child import (
    ANSWER,
    CLOCK,
    CRASH,
    MEMORY,
    REQUEST,
    TIME,
    shortened,
)

Answer = tuple[bytes, bytes]  # kind and body, as the child sent them
TAIL_BYTES, TAIL_LINES = 4096, 3
PIPE_BYTES = 1 << 20  # room for many answers, so that the child need not wait for the parent
# messages of the runtimes of C++, Rust and Python after a failed allocation
ALLOCATION = (
    b"MemoryError",
    b"bad_alloc",
    b"emory allocation",
    b"ut of memory",
    b"allocate memory",
)
# not `-m`, which would look for modules in the working folder first
BOOTSTRAP = (
    "import sys; sys.path[:] = {}; from ostinato.execution.guarded_child import serve; serve()"
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Child:
    """A child process, its pipes, and the bytes received from it.

    used: whether it has run an item already.
    """

    def __init__(self) -> None:
        self.used = False
        self.process = subprocess.Popen(
            [sys.executable, "-c", BOOTSTRAP.format(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict.fromkeys(THREADS, "1") | {"PYTHONHASHSEED": "0"} | os.environ,
            start_new_session=True,  # no Ctrl-C; one group with processes that items start
        )
        pipes = (self.process.stdin, self.process.stdout, self.process.stderr)
        self._pipes = [pipe for pipe in pipes if pipe is not None]
        self._in, self._out, self._err = (pipe.fileno() for pipe in self._pipes)
        with suppress(AttributeError, OSError):  # other systems; the user's limit on pipe sizes
            fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self._poll.register(self._err, select.POLLIN)
        self._arrived, self._tail, self._call = bytearray(), b"", b""

    def request(
        self, call: bytes, items: bytes, first: int, megabytes: int, busy: float, clock: float
    ) -> None:
        """Send items to run from item `first` on, and the call if it has changed.

        busy, clock: seconds of processor time and of the clock for each item.

        Raises:
            BrokenPipeError: the child is dead.
        """
        news, self._call = b"" if call == self._call else call, call
        header = REQUEST.pack(len(news), len(items), first, megabytes, busy, clock)
        for part in (header, news, items):
            view = memoryview(part)
            while view:
                view = view[os.write(self._in, view) :]

    def answer(self, seconds: float) -> Answer:
        """The next answer.

        Raises:
            TimeoutError: nothing has arrived for so long.
            EOFError: the child is dead or has closed the channel.
        """
        deadline = time.monotonic() + seconds
        while (answer := self._whole_answer()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            events = self._poll.poll(1000 * min(left, 1.0))
            # processes started by an item can keep the pipe open after the child's death
            if not events and self.process.poll() is not None:
                raise EOFError
            for pipe, _ in events:
                if pipe == self._err:
                    self._read_errors()
                else:
                    self._read_answer()
                    deadline = time.monotonic() + seconds
        return answer

    def end(self) -> None:
        """Kill the child and the processes it has started, and close the pipes."""
        if self.process.returncode is None:
            self._kill()
        for pipe in self._pipes:
            pipe.close()

    def forget(self) -> None:
        """Close the pipes of a child that belongs to the parent of this fork.

        Open copies of the pipes would keep the child alive after its parent's death.
        """
        self.process.returncode = 0  # else Popen warns that it is still running
        for pipe in self._pipes:
            pipe.close()

    def end_and_explain(self) -> Answer:
        """End the child; returns TIME, CLOCK, MEMORY or CRASH with a description."""
        code = self._kill()
        while self._err in dict(self._poll.poll(0)):
            self._read_errors()
        self.end()
        name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        lines = self._tail.decode(errors="replace").split("\n")
        last = [line for line in lines if line.strip()][-TAIL_LINES:]
        words = shortened(": ".join([name, *last])).encode()
        if code in (-signal.SIGPROF, -signal.SIGALRM):  # the alarm: the parent waited elsewhere
            return TIME if code == -signal.SIGPROF else CLOCK, words
        return MEMORY if any(sign in self._tail for sign in ALLOCATION) else CRASH, words

    def _kill(self) -> int:
        """Kill the whole group; returns the exit status of the child."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def _read_errors(self) -> None:
        data = os.read(self._err, 1 << 16)
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        if not data:
            self._poll.unregister(self._err)

    def _read_answer(self) -> None:
        data = os.read(self._out, 1 << 16)
        if not data:
            raise EOFError
        self._arrived += data

    def _whole_answer(self) -> Answer | None:
        if len(self._arrived) < ANSWER.size:
            return None
        kind, size = ANSWER.unpack_from(self._arrived)
        end = ANSWER.size + size
        if len(self._arrived) < end:
            return None
        with memoryview(self._arrived) as view:
            body = bytes(view[ANSWER.size : end])
        del self._arrived[:end]
        return kind, body
