"""The page of whoever runs the study: progress, stop, export. It shows no result before the end."""

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from ostinato.listening.export import archive
from ostinato.listening.server import pages
from ostinato.listening.server.guard import client_hash, signature, signed
from ostinato.listening.server.visitor import Form
from ostinato.listening.store.store import Store

COOKIE = "admin"
SECONDS = 12 * 3600
routes = APIRouter()


def _key(request: Request) -> bytes:
    """The key of the admin's signatures; a new secret ends old sessions."""
    return bytes(request.app.state.secret) + str(request.app.state.admin_secret).encode()


def _is_in(request: Request) -> bool:
    return signed(_key(request), COOKIE, "in", request.cookies.get(COOKIE, ""))


def _page(request: Request, template: str, status: int = 200, **values: object) -> Response:
    state = request.app.state
    found = {"study": state.store.plan.study, "simulated": state.simulated, **values}
    return HTMLResponse(pages.page(template, "en", **found), status)


@routes.get("/admin")
def show(request: Request) -> Response:
    """Progress, or the form for the secret."""
    if not _is_in(request):
        return _page(request, "login.html", failed=False)
    csrf = signature(_key(request), "form", COOKIE)
    return _page(request, "admin.html", progress=request.app.state.store.progress(), csrf=csrf)


@routes.post("/admin/enter")
def enter(request: Request, fields: Form) -> Response:
    """Check the secret; a few tries a minute."""
    state = request.app.state
    address = request.client.host if request.client else ""
    if not state.tries.allows(client_hash(address)):
        return HTMLResponse(pages.message("wait", "en", state.store.plan.study), 429)
    given, secret = fields.get("secret", "").encode(), str(state.admin_secret).encode()
    if not hmac.compare_digest(given, secret):
        return _page(request, "login.html", 403, failed=True)
    response = RedirectResponse("/admin", 303)
    response.set_cookie(
        COOKIE,
        signature(_key(request), COOKIE, "in"),
        max_age=SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/admin",
    )
    return response


@routes.post("/admin/stop")
def stop(request: Request, fields: Form) -> Response:
    """Take no more listeners, or take them again."""
    store: Store = request.app.state.store
    is_ours = signed(_key(request), "form", COOKIE, fields.get("csrf", ""))
    if not _is_in(request) or not is_ours:
        return HTMLResponse(pages.message("form", "en", store.plan.study), 403)
    store.stop(stopped=fields.get("stopped") == "yes")
    return RedirectResponse("/admin", 303)


@routes.get("/admin/export.zip")
def export(request: Request) -> Response:
    """Answers, codebook and completion codes."""
    if not _is_in(request):
        return Response(status_code=404)
    store: Store = request.app.state.store
    headers = {"Content-Disposition": f"attachment; filename={store.plan.study.id}.zip"}
    return Response(archive(store), media_type="application/zip", headers=headers)
