"""MLflow's pages, opened on our experiment: its front page is a dashboard for language models."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from ostinato.tracking.store import Store

HOST = "127.0.0.1"
POLL_SECONDS = 0.2


def check_port(port: int) -> None:
    """Raise ValueError where another program listens on this port, or where it is none."""
    if not isinstance(port, int) or not 0 < port < 1 << 16:
        raise ValueError(f"port={port} must be a whole number from 1 to 65535")
    if _listens(port):
        raise ValueError(
            f"port {port} is busy: another program listens there, perhaps an earlier `make ui`; "
            f"end it, or take another port: make ui PORT={port + 1}"
        )


def serve(store: Store, port: int) -> None:
    """Run `mlflow ui` until it ends, or this process gets SIGTERM or SIGINT; print the experiment's
    address once it listens.

    Raises:
        ValueError: the port is busy, or the server ended before it listened.
    """
    check_port(port)
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--port", str(port)]
    command += ["--host", HOST, "--backend-store-uri", store.uri]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    try:
        with process_group(command, quiet) as server:
            while server.poll() is None and not _listens(port):
                time.sleep(POLL_SECONDS)
            if server.poll() is not None:
                raise ValueError(f"mlflow ui ended with exit code {server.returncode}; see above")
            page = f"#/experiments/{store.experiment}?workflowType=machine_learning"
            print(f"open http://{HOST}:{port}/{page}  (Ctrl-C ends it)", flush=True)  # noqa: T201
            server.wait()
    except KeyboardInterrupt:
        print("the runs stay in the store; make ui opens them again")  # noqa: T201


@contextmanager
def process_group(
    command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that may start processes of its own, and end all of them at the exit.

    Within it SIGTERM raises KeyboardInterrupt, as SIGINT does, so that the exit is reached.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True)
    try:
        yield server
    finally:
        try:
            os.killpg(server.pid, signal.SIGTERM)
        except ProcessLookupError:
            server.poll()  # they have ended by themselves
        server.wait()
        signal.signal(signal.SIGTERM, before)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
