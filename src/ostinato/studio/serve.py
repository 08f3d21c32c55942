"""Runs the studio's server until Ctrl-C."""

import socket

import uvicorn

from ostinato.studio.app import create_app
from ostinato.studio.models import Models


def serve(models: Models, host: str, port: int, names: tuple[str, ...] = ()) -> None:
    """Serve the page. names: further names of this machine that a browser may ask under.

    Raises:
        ValueError: the port is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"cannot serve on {host} port {port} ({error.strerror}): take another port=…"
            ) from error
    app = create_app(models, ("127.0.0.1", "localhost", host, *names))
    print(f"studio: http://{host}:{port}   stop with Ctrl-C", flush=True)  # noqa: T201
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)
