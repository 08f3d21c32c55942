"""The web path against a real server that cuts, lies, changes its mind, fails and hangs."""

import hashlib
import io
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from ostinato.datasets import archives, fetch, web
from ostinato.datasets.source import download, source_from
from ostinato.datasets.web import FetchError, RetryPolicy
from ostinato.files import checksums, sha256_json

QUICK = RetryPolicy(attempts=3, delay_seconds=0.001, connect_seconds=2, read_seconds=10)
HASTY = replace(QUICK, attempts=2, read_seconds=0.5)
CONTENT = np.random.default_rng(1).bytes(300_000)
OTHER = np.random.default_rng(2).bytes(300_000)


class Server:
    """Answers each request by the next entry of its plan (the last one for ever), and notes what it
    was asked and how many bytes of content it sent.
    """

    def __init__(self):
        self.plan, self.asked, self.sent = [], [], 0
        self.leave = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def url(self, name="set.zip"):
        return f"http://127.0.0.1:{self.http.server_port}/{name}"

    def stop(self):
        self.leave.set()
        self.http.shutdown()
        self.http.server_close()

    def handler(server):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append((self.headers["Range"], self.headers["If-Range"]))
                number = min(len(server.asked), len(server.plan)) - 1
                server.answer(self, **server.plan[number])
                self.close_connection = True

            def log_message(self, *_):
                pass

        return Handler

    def answer(  # a server as it should be, and what may be wrong with it
        self,
        request,
        content=CONTENT,
        tag='"one"',
        cut=None,  # bytes after which the connection ends
        status=200,
        ranges=True,  # does it know Range
        conditional=True,  # does it know If-Range
        length=None,  # the Content-Length it states
        begin=None,  # where the rest it sends begins
        hang=False,  # it stops sending at `cut` and keeps the line
    ):
        start, asked, condition = 0, request.headers["Range"], request.headers["If-Range"]
        if asked and ranges and status == 200 and (condition in (None, tag) or not conditional):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            status = 206 if start < len(content) else 416
        body = content[start if begin is None or not start else begin :]
        request.send_response(status)
        if tag:
            request.send_header("ETag", tag)
        if status == 206:
            first = len(content) - len(body)
            request.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if status == 416:
            request.send_header("Content-Range", f"bytes */{len(content)}")
        if length != "none":
            request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        if status in (200, 206):
            self.sent += len(body[:cut])  # before the client can see the end of it
            request.wfile.write(body[:cut])
        if hang:
            self.leave.wait(5)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv(fetch.MIRROR, raising=False)
    monkeypatch.chdir(tmp_path)
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def get(server, tmp_path):
    """Fetch a file of 300,000 bytes by a plan; returns its bytes."""

    def run(*plan, hashed=True, patience=QUICK):
        server.plan[:] = plan
        target, said = tmp_path / "file", []
        web.fetch(server.url(), target, hashed, patience, said.append)
        assert said[0] == f"fetching {server.url()}", "no network call without a word"
        left = [path.name for path in tmp_path.iterdir()]
        assert left == ["file"], "neither a partial file nor its note is left"
        return target.read_bytes()

    return run


def test_a_good_server_is_asked_once(get, server):
    assert get({}) == CONTENT
    assert server.asked == [(None, None)]


@pytest.mark.parametrize("hashed", [True, False])
def test_after_a_cut_only_the_rest_is_asked_for(get, server, hashed):
    plan = [{"cut": 100_000}, {"cut": 100_001}, {}]
    assert get(*plan, hashed=hashed) == CONTENT
    assert server.asked == [(None, None), ("bytes=100000-", '"one"'), ("bytes=200001-", '"one"')]
    assert server.sent == len(CONTENT), "no byte is sent twice"


def test_a_resumption_survives_the_end_of_the_run(get, server):
    with pytest.raises(FetchError, match=r"connection .* after 3 tries"):
        get({"cut": 5000}, {"cut": 0})
    server.asked.clear()
    assert get({}) == CONTENT
    assert server.asked == [("bytes=5000-", '"one"')]


def test_a_server_with_more_cuts_than_patience_is_heard_to_the_end(get, server):
    plan = [{"cut": 20_000}] * 14
    assert get(*plan, {}) == CONTENT
    assert server.sent == len(CONTENT)


def test_a_server_that_ignores_range_sends_all_again(get, server):
    assert get({"cut": 1000}, {"ranges": False}) == CONTENT
    assert server.sent == len(CONTENT) + 1000


def test_a_server_that_always_cuts_the_same_and_ignores_range_is_given_up(get, server):
    with pytest.raises(FetchError, match=r"connection.* after 3 tries"):
        get({"cut": 1000, "ranges": False})
    assert len(server.asked) == 3


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("hashed", [True, False])
def test_a_file_that_changed_since_the_cut_is_never_mixed(get, conditional, hashed):
    new = {"content": OTHER, "tag": '"two"', "conditional": conditional}
    assert get({"cut": 1000}, new, hashed=hashed) == OTHER


def test_a_shorter_file_in_its_place_is_fetched_anew(get):
    new = {"content": OTHER[:500], "tag": '"two"', "conditional": False}
    assert get({"cut": 1000}, new, hashed=False) == OTHER[:500]


def test_without_entity_tag_only_a_file_with_a_hash_is_resumed(get, server):
    plan = [{"cut": 1000, "tag": None}, {"tag": None}]
    assert get(*plan, hashed=False) == CONTENT
    assert [asked for asked, _ in server.asked] == [None, None]
    server.asked.clear()
    assert get(*plan, hashed=True) == CONTENT
    assert [asked for asked, _ in server.asked] == [None, "bytes=1000-"]


@pytest.mark.parametrize("begin", [999, 1001])
def test_a_rest_that_begins_elsewhere_is_not_appended(get, begin):
    assert get({"cut": 1000}, {"begin": begin}, {}) == CONTENT


def test_a_file_that_grew_under_the_same_tag_is_not_mixed(get):
    new = {"content": OTHER + b"more"}
    assert get({"cut": 1000}, new, hashed=False) == OTHER + b"more"


def test_a_partial_file_that_is_complete_is_not_sent_again(get, server):
    assert get({"length": len(CONTENT) + 10}, {}) == CONTENT  # it promised ten bytes more
    assert server.asked[1:] == [("bytes=300000-", '"one"')]
    assert server.sent == len(CONTENT)


def test_a_weak_entity_tag_promises_nothing(get, server):
    assert get({"cut": 1000, "tag": 'W/"one"'}, {"tag": 'W/"one"'}, hashed=False) == CONTENT
    assert server.asked == [(None, None), (None, None)]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_passing_failure_is_tried_again(get, server, status):
    assert get({"status": status}, {"status": status}, {}) == CONTENT
    assert len(server.asked) == 3


def test_a_lasting_failure_is_given_up_with_its_status(get, server):
    with pytest.raises(FetchError, match=r"status 500 .* after 3 tries"):
        get({"status": 500})
    assert len(server.asked) == 3


def test_what_is_not_there_is_asked_for_once(get, server):
    with pytest.raises(FetchError, match="status 404"):
        get({"status": 404})
    assert len(server.asked) == 1


def test_a_server_that_hangs_is_left_and_asked_for_the_rest(get, server):
    assert get({"cut": 131_072, "hang": True}, {}, patience=HASTY) == CONTENT
    assert server.asked[1] == ("bytes=131072-", '"one"')
    with pytest.raises(FetchError, match="no answer in time"):
        get({"cut": 0, "hang": True}, patience=HASTY)


def test_no_server_is_one_readable_line(server, tmp_path):
    server.stop()
    with pytest.raises(FetchError, match=r"^the connection failed \(Connection refused\)"):
        web.fetch(server.url(), tmp_path / "file", True, QUICK, lambda _: None)


# whole datasets


def packed(files, folder="set-1.0/"):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(folder + name, text)
    return content.getvalue()


FILES = {"a/x.mid": b"one", "a/y.mid": b"two", "readme.txt": b"read"}
ZIP = packed(FILES)
DIGEST = sha256_json(
    {name: hashlib.sha256(FILES[name]).hexdigest() for name in ("a/x.mid", "a/y.mid")}
)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def bring(server, tmp_path, monkeypatch):
    """Download a dataset of one part with these copies; returns (folder, what was said)."""
    monkeypatch.setattr(archives, "RetryPolicy", lambda: QUICK)

    def run(*copies, digest=DIGEST, include=("*.mid",)):
        settings = {
            "kind": "archives",
            "digest": digest,
            "licence": "CC0",
            "citation": "none",
            "url": "https://example.org",
            "parts": [{"include": list(include), "copies": list(copies)}],
        }
        said = []
        out = tmp_path / "data" / "raw" / "tiny"
        try:
            download("tiny", source_from("tiny", settings), out, said.append)
        finally:
            left = [path.name for path in out.parent.iterdir() if path != out]
            assert left == [], "nothing half-made beside the output"
        return out, said

    return run


def web_copy(server, name="set.zip", content=ZIP, **options):
    return {"url": server.url(name), "sha256": sha256(content), "strip": 1} | options


def test_a_dataset_comes_once_and_is_then_in_the_cache(bring, server):
    server.plan[:] = [{"content": ZIP}]
    out, said = bring(web_copy(server))
    assert set(checksums(out)) == {"a/x.mid", "a/y.mid", "manifest.json"}
    assert said[0] == "tiny: licence: CC0"
    assert f"fetching {server.url()}" in said
    manifest = (out / "manifest.json").read_bytes()
    bring(web_copy(server))
    assert len(server.asked) == 1
    assert (out / "manifest.json").read_bytes() == manifest
    assert server.url().encode() not in manifest


def test_wrong_bytes_are_deleted_and_the_next_copy_is_tried(bring, server, tmp_path):
    server.plan[:] = [{"content": ZIP[:-1] + b"!"}, {"content": ZIP}]
    out, _ = bring(web_copy(server, "bad.zip"), web_copy(server, "good.zip"))
    assert (out / "a" / "x.mid").read_bytes() == b"one"
    kept = [path.name for path in (tmp_path / fetch.CACHE).iterdir() if path.suffix == ".zip"]
    assert len(kept) == 1
    assert kept[0].endswith("-good.zip")


def test_a_stated_length_that_is_short_gives_wrong_bytes(bring, server):
    server.plan[:] = [{"content": ZIP, "length": len(ZIP) - 5}]
    with pytest.raises(ValueError, match=f"has sha256 .*{len(ZIP) - 5} bytes.*not {sha256(ZIP)}"):
        bring(web_copy(server))


def test_the_error_lists_every_copy_and_the_remedy(bring, server):
    server.plan[:] = [{"status": 404}, {"content": b"<html>log in</html>"}]
    missing, page = web_copy(server, "gone.zip"), web_copy(server, "page.zip")
    mirror = {"mirror": "tiny-set/all.zip", "sha256": sha256(ZIP), "strip": 1}
    with pytest.raises(ValueError, match="no copy of all") as refused:
        bring(mirror, missing, page)
    text = str(refused.value)
    assert "mirror tiny-set/all.zip: OSTINATO_MIRROR is not set" in text
    assert f"{server.url('gone.zip')}: status 404" in text
    assert f"{server.url('page.zip')}: has sha256 {sha256(b'<html>log in</html>')}" in text
    remedy = text.partition("OSTINATO_MIRROR=")[2]
    assert f"tiny-set/all.zip, sha256 {sha256(ZIP)}" in remedy
    assert f"tiny/gone.zip, sha256 {sha256(ZIP)} (from {server.url('gone.zip')})" in remedy


def test_md5_of_the_publisher_is_as_good(bring, server):
    server.plan[:] = [{"content": ZIP}]
    md5 = hashlib.md5(ZIP, usedforsecurity=False).hexdigest()
    bring({"url": server.url(), "md5": md5, "strip": 1})
    server.asked.clear()
    with pytest.raises(ValueError, match=f"has md5 {md5}.*not {'0' * 32}"):
        bring({"url": server.url(), "md5": "0" * 32, "strip": 1})


def test_a_page_instead_of_an_archive_without_a_hash_is_forgotten(bring, server):
    server.plan[:] = [{"content": b"<html>log in</html>"}]
    copy = {"url": server.url(), "strip": 1}
    with pytest.raises(ValueError, match=r"set\.zip is not a readable archive"):
        bring(copy)
    server.plan[:] = [{"content": ZIP}]
    bring(copy)


def test_other_contents_are_refused_and_forgotten(bring, server):
    copy = {"url": server.url(), "strip": 1}
    server.plan[:] = [{"content": ZIP}]
    bring(copy)
    more = packed(FILES | {"a/z.mid": b"three"})
    server.plan[:] = [{"content": more}]
    for path in fetch.CACHE.iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=rf"\(3 files\).*expects {DIGEST}.*1 new \(a/z\.mid\)"):
        bring(copy)
    server.plan[:] = [{"content": ZIP}]
    bring(copy)


def test_a_resumed_file_with_wrong_bytes_gets_one_more_chance(bring, server):
    server.plan[:] = [
        {"content": ZIP, "tag": None, "cut": 50},
        {"content": b"?" * len(ZIP), "tag": None},
        {"content": ZIP},
    ]
    bring(web_copy(server))
    assert [asked for asked, _ in server.asked] == [None, "bytes=50-", None]


def test_the_mirror_comes_first_and_falls_through(bring, server, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    (mirror / "tiny-set").mkdir(parents=True)
    (mirror / "tiny-set" / "all.zip").write_bytes(packed(FILES, ""))
    monkeypatch.setenv(fetch.MIRROR, str(mirror))
    copies = [web_copy(server), {"mirror": "tiny-set/all.zip"}]
    out, _ = bring(*copies)
    from_mirror = (out / "manifest.json").read_bytes()
    assert server.asked == [], "the web is not asked for what the mirror has"

    (mirror / "tiny-set" / "all.zip").write_bytes(b"damaged")
    server.plan[:] = [{"content": ZIP}]
    out, _ = bring(*copies)
    assert len(server.asked) == 1
    assert (out / "manifest.json").read_bytes() == from_mirror
    assert (mirror / "tiny-set" / "all.zip").read_bytes() == b"damaged", "it is not ours to mend"


def test_the_mirror_may_hold_the_file_of_a_url(bring, server, tmp_path, monkeypatch):
    (tmp_path / "mirror" / "tiny").mkdir(parents=True)
    (tmp_path / "mirror" / "tiny" / "set.zip").write_bytes(ZIP)
    monkeypatch.setenv(fetch.MIRROR, str(tmp_path / "mirror"))
    bring(web_copy(server))
    assert server.asked == []


def test_a_damaged_file_in_the_cache_is_fetched_anew(bring, server, flip_byte):
    server.plan[:] = [{"content": ZIP}]
    bring(web_copy(server))
    flip_byte(next(fetch.CACHE.glob("*.zip")))
    bring(web_copy(server))
    assert len(server.asked) == 2
