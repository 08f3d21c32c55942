"""Runs the server of a study until it is ended."""

import os
import secrets
import socket
from collections.abc import Mapping
from typing import Any

from ostinato.listening.server.app import build
from ostinato.listening.server.guard import Limits
from ostinato.listening.store.store import Store
from ostinato.settings import checked

SECRET = "OSTINATO_LISTENING_SECRET"  # noqa: S105 - the name of a variable
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHORTEST_SECRET = 12
WAITING = 1024  # connections that may wait to be accepted


def check_address(host: str, port: object, *, public: bool) -> None:
    """Raise ValueError for an address that this computer alone should not leave, or a busy port."""
    if host not in LOOPBACK and not public:
        raise ValueError(
            f"host={host} can be reached from other computers: add public=true if that is wanted, "
            "and put a server with HTTPS in front (docs/listening.md)"
        )
    if not isinstance(port, int) or not 0 < port < 1 << 16:
        raise ValueError(f"port={port} must be a whole number from 1 to 65535")
    _bound(host, port).close()


def _bound(host: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise ValueError(
            f"{host}:{port} cannot be used ({error.strerror}): take another port, "
            f"such as port={port + 1}"
        ) from error
    return found


def admin_secret(given: str | None) -> tuple[str, bool]:
    """The secret of the admin page, and whether it was made now; raises ValueError if short."""
    secret = given or os.environ.get(SECRET)
    if secret is None:
        return secrets.token_urlsafe(SHORTEST_SECRET), True
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(
            f"the secret of the admin page must have {SHORTEST_SECRET} characters or more"
        )
    return secret, False


def serve(store: Store, config: Mapping[str, Any]) -> None:
    """Serve a study; no request is logged, as addresses and tokens would be in the log.

    Raises:
        ValueError: the address or the secret; see `check_address` and `admin_secret`.
    """
    import uvicorn

    host, port = str(config["host"]), config["port"]
    check_address(host, port, public=config["public"])
    secret, is_new = admin_secret(config["secret"])
    app = build(store, admin_secret=secret, limits=checked(Limits, "limits", config["limits"]))
    listening = _bound(host, port)
    listening.listen(WAITING)  # before the address is printed: whoever is faster has to wait
    shown = f"[{host}]" if ":" in host else host
    lines = [f"test: http://{shown}:{port}/", f"progress and export: http://{shown}:{port}/admin"]
    lines += [f"secret of that page: {secret}"] if is_new else []
    print("\n".join([*lines, "Ctrl-C ends it; answers stay in the store"]), flush=True)  # noqa: T201
    options = uvicorn.Config(app, access_log=False, log_level="warning", server_header=False)
    uvicorn.Server(options).run(sockets=[listening])
