"""Starts the scripts of stages from a process that has imported the slow libraries already.

torch, Lightning, MLflow and the like take a stage ten seconds to import. `python -m
ostinato.execution.repro` imports them once and forks a child of that process for each script. A
child imports the project's own modules itself, so it runs the code that DVC records.

DVC still runs `python pipelines/<stage>.py …` as dvc.yaml says; `fork_server` puts a `python`
before others in PATH that hands such a script over (forkserver_client.py), with its arguments,
folder, environment and streams. Where that cannot be done, the script starts as usual.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from ostinato.execution import forkserver_client
from ostinato.execution.commands import run_command
from ostinato.execution.forkserver_client import HEADER, SOCKET, STREAMS
from ostinato.execution.machine import has_gpu_driver
from ostinato.execution.portable import make_portable

LIBRARIES = (  # with what they import late, at the first optimizer or the first run
    "torch",
    "torch._dynamo",
    "pytorch_lightning",
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
    "alembic",
    "hydra",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "music21",
    "muspy",
)
PROJECT = "ostinato"
SCRIPT = """#!/bin/sh
exec '{python}' -S -E '{client}' '{python}' "$@"
"""


@contextlib.contextmanager
def fork_server(
    environment: Mapping[str, str], libraries: Iterable[str] = LIBRARIES
) -> Iterator[Mapping[str, str]]:
    """The environment for processes whose scripts are to be forked from a server that lives until
    the end of the context.

    It is `environment` itself where there can be no server: on other systems than Linux, where a
    fork after imports is not safe; with a GPU, whose driver does not survive a fork; and where
    `python` is not the one that runs this.
    """
    python = shutil.which("python", path=environment.get("PATH"))
    same = python is not None and Path(python).parent == Path(sys.executable).parent
    if sys.platform != "linux" or has_gpu_driver() or not same or "'" in sys.executable:
        yield environment
        return
    with tempfile.TemporaryDirectory(prefix="ostinato-") as folder:
        address = Path(folder) / "socket"
        first = Path(folder) / "bin" / "python"
        first.parent.mkdir()
        first.write_text(
            SCRIPT.format(python=sys.executable, client=forkserver_client.__file__),
            encoding="utf-8",
        )
        first.chmod(first.stat().st_mode | stat.S_IXUSR)
        with subprocess.Popen(
            [sys.executable, "-m", "ostinato.execution.forkserver", str(address), *libraries],
            env=dict(environment),
            stdin=subprocess.PIPE,  # closed when this process ends, however that is
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the stages
        ) as server:
            try:
                path = f"{first.parent}{os.pathsep}{environment['PATH']}"
                yield dict(environment) | {"PATH": path, SOCKET: str(address)}
            finally:
                server.kill()


def serve(address: Path, libraries: Iterable[str]) -> None:
    """Import libraries, then fork a keeper for each connection until stdin is closed."""
    make_portable("train", os.environ)  # before any of them is loaded
    for name in libraries:
        importlib.import_module(name)
    gc.freeze()  # garbage collections of the forks pass over the libraries' objects
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system removes ended keepers
    with socket.socket(socket.AF_UNIX) as listener:
        partial = address.with_suffix(".partial")
        listener.bind(str(partial))
        listener.listen()
        partial.rename(address)  # clients find it when it answers
        while True:
            ready = select.select([listener.fileno(), sys.stdin.fileno()], [], [])[0]
            if sys.stdin.fileno() in ready:
                return
            connection = listener.accept()[0]
            if os.fork() == 0:
                listener.close()
                keep(connection)
            connection.close()


def keep(connection: socket.socket) -> NoReturn:
    """In a fork of the server: fork the script, tell the client its process and its status. Where
    the client ends first, kill the script.
    """
    request, streams = receive(connection)
    ended, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno())
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in (connection, ended, wakes):
            one.close()
        become(request, streams)
    for stream in streams:
        os.close(stream)
    with contextlib.suppress(OSError):
        connection.sendall(f"{child}\n".encode())
    if ended not in select.select([connection, ended], [], [])[0]:
        os.kill(child, signal.SIGKILL)  # the client never writes: it has ended
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(f"{status}\n".encode())
    os._exit(0)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What a client sends: its request as JSON after its length, and its standard streams.

    Raises:
        ValueError: the client has ended before it had sent all.
    """
    size = array.array("i", [0]).itemsize * STREAMS
    header, ancillary, *_ = connection.recvmsg(HEADER, socket.CMSG_SPACE(size))
    streams = array.array("i")
    for _, _, content in ancillary:
        streams.frombytes(content)
    request = bytearray()
    while len(request) < int(header):
        part = connection.recv(int(header) - len(request))
        if not part:
            raise ValueError(f"{len(request)} of {int(header)} bytes of a request came")
        request += part
    return json.loads(request), list(streams)


def become(request: Mapping[str, Any], streams: list[int]) -> NoReturn:
    """Go on as `python <script> <arguments>` in the client's folder and environment."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in sys.modules if name.partition(".")[0] == PROJECT]:
        del sys.modules[name]  # this server's; the script reads the project's code itself
    sys.argv = request["arguments"]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit(0)


def main() -> None:
    """Command line: where to listen, then what to import."""
    serve(Path(sys.argv[1]), sys.argv[2:])


if __name__ == "__main__":
    run_command(main)
