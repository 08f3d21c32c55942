"""The studio's HTTP API (see /openapi.json of the running server) and its page.

Nothing is loaded from elsewhere, and no path of a request reaches the file system.
"""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool

from ostinato.audio.formats import write_formats
from ostinato.audio.render import soundfont_path
from ostinato.music.timing import duration_seconds
from ostinato.player.recorded import DRUM_KEYS, DRUMS, recordings, sounding
from ostinato.readers.base import MIDI_SUFFIXES
from ostinato.readers.read import XML_SUFFIXES, read_piece
from ostinato.sampling.by_hand import warnings_of
from ostinato.studio.asked import Asked, fitted, make, making
from ostinato.studio.models import Models
from ostinato.studio.music import from_json, to_json
from ostinato.studio.progress import failure, lines

STATIC = Path(__file__).parent / "static"
UPLOAD = 4_000_000  # bytes of a file
BODY = 8_000_000  # bytes of a request
PROGRAMS = 128
MOST_SECONDS = 1200  # of a WAV: 400 MB in memory
EXPORTS = {
    "mid": "audio/midi",
    "musicxml": "application/vnd.recordare.musicxml+xml",
    "wav": "audio/wav",
    "png": "image/png",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; "
    "script-src 'self' 'wasm-unsafe-eval'; frame-ancestors 'none'",
}


def create_app(models: Models, hosts: tuple[str, ...] = ("127.0.0.1", "localhost")) -> FastAPI:
    """The server. hosts: names under which it may be asked; others are refused."""
    app = FastAPI(title="Ostinato studio", version="1", docs_url=None, redoc_url=None)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.middleware("http")
    async def guarded(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        refused = _refusal(request, hosts)
        answer = JSONResponse({"detail": refused[1]}, refused[0]) if refused else None
        answered: Response = answer or await call_next(request)
        answered.headers.update(HEADERS)
        return answered

    @app.exception_handler(ValueError)
    async def wrong(_: Request, error: ValueError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": failure(error)}, 500)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "studio.html")

    @app.get("/sounding.js", include_in_schema=False)
    async def script() -> Response:
        return Response(sounding(), media_type="text/javascript")

    _add_api(app, models)
    return app


def _add_api(app: FastAPI, models: Models) -> None:
    @app.get("/api/models")
    def list_models() -> list[dict[str, Any]]:
        """Name, family and weights of every model."""
        return models.names()

    @app.get("/api/models/{name}")
    def model(name: str) -> dict[str, Any]:
        """Tasks, roles, options and conditions of a model; loads it."""
        return models.about(name)

    @app.post("/api/make")
    async def make_pieces(asked: Asked) -> list[dict[str, Any]]:
        """Pieces of a request; each with the request that makes it again."""
        return await run_in_threadpool(make, models, asked)

    @app.post("/api/make/lines")
    async def make_line_by_line(asked: Asked, request: Request) -> StreamingResponse:
        """The same as lines of JSON: how far it is (take of takes, done of how many), and at last
        the pieces (made) or what is wrong (detail). Closing the connection cancels it.
        """
        found = lines(request, lambda gone: making(models, asked, gone))
        return StreamingResponse(found, media_type="application/x-ndjson")

    @app.post("/api/fit/{name}")
    async def fit(name: str, piece: dict[str, Any]) -> dict[str, Any]:
        """A piece as a model hears it: its roles and its grid, with remarks on what is left out."""
        return await run_in_threadpool(fitted, models, name, piece)

    @app.post("/api/upload")
    async def upload(request: Request, name: str = "prompt.mid") -> dict[str, Any]:
        """A MIDI or MusicXML file, as the body of the request, as a piece, with remarks."""
        return await run_in_threadpool(_uploaded, await request.body(), name)

    @app.post("/api/export/{kind}")
    async def export(kind: str, piece: dict[str, Any]) -> Response:
        """A piece as mid, musicxml, wav or png."""
        if kind not in EXPORTS:
            raise HTTPException(404, f"no format {kind!r}; there are: {', '.join(EXPORTS)}")
        data = await run_in_threadpool(_exported, piece, kind)
        return Response(data, media_type=EXPORTS[kind])

    @app.get("/api/recorded/{name}", include_in_schema=False)
    def recorded(name: str) -> dict[str, Any]:
        if name != DRUMS and not (name.isdecimal() and int(name) < PROGRAMS):
            raise HTTPException(404, f"no instrument {name!r}; programs are 0 to 127, or {DRUMS}")
        found: dict[str, Any] = recordings({name: DRUM_KEYS})[name]
        return found

    @app.get("/api/soundfont", include_in_schema=False)
    def soundfont() -> FileResponse:
        return FileResponse(soundfont_path(), media_type="application/octet-stream")


def _refusal(request: Request, hosts: tuple[str, ...]) -> tuple[int, str] | None:
    """Status and sentence of a request that must not be answered."""
    host = request.headers.get("host", "").rsplit(":", 1)[0].strip("[]")
    if host not in hosts:
        return 400, f"this server is not {host}; it answers to: {', '.join(hosts)}"
    origin = request.headers.get("origin")
    if origin and origin.split("://")[-1].rsplit(":", 1)[0].strip("[]") not in hosts:
        return 403, f"a page of {origin} may not use this server"
    length = request.headers.get("content-length", "0")
    most = UPLOAD if request.url.path == "/api/upload" else BODY
    if request.method == "POST" and not length.isdigit():
        return 411, "the request has no length"
    if request.method == "POST" and "chunked" in request.headers.get("transfer-encoding", ""):
        return 411, "the request has no length"
    if length.isdigit() and int(length) > most:
        return 413, f"{int(length):,} bytes are too many; at most {most:,} can be sent"
    return None


def _uploaded(data: bytes, name: str) -> dict[str, Any]:
    kinds = (*MIDI_SUFFIXES, *XML_SUFFIXES)
    suffix = Path(name).suffix.lower()
    if suffix not in kinds:
        raise ValueError(f"{name!r} is not a kind that is read here: {', '.join(kinds)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{suffix}"
        path.write_bytes(data)
        try:
            piece = read_piece(path)
        except (ValueError, OSError) as error:
            told = str(error).replace(str(path), Path(name).name)
            is_said = told.startswith(f"{Path(name).name} cannot be read")
            raise ValueError(
                told if is_said else f"{Path(name).name} cannot be read: {told}"
            ) from error
    if not len(piece.notes):
        raise ValueError(f"{Path(name).name} has no notes")
    return to_json(piece) | {"remarks": warnings_of(piece)}


def _exported(data: dict[str, Any], kind: str) -> bytes:
    piece = from_json(data)
    seconds = duration_seconds(piece)
    if kind == "wav" and seconds > MOST_SECONDS:
        raise ValueError(
            f"the piece lasts {seconds / 60:.0f} minutes; a WAV holds {MOST_SECONDS // 60} at most:"
            " take MIDI, or remove what sounds late"
        )
    with tempfile.TemporaryDirectory() as folder:
        failed = write_formats(piece, Path(folder), "piece", [kind])
        if failed:
            raise ValueError(f"no .{kind}: {failed[kind]}")
        return (Path(folder) / f"piece.{kind}").read_bytes()
