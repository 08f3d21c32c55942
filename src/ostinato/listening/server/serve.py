"""Runs the server of a study until it is ended."""

import os
import secrets
import socket
from collections.abc import Mapping
from typing import Any

from ostinato.listening.server.app import build
from ostinato.listening.server.guard import Limits
from ostinato.listening.store.store import Store

SECRET = "OSTINATO_LISTENING_SECRET"  # noqa: S105 - the name of a variable
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHORTEST_SECRET = 12


def check_address(host: str, port: object, *, public: bool) -> None:
    """Raise ValueError for an address that this computer alone should not leave, or a busy port."""
    if host not in LOOPBACK and not public:
        raise ValueError(
            f"host={host} can be reached from other computers: add public=true if that is wanted, "
            "and put a server with HTTPS in front (docs/listening.md)"
        )
    if not isinstance(port, int) or not 0 < port < 1 << 16:
        raise ValueError(f"port={port} must be a whole number from 1 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"{host}:{port} cannot be used ({error.strerror}): take another port, "
                f"such as port={port + 1}"
            ) from error


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
    app = build(store, admin_secret=secret, limits=Limits(**config["limits"]))
    shown = f"[{host}]" if ":" in host else host
    lines = [f"test: http://{shown}:{port}/", f"progress and export: http://{shown}:{port}/admin"]
    lines += [f"secret of that page: {secret}"] if is_new else []
    print("\n".join([*lines, "Ctrl-C ends it; answers stay in the store"]), flush=True)  # noqa: T201
    uvicorn.run(
        app, host=host, port=port, access_log=False, log_level="warning", server_header=False
    )
