"""Volume, trials, sounds and answers of a listener."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from ostinato.listening.server import pages
from ostinato.listening.server.visitor import Asking, Form, Json
from ostinato.listening.stimuli import catch_system, key_of
from ostinato.listening.store.store import DONE, NEW, Refused

TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
routes = APIRouter()


@routes.get("/go")
def go(asking: Asking) -> Response:
    """Whatever comes next for this listener; reloading shows it again."""
    if asking.listener is None:
        return RedirectResponse("/", 303)
    if asking.listener.state == NEW:
        return asking.page("volume.html", csrf=asking.csrf)
    current = None
    if asking.listener.state != DONE:
        current = asking.store.current(asking.token)
    if current is None:
        return asking.page("done.html", code=asking.listener.code)
    simulated = asking.request.app.state.simulated
    html = pages.trial_page(
        asking.study, current, asking.language, asking.csrf, simulated=simulated
    )
    return HTMLResponse(html)


@routes.post("/ready")
def ready(asking: Asking, fields: Form) -> Response:
    """The volume is set."""
    if not asking.may_change(fields.get("csrf", "")):
        return asking.message("form", 403)
    asking.store.ready(asking.token)
    return RedirectResponse("/go", 303)


@routes.get("/sound/volume")
def volume(asking: Asking) -> Response:
    """The excerpt to which the volume is set."""
    if asking.listener is None:
        return Response(status_code=404)
    return _sound(asking, key_of(catch_system(asking.study), asking.store.plan.stimuli.items[0]))


@routes.get("/sound/{key}")
def sound(asking: Asking, key: str) -> Response:
    """The bytes of a sound of the listener's current trial."""
    stimulus = asking.store.stimulus(asking.token, key)
    return Response(status_code=404) if stimulus is None else _sound(asking, stimulus)


def _sound(asking: Asking, stimulus: str) -> Response:
    content = asking.request.app.state.content(stimulus)
    return Response(content, media_type=TYPES[asking.study.sound.format])


@routes.post("/answer")
def answer(asking: Asking, given: Json) -> Response:
    """Store an answer; the response is sent after the commit."""
    if not isinstance(given, dict) or not asking.may_change(str(given.get("csrf", ""))):
        return JSONResponse({"error": "form"}, 403)
    fields = (given.get(name) for name in ("answer", "log", "milliseconds"))
    try:
        is_new = asking.store.answer(asking.token, str(given.get("trial", "")), *fields)
    except Refused as error:
        return JSONResponse({"error": str(error)}, 422)
    return JSONResponse({"saved": True, "again": not is_new})
