"""The application of one study: its routes behind one guard."""

from collections.abc import Awaitable, Callable
from functools import lru_cache

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.requests import ClientDisconnect

from ostinato.listening.server import admin, entrance, leaving, pages, trials
from ostinato.listening.server.guard import HEADERS, Limits, Rate, client_hash, is_own_origin
from ostinato.listening.server.visitor import COOKIE, TooLarge, language_of
from ostinato.listening.store.store import Store

CACHED_SOUNDS = 256
BURST_SECONDS = 10


def build(store: Store, *, admin_secret: str, limits: Limits | None = None) -> FastAPI:
    """Everything a browser may ask for; `admin_secret` opens /admin."""
    limits = limits or Limits()
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.store, app.state.limits, app.state.secret = store, limits, store.secret
    app.state.content = lru_cache(CACHED_SOUNDS)(store.plan.stimuli.content)
    app.state.simulated = bool(store.progress()["simulated"])
    app.state.new = Rate(limits.new_per_minute / 60, limits.new_per_minute)
    app.state.tries = Rate(limits.secrets_per_minute / 60, limits.secrets_per_minute)
    app.state.admin_secret = admin_secret
    for module in (entrance, trials, leaving, admin):
        app.include_router(module.routes)
    requests = Rate(limits.requests_per_second, BURST_SECONDS * limits.requests_per_second)
    addresses = Rate(limits.address_per_second, BURST_SECONDS * limits.address_per_second)

    @app.middleware("http")
    async def guard(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = _refused(app, request, requests, addresses)
        if response is None:
            try:
                response = await call_next(request)
            except TooLarge:
                response = _too_large()
            except ClientDisconnect:  # nobody is there to read it; the browser sends again
                response = Response(status_code=400)
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    return app


def _refused(app: FastAPI, request: Request, requests: Rate, addresses: Rate) -> Response | None:
    """The answer to a request that goes no further: too many, too large, of another site."""
    study = app.state.store.plan.study
    language = language_of(request, study)
    address = client_hash(request.client.host if request.client else "")
    session = request.cookies.get(COOKIE) or address  # new cookies do not get around the address
    length = request.headers.get("content-length", "0")
    if not addresses.allows(address) or not requests.allows(session):
        return HTMLResponse(pages.message("wait", language, study), 429)
    if not length.isdigit() or int(length) > app.state.limits.body_bytes:
        return _too_large()
    changes = request.method not in ("GET", "HEAD")
    if changes and not is_own_origin(request.headers, request.headers.get("host", "")):
        return HTMLResponse(pages.message("form", language, study), 403)
    return None


def _too_large() -> Response:
    return JSONResponse({"error": "too large"}, 413)
