"""Consent, the start of a session, and the personal link that resumes it."""

import secrets

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from ostinato.listening.server import pages
from ostinato.listening.server.guard import client_hash, signature, signed
from ostinato.listening.server.visitor import COOKIE, VISIT, Asking, Form
from ostinato.listening.store.store import Closed

VISIT_BYTES = 24
routes = APIRouter()


@routes.get("/")
def welcome(asking: Asking) -> Response:
    """What the study is, and the consent."""
    if asking.listener is not None:
        return RedirectResponse("/go", 303)
    visit = asking.request.cookies.get(VISIT) or secrets.token_urlsafe(VISIT_BYTES)
    response = asking.page("welcome.html", csrf=signature(asking.secret, VISIT, visit))
    asking.remember(response, VISIT, visit)
    return response


@routes.post("/begin")
def begin(asking: Asking, fields: Form) -> Response:
    """A new listener, after the consent."""
    visit = asking.request.cookies.get(VISIT, "")
    if asking.listener is not None:  # a double click, or the back button
        return RedirectResponse("/go", 303)
    if not visit or not signed(asking.secret, VISIT, visit, fields.get("csrf", "")):
        return asking.message("form", 403)
    if fields.get("agree") != "yes":
        return RedirectResponse("/", 303)
    address = asking.request.client.host if asking.request.client else ""
    if not asking.request.app.state.new.allows(client_hash(address)):
        return asking.message("wait", 429)
    chosen = fields.get("language", "")
    language = chosen if chosen in asking.study.languages else asking.language
    try:
        token = asking.store.begin(language, visit)
    except Closed:
        return asking.message("closed", 200)
    response = RedirectResponse("/go", 303)
    asking.remember(response, COOKIE, token)
    return response


@routes.get("/resume/{token}")
def resume(asking: Asking, token: str) -> Response:
    """The personal link: go on with the session of a token."""
    if asking.store.listener(token) is None:
        return asking.message("unknown", 404)
    response = RedirectResponse("/go", 303)
    asking.remember(response, COOKIE, token)
    return response


@routes.get("/favicon.ico")
def icon() -> Response:
    """None."""
    return Response(status_code=204)


@routes.get("/static/{name}")
def static(name: str) -> Response:
    """A script or style sheet of a fixed list."""
    content = pages.static(name)
    if content is None:
        return Response(status_code=404)
    return Response(content, media_type=pages.STATIC[name])
