"""One request's visitor, its bounded body, and the cookies."""

import json
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, Response

from ostinato.listening.server import pages
from ostinato.listening.server.guard import signature, signed
from ostinato.listening.store.store import Listener, Store
from ostinato.listening.study import Study

COOKIE, VISIT = "listener", "visit"
YEAR_SECONDS = 365 * 24 * 3600
FIELDS = 10


class TooLarge(Exception):
    """The body of a request is longer than is allowed."""


@dataclass(frozen=True)
class Visitor:
    """Who asks; `listener` is None for somebody without a valid token."""

    request: Request
    store: Store
    token: str
    listener: Listener | None
    language: str

    @property
    def study(self) -> Study:
        """The study of this server."""
        return self.store.plan.study

    @property
    def secret(self) -> bytes:
        """The key of all signatures."""
        return bytes(self.request.app.state.secret)

    @property
    def csrf(self) -> str:
        """What this listener's forms must send."""
        return signature(self.secret, "form", self.token)

    def may_change(self, given: str) -> bool:
        """Whether a form of this listener came from our own page."""
        return self.listener is not None and signed(self.secret, "form", self.token, given)

    def page(self, template: str, **values: Any) -> HTMLResponse:
        """A page in the visitor's language."""
        simulated = self.request.app.state.simulated
        found = {"study": self.study, "simulated": simulated, **values}
        return HTMLResponse(pages.page(template, self.language, **found))

    def message(self, kind: str, status: int) -> HTMLResponse:
        """A page of a title and a sentence."""
        return HTMLResponse(pages.message(kind, self.language, self.study), status)

    def remember(self, response: Response, name: str, value: str) -> None:
        """Set a cookie that scripts cannot read."""
        response.set_cookie(
            name,
            value,
            max_age=YEAR_SECONDS,
            httponly=True,
            samesite="lax",
            secure=self.request.url.scheme == "https",
            path="/",
        )


def visitor(request: Request) -> Visitor:
    """Who asks: a listener, or somebody new, with the language of the pages."""
    store: Store = request.app.state.store
    token = request.cookies.get(COOKIE, "")
    listener = store.listener(token) if token else None
    language = language_of(request, store.plan.study, listener)
    return Visitor(request, store, token, listener, language)


def language_of(request: Request, study: Study, listener: Listener | None = None) -> str:
    """What the link asks for, else the listener's language, else what the browser accepts."""
    accepted = request.headers.get("accept-language", "").replace(" ", "").lower()
    wanted = [request.query_params.get("language", ""), listener.language if listener else ""]
    wanted += [part.split(";")[0].split("-")[0] for part in accepted.split(",")]
    return next((one for one in wanted if one in study.languages), study.languages[0])


async def body_of(request: Request) -> bytes:
    """The body of a request; raises TooLarge as soon as it is longer than the limit."""
    most, content = request.app.state.limits.body_bytes, bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise TooLarge
    return bytes(content)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a submitted form; none of a malformed one."""
    content = (await body_of(request)).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(content, max_num_fields=FIELDS))
    except ValueError:
        return {}


async def json_of(request: Request) -> Any:
    """The JSON of a request; None where it is none."""
    content = await body_of(request)
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


Asking = Annotated[Visitor, Depends(visitor)]
Form = Annotated[dict[str, str], Depends(form_of)]
Json = Annotated[Any, Depends(json_of)]
