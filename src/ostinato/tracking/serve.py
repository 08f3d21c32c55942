"""MLflow's pages, opened on our experiment: its front page is a dashboard for language models."""

import os
import socket
import subprocess
import sys
import time

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
    """Run `mlflow ui` until it ends; print the experiment's address once it listens.

    Raises:
        ValueError: the port is busy, or the server ended before it listened.
    """
    check_port(port)
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--port", str(port)]
    command += ["--host", HOST, "--backend-store-uri", store.uri]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(command, env={**os.environ, **quiet})
    try:
        while server.poll() is None and not _listens(port):
            time.sleep(POLL_SECONDS)
        if server.poll() is not None:
            raise ValueError(f"mlflow ui ended with exit code {server.returncode}; see above")
        page = f"#/experiments/{store.experiment}?workflowType=machine_learning"
        print(f"open http://{HOST}:{port}/{page}  (Ctrl-C ends it)", flush=True)  # noqa: T201
        server.wait()
    except KeyboardInterrupt:
        print("the runs stay in the store; make ui opens them again")  # noqa: T201
    finally:
        server.terminate()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
