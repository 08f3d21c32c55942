"""Functions for guarded processes, which import them by name: good ones and all sorts of bad."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def square(item):
    return item * item


def notes(item):
    """About 30 kB, as a piece has."""
    return np.full((1500, 5), item, dtype="i4")


def megabytes(item):
    return bytes(1 << 20)


def act(item):
    """The item's own square, or what it names; a poison may carry an argument: (name, argument)."""
    name, *arguments = item if isinstance(item, tuple) else (item,)
    return POISONS[name](*arguments) if name in POISONS else square(item)


def hang():
    time.sleep(1000)


def nap():
    time.sleep(0.05)


def rest():
    """Gets no processor time for longer than some limits, as on a busy machine."""
    time.sleep(1.2)
    return "rested"


def hang_in_c():
    """Holds the GIL, so that no thread and no signal handler of Python runs."""
    ctypes.PyDLL(None).sleep(1000)


def hang_in_regex():
    re.match(r"(a+)+$", "a" * 60 + "b")


def leave():
    os._exit(7)


def leave_politely():
    sys.exit("enough")


def segfault():
    ctypes.string_at(0)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def abort_for_memory():
    os.write(2, b"memory allocation of 1073741824 bytes failed\n")
    os.abort()


def ten_gigabytes():
    return len(bytearray(10 << 30))


def hidden_memory_error():
    try:
        ten_gigabytes()
    except MemoryError:
        raise ValueError("the file cannot be read")  # noqa: B904


def many_small():
    kept = []
    while True:
        kept.append(bytearray(10_000))


def chatter():
    sys.stdout.write("noise " * 20_000)
    sys.stderr.write("noise " * 20_000)
    os.write(1, b"noise")
    subprocess.run(["echo", "noise"], check=True)
    return "spoken"


def unpicklable():
    return lambda: None


def broken():
    raise LookupError(f"no such thing as {object()}\nanywhere")


def not_utf8():
    raise ValueError("name \udcff")


def close_everything():
    os.closerange(0, 100)


def orphan():
    """Dies and leaves a process behind that holds all its pipes."""
    if os.fork() == 0:
        time.sleep(1000)
    os._exit(8)


def once(item):
    """Damages its process such that the second call crashes, whatever the item."""
    global _CALLS
    _CALLS += 1
    if _CALLS == 2:
        os.abort()
    return item


def kill_worker():
    """Kills the process that guards this one."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(1000)


def pid():
    return os.getpid()


def hash_seed():
    return hash("ostinato")


def folder():
    return Path.cwd().name


_CALLS = 0
_LEAK = []


def leak(size):
    _LEAK.append(bytearray(size << 20))
    return len(_LEAK)


POISONS = {name: value for name, value in globals().items() if callable(value)}
