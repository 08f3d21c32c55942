"""Leaving for a while, withdrawing, and another language."""

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from ostinato.listening.server.visitor import COOKIE, VISIT, Asking, Form

routes = APIRouter()


@routes.get("/leave")
def leave(asking: Asking) -> Response:
    """The personal link with which to go on later."""
    if asking.listener is None:
        return RedirectResponse("/", 303)
    return asking.page("leave.html", link=f"{asking.request.base_url}resume/{asking.token}")


@routes.get("/withdraw")
def ask(asking: Asking) -> Response:
    """Ask once more before everything is deleted."""
    if asking.listener is None:
        return RedirectResponse("/", 303)
    return asking.page("withdraw.html", csrf=asking.csrf)


@routes.post("/withdraw")
def withdraw(asking: Asking, fields: Form) -> Response:
    """Delete the listener's data."""
    if not asking.may_change(fields.get("csrf", "")):
        return asking.message("form", 403)
    asking.store.withdraw(asking.token)
    response = asking.message("withdrawn", 200)
    for cookie in (COOKIE, VISIT):
        response.delete_cookie(cookie, path="/")
    return response


@routes.post("/language")
def language(asking: Asking, fields: Form) -> Response:
    """Change the language of the pages."""
    chosen = fields.get("language", "")
    if asking.may_change(fields.get("csrf", "")) and chosen in asking.study.languages:
        asking.store.speak(asking.token, chosen)
    return RedirectResponse("/go", 303)
