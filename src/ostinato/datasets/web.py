"""Downloads a file over HTTP; resumes after errors and never mixes two versions of a file.

A partial file and a note of its origin are kept next to the target. The rest is requested with
`Range` and the entity tag of the first response (`If-Range`). If the response is not the rest of
the same file, the download starts again.
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
SAY: Say = functools.partial(print, flush=True)  # without delay, even into a pipe

CHUNK_BYTES = 1 << 16
LONGEST_DELAY_SECONDS = 30.0
TRANSIENT = {408, 425, 429}  # statuses below 500 after which a retry can help
HEADERS = {"User-Agent": "ostinato", "Accept-Encoding": "identity"}  # bytes as they are stored


class FetchError(ValueError):
    """A url could not be fetched; the message is for the list of problems."""


class _TryAgain(Exception):
    """A retry may help."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Timeouts and number of retries.

    attempts: tries in a row without progress. delay_seconds: before the second try, doubled for
    each further one. read_seconds: longest pause within a response.
    """

    attempts: int = 4
    delay_seconds: float = 1.0
    connect_seconds: float = 10.0
    read_seconds: float = 60.0


@dataclass(frozen=True)
class _Partial:
    """A partial download, and a note of which version of the file it is."""

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
        """The note; empty if it is lost or of another url."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) and note.get("url") == self.url else {}

    def resumable(self) -> int:
        """Bytes that can be kept; 0 if a mixture of versions could not be detected."""
        note = self.described()
        return self.size if note and (note.get("tag") or self.hashed) else 0

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def fetch(url: str, target: Path, hashed: bool, retries: RetryPolicy, say: Say) -> bool:
    """Download a url to `target`; returns whether bytes of an earlier try are part of it.

    hashed: whether the caller verifies the bytes; then a download can be resumed even if the server
    sends no entity tags.

    Raises:
        FetchError: after `retries.attempts` tries, or at once if a retry cannot help.
    """
    import requests
    from urllib3.exceptions import HTTPError

    partial = _Partial(target.with_name(f"{target.name}.partial"), url, hashed)
    resumed, failures, most = False, 0, partial.resumable()
    say(f"fetching {url}")
    while True:
        try:
            resumed |= _receive(partial, retries, say)
            break
        except (requests.RequestException, HTTPError, _TryAgain) as error:
            failures = 1 if partial.size > most else failures + 1
            most = max(most, partial.size)
            if failures >= retries.attempts:
                raise FetchError(f"{_words(error)}, also after {failures} tries") from error
            delay = min(retries.delay_seconds * 2 ** (failures - 1), LONGEST_DELAY_SECONDS)
            say(f"  {_words(error)}; trying again in {delay:g} s")
            time.sleep(delay)
    partial.path.replace(target)
    partial.clear()
    return resumed


def _receive(partial: _Partial, retries: RetryPolicy, say: Say) -> bool:
    """Send one request and store its bytes; returns whether it resumed a download."""
    import requests

    have, note = partial.resumable(), partial.described()
    headers = dict(HEADERS)
    if have:
        headers["Range"] = f"bytes={have}-"
        if note.get("tag"):
            headers["If-Range"] = note["tag"]
    timeout = (retries.connect_seconds, retries.read_seconds)
    with requests.get(partial.url, headers=headers, stream=True, timeout=timeout) as answer:
        if have and answer.status_code == 416:
            same = partial.hashed or note.get("tag") == _tag(answer)
            if same and _total(answer) == have:
                return True  # the partial file is complete
            partial.clear()
            raise _TryAgain("the server has another version of the file now")
        _refuse(answer)
        start = have if answer.status_code == 206 else 0
        if answer.status_code == 206 and not _is_rest(answer, start, note, partial.hashed):
            partial.clear()
            raise _TryAgain("the server did not send the rest of the file")
        if not start:
            partial.clear()  # before the note: a note must never describe the bytes of another file
        found = {"url": partial.url, "tag": _tag(answer), "total": _total(answer)}
        partial.note.write_text(json.dumps(found), encoding="utf-8")
        _store(answer, partial, start, say)
    return start > 0


def _refuse(answer: "requests.Response") -> None:
    """Raise unless the response contains the file or a part of it."""
    status = f"status {answer.status_code} {answer.reason}".strip()
    if answer.status_code >= 500 or answer.status_code in TRANSIENT:
        raise _TryAgain(status)
    if answer.status_code not in (200, 206):
        raise FetchError(status)


def _tag(answer: "requests.Response") -> str | None:
    """The entity tag if it is strong; weak ones do not guarantee equal bytes."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else None


def _total(answer: "requests.Response") -> int | None:
    """Size of the whole file in bytes, if the response states it."""
    stated = answer.headers.get("Content-Length", "")
    if answer.status_code in (206, 416):
        stated = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(stated) if stated.isdecimal() else None


def _is_rest(
    answer: "requests.Response", start: int, note: Mapping[str, Any], hashed: bool
) -> bool:
    """Whether the response continues the partial file of `note`."""
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        return False
    if note.get("total") not in (None, _total(answer)):
        return False
    tags = {note.get("tag"), _tag(answer)}
    return len(tags) == 1 or (hashed and None in tags)


def _store(answer: "requests.Response", partial: _Partial, start: int, say: Say) -> None:
    """Write the response's bytes after the first `start` ones."""
    from tqdm import tqdm

    total = _total(answer)
    size = "size not stated" if total is None else f"{total / 1e6:.1f} MB"
    say(f"  {size}" + (f", the first {start / 1e6:.1f} MB are there already" if start else ""))
    bar = tqdm(
        total=total, initial=start, unit="B", unit_scale=True, disable=None, leave=False
    )  # disable=None: no bar without a terminal
    with bar, partial.path.open("ab" if start else "wb") as file:
        for chunk in answer.raw.stream(CHUNK_BYTES, decode_content=False):
            file.write(chunk)
            bar.update(len(chunk))
    if total is not None and partial.size != total:
        raise _TryAgain(f"the connection ended after {partial.size} of {total} bytes")


def _words(error: Exception) -> str:
    """The cause of an error, without class names of the library."""
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
