"""Sends how far a request is, line by line, as long as the browser listens."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from threading import Event
from typing import Any

from fastapi import Request

from ostinato.live.composer import Cancelled

LOOK = 0.1  # seconds between two looks at whether the browser is still there

Row = dict[str, Any]


async def lines(
    request: Request, work: Callable[[Callable[[], bool]], Iterator[Row]]
) -> AsyncIterator[str]:
    """What some work yields as lines of JSON; an error is the last one, with `detail`.

    work: is given a function that says whether its results are not wanted any more, which is so
    once the connection is closed.
    """
    gone = Event()
    rows = work(gone.is_set)
    try:
        while (row := await _next(rows, request, gone)) is not None:
            yield json.dumps(row) + "\n"
    except ValueError as error:
        yield json.dumps({"detail": str(error)}) + "\n"
    except Exception as error:
        yield json.dumps({"detail": failure(error)}) + "\n"
        raise
    finally:
        gone.set()
        with suppress(ValueError):  # it is computing, and will see that nobody waits
            rows.close()  # type: ignore[attr-defined]


async def _next(rows: Iterator[Row], request: Request, gone: Event) -> Row | None:
    """The next row; None at the end, also where nobody waits any more."""

    def step() -> Row | None:
        with suppress(Cancelled):
            return next(rows, None)
        return None

    working = asyncio.ensure_future(asyncio.to_thread(step))
    while not (await asyncio.wait([working], timeout=LOOK))[0]:
        if not gone.is_set() and await request.is_disconnected():
            gone.set()
    return working.result()


def failure(error: Exception) -> str:
    """What is said of an error that is not the user's."""
    return f"the server failed ({type(error).__name__}: {error}); its terminal shows where"
