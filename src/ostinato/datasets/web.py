"""One file over HTTP: in pieces if the connection breaks, never a mixture of two versions.

A partial file lies beside its target with a note of where it is from; the rest is asked for with
`Range` under the entity tag of the first answer (`If-Range`). Where the answer is not the rest of
that very file, everything is fetched anew.
"""

import functools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

Say = Callable[[str], None]
SAY: Say = functools.partial(print, flush=True)  # at once, also where the output is a pipe

CHUNK_BYTES = 1 << 16
LONGEST_DELAY_SECONDS = 30.0
TRANSIENT = {408, 425, 429}  # statuses below 500 that ask to try again
HEADERS = {"User-Agent": "ostinato", "Accept-Encoding": "identity"}  # bytes as they are stored


class FetchError(ValueError):
    """A url that gives no file, in words for the list of what was tried."""


class _TryAgain(Exception):
    """An answer that another try may better."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server is waited for, and how often it is asked.

    attempts: tries in a row that bring nothing new. delay_seconds: before the second try, doubled
    for each one after it. read_seconds: longest silence within an answer.
    """

    attempts: int = 4
    delay_seconds: float = 1.0
    connect_seconds: float = 10.0
    read_seconds: float = 60.0


@dataclass(frozen=True)
class _Partial:
    """What is there already of a file, and of which version of it."""

    path: Path
    url: str
    hashed: bool

    @property
    def note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def described(self) -> dict[str, Any]:
        """The note, or nothing where it is lost or of another url."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) and note.get("url") == self.url else {}

    def resumable(self) -> int:
        """Bytes that need not be fetched again: none where nothing could tell a mixture."""
        note = self.described()
        return self.size if note and (note.get("tag") or self.hashed) else 0

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def fetch(url: str, target: Path, hashed: bool, patience: Patience, say: Say) -> bool:
    """Bring a url's file to `target`; returns whether an earlier try's bytes are part of it.

    hashed: whether the caller verifies the bytes, so that a server without entity tags may be
    trusted with a resumption.

    Raises:
        FetchError: after as many tries as patience has, or at once where another is no use.
    """
    import requests
    from urllib3.exceptions import HTTPError

    partial = _Partial(target.with_name(f"{target.name}.partial"), url, hashed)
    resumed, failures, most = False, 0, partial.resumable()
    say(f"fetching {url}")
    while True:
        try:
            resumed |= _receive(partial, patience, say)
            break
        except (requests.RequestException, HTTPError, _TryAgain) as error:
            failures = 1 if partial.size > most else failures + 1
            most = max(most, partial.size)
            if failures >= patience.attempts:
                raise FetchError(f"{_words(error)}, also after {failures} tries") from error
            delay = min(patience.delay_seconds * 2 ** (failures - 1), LONGEST_DELAY_SECONDS)
            say(f"  {_words(error)}; trying again in {delay:g} s")
            time.sleep(delay)
    partial.path.replace(target)
    partial.clear()
    return resumed


def _receive(partial: _Partial, patience: Patience, say: Say) -> bool:
    """One request, its bytes appended or written; returns whether it was a resumption."""
    import requests

    have, note = partial.resumable(), partial.described()
    headers = dict(HEADERS)
    if have:
        headers["Range"] = f"bytes={have}-"
        if note.get("tag"):
            headers["If-Range"] = note["tag"]
    timeout = (patience.connect_seconds, patience.read_seconds)
    with requests.get(partial.url, headers=headers, stream=True, timeout=timeout) as answer:
        if have and answer.status_code == 416:
            same = partial.hashed or note.get("tag") == _tag(answer)
            if same and _total(answer) == have:
                return True  # all of it is there already
            partial.clear()
            raise _TryAgain("the server has another file now")
        _refuse(answer)
        start = have if answer.status_code == 206 else 0
        if answer.status_code == 206 and not _is_rest(answer, start, note, partial.hashed):
            partial.clear()
            raise _TryAgain("the server sent something else than the rest of the file")
        if not start:
            partial.clear()  # before the note: never a note of one file beside bytes of another
        found = {"url": partial.url, "tag": _tag(answer), "total": _total(answer)}
        partial.note.write_text(json.dumps(found), encoding="utf-8")
        _store(answer, partial, start, say)
    return start > 0


def _refuse(answer: "requests.Response") -> None:
    """Raise unless the answer holds the file or a part of it."""
    status = f"status {answer.status_code} {answer.reason}".strip()
    if answer.status_code >= 500 or answer.status_code in TRANSIENT:
        raise _TryAgain(status)
    if answer.status_code not in (200, 206):
        raise FetchError(status)


def _tag(answer: "requests.Response") -> str | None:
    """The entity tag, if it is a strong one: a weak one does not promise the same bytes."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else None


def _total(answer: "requests.Response") -> int | None:
    """Bytes of the whole file, as far as the answer states them."""
    stated = answer.headers.get("Content-Length", "")
    if answer.status_code in (206, 416):
        stated = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(stated) if stated.isdecimal() else None


def _is_rest(
    answer: "requests.Response", start: int, note: Mapping[str, Any], hashed: bool
) -> bool:
    """Whether the answer goes on where the partial file of `note` ends."""
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        return False
    if note.get("total") not in (None, _total(answer)):
        return False
    tags = {note.get("tag"), _tag(answer)}
    return len(tags) == 1 or (hashed and None in tags)


def _store(answer: "requests.Response", partial: _Partial, start: int, say: Say) -> None:
    """Write the answer's bytes behind the first `start` ones."""
    from tqdm import tqdm

    total = _total(answer)
    size = "size not stated" if total is None else f"{total / 1e6:.1f} MB"
    say(f"  {size}" + (f", the first {start / 1e6:.1f} MB are here already" if start else ""))
    bar = tqdm(
        total=total, initial=start, unit="B", unit_scale=True, disable=None, leave=False
    )  # disable=None: no bar where no terminal is
    with bar, partial.path.open("ab" if start else "wb") as file:
        for chunk in answer.raw.stream(CHUNK_BYTES, decode_content=False):
            file.write(chunk)
            bar.update(len(chunk))
    if total is not None and partial.size != total:
        raise _TryAgain(f"the connection ended after {partial.size} of {total} bytes")


def _words(error: Exception) -> str:
    """What went wrong, without the library's own class names."""
    import requests
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    if isinstance(error, _TryAgain):
        return str(error)
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return "no answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"the connection failed ({cause.strerror})"
        cause = cause.__context__
    return "the connection broke" if isinstance(error, HTTPError) else str(error)
