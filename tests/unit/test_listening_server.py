"""The server: blind in all that it sends, and strict in all that it takes."""

import io
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from listening_study import SYSTEMS, Browser, store_of

from ostinato.listening import sounds
from ostinato.listening.server.app import build
from ostinato.listening.server.guard import HEADERS, Limits, Rate
from ostinato.listening.server.serve import admin_secret, check_address
from ostinato.listening.texts import languages, texts

SECRET = "correct horse battery"
WIDE = Limits(1e6, 1e6, 1e6)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Tones and their stimuli, which are made once for each design."""
    return tmp_path_factory.mktemp("tones")


@pytest.fixture
def server(root, tmp_path):
    def start(design="ab", limits=WIDE, **changes):
        folder = root / f"{design}-{len(changes)}"
        return build(
            store_of(folder, tmp_path, design, **changes), admin_secret=SECRET, limits=limits
        )

    return start


def browser_of(app, language="en"):
    return Browser(TestClient(app, follow_redirects=False), language)


VALUES = {"abx": "a", "ab": "b", "human": "a", "ratings": 3, "mushra": None}


@pytest.mark.long
@pytest.mark.parametrize("design", VALUES)
def test_nothing_that_the_browser_receives_tells_systems_apart(server, design):
    app = server(design)
    browser = browser_of(app).begin()
    assert browser.finish(VALUES[design]) == len(app.state.store.plan.lists[0])
    assert "code" in browser.get("/go").text
    stimuli = app.state.store.plan.stimuli
    words = [*SYSTEMS, "scrambled", "anchor", "item-", "file-", "/0", "/1", *stimuli.files.values()]
    played = []
    for response in browser.traffic:
        head = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
        is_sound = response.headers.get("content-type", "").startswith("audio")
        text = head + ("" if is_sound else response.text)
        for word in words:
            assert word not in text.replace("/0.", ""), (word, response.url)
        assert not {"etag", "last-modified", "server", "content-disposition"} & set(
            response.headers
        )
        if is_sound:
            played.append((head, response.content))
    assert len(played) >= 5
    assert len({head for head, _ in played}) == 1  # the same type, size and headers for all
    assert len({content[:44] for _, content in played}) == 1
    for _, content in played:
        sound, rate = soundfile.read(io.BytesIO(content), always_2d=True)
        assert sounds.loudness(sound, rate) == pytest.approx(stimuli.lufs, abs=0.1)


def test_pages_of_trials_differ_in_opaque_names_and_numbers_alone(server):
    browser = browser_of(server("abx")).begin()
    pages = set()
    while (settings := browser.settings()) is not None:
        page = browser.traffic[-1].text
        for name in (settings["trial"], *(key for key, _ in settings["sounds"])):
            assert re.fullmatch(r"[\w-]{22}", name)
            page = page.replace(name, "NAME")
        kind = "training" if 'class="training"' in page else "trial"
        page = re.sub(r'\d+ of \d+|value="\d+"', "N", page)
        pages.add((kind, page))
        browser.answer(settings)
    assert len(pages) == 2  # training, and one for catch and main trials


def test_answers_of_a_double_click_a_reload_and_the_back_button(server):
    app = server()
    browser = browser_of(app).begin()
    settings = browser.settings()
    assert browser.settings() == settings  # reloaded
    assert browser.answer(settings, "a").json() == {"saved": True, "again": False}
    assert browser.answer(settings, "b").json() == {"saved": True, "again": True}
    assert browser.settings()["trial"] != settings["trial"]
    assert app.state.store.progress()["answers"] == 1


def test_a_listener_leaves_and_comes_back_with_the_link(server):
    app = server()
    browser = browser_of(app).begin()
    browser.answer(browser.settings())
    link = re.search(r"http://testserver(/resume/[\w-]+)", browser.get("/leave").text)[1]
    other = browser_of(app)
    assert other.get("/go").headers["location"] == "/"
    assert other.get(link).status_code == 303
    assert other.settings()["trial"] == browser.settings()["trial"]
    assert browser_of(app).get("/resume/wrong").status_code == 404


def test_withdrawing_deletes_and_ends_the_session(server):
    app = server()
    browser = browser_of(app).begin()
    browser.answer(browser.settings())
    csrf = browser.settings()["csrf"]
    assert browser.post("/withdraw", data={"csrf": "x"}).status_code == 403
    assert "deleted" in browser.post("/withdraw", data={"csrf": csrf}).text
    assert browser.get("/go").headers["location"] == "/"
    assert app.state.store.progress()["answers"] == 0


def test_forms_of_other_sites_are_refused(server):
    app = server()
    browser = browser_of(app).begin()
    settings = browser.settings()
    body = {"trial": settings["trial"], "answer": {"liking": "a"}, "log": [], "milliseconds": 1}
    assert browser.post("/answer", json=body).status_code == 403
    body["csrf"] = settings["csrf"]
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert browser.post("/answer", json=body, headers=headers).status_code == 403
    assert browser_of(app).post("/answer", json=body).status_code == 403  # no cookie
    assert browser_of(app).post("/begin", data={"agree": "yes"}).status_code == 403
    assert app.state.store.progress()["answers"] == 0
    good = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert browser.post("/answer", json=body, headers=good).status_code == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"csrf": 1}', b"[" * 5000])
def test_malformed_answers_are_refused(server, body):
    browser = browser_of(server()).begin()
    assert browser.post("/answer", content=body).status_code == 403


def test_bodies_that_are_too_large_are_refused(server):
    app = server(limits=Limits(1e6, 1e6, 1e6, body_bytes=1000))
    browser = browser_of(app).begin()
    assert browser.post("/answer", content=b"x" * 2000).status_code == 413
    chunks = (b"x" * 500 for _ in range(10))  # without a length
    assert browser.post("/answer", content=chunks).status_code == 413


def test_too_many_requests_and_too_many_new_listeners_are_refused(server):
    browser = browser_of(server(limits=Limits(requests_per_second=1)))
    codes = [browser.get("/").status_code for _ in range(12)]
    assert codes == [200] * 10 + [429] * 2
    browser = browser_of(server(limits=Limits(1e6, address_per_second=1)))
    new = [browser.client.get("/", headers={"cookie": f"listener={n}"}) for n in range(12)]
    assert [answer.status_code for answer in new] == [200] * 10 + [429] * 2
    app = server(limits=Limits(1e6, new_per_minute=1))
    browser_of(app).begin()
    with pytest.raises(AssertionError):
        browser_of(app).begin()


def test_a_rate_recovers_with_time():
    now = [0.0]
    rate = Rate(1.0, 2.0, clock=lambda: now[0])
    assert [rate.allows("x") for _ in range(3)] == [True, True, False]
    assert rate.allows("y")
    now[0] = 1.1
    assert [rate.allows("x") for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    "path",
    [
        "/sound/../../etc/passwd",
        "/sound/%2e%2e%2fmanifest.json",
        "/sound/0000.wav",
        "/static/../app.py",
        "/static/%2e%2e%2fapp.py",
        "/docs",
        "/openapi.json",
        "/admin/export.zip",
    ],
)
def test_no_path_of_a_request_reaches_the_file_system(server, path):
    assert browser_of(server()).begin().get(path).status_code == 404


def test_every_response_has_the_security_headers(server):
    browser = browser_of(server()).begin()
    browser.get("/nowhere")
    for response in browser.traffic:
        assert HEADERS.items() <= {k: response.headers.get(k.lower()) for k in HEADERS}.items()
    cookie = browser.traffic[1].headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_the_admin_page_needs_the_secret(server):
    app = server()
    browser_of(app).begin().finish()
    admin = browser_of(app)
    assert "Secret" in admin.get("/admin").text
    assert admin.post("/admin/stop", data={"stopped": "yes"}).status_code == 403
    assert admin.post("/admin/enter", data={"secret": "wrong"}).status_code == 403
    assert admin.post("/admin/enter", data={"secret": SECRET}).status_code == 303
    page = admin.get("/admin").text
    assert "Finished" in page
    assert not any(system in page for system in SYSTEMS)  # no results before the end
    csrf = re.search(r'name="csrf" value="(\w+)"', page)[1]
    admin.post("/admin/stop", data={"csrf": csrf, "stopped": "yes"})
    assert app.state.store.progress()["stopped"]
    with zipfile.ZipFile(io.BytesIO(admin.get("/admin/export.zip").content)) as packed:
        assert sorted(packed.namelist()) == ["answers.csv", "codebook.csv", "codes.csv"]
        assert len(packed.read("answers.csv").splitlines()) == 1 + 6


def test_secrets_are_tried_a_few_times_a_minute(server):
    browser = browser_of(server(limits=Limits(1e6, 1e6, secrets_per_minute=2)))
    tries = [browser.post("/admin/enter", data={"secret": "x"}).status_code for _ in range(3)]
    assert tries == [403, 403, 429]


def test_a_closed_study_says_so(server):
    app = server()
    app.state.store.stop(stopped=True)
    with pytest.raises(AssertionError):
        browser_of(app).begin()


def test_a_simulated_study_is_marked_on_every_page(root, tmp_path):
    store = store_of(root / "ab-0", tmp_path, simulated=True)
    browser = browser_of(build(store, admin_secret=SECRET, limits=WIDE)).begin()
    browser.settings()
    pages = [r.text for r in browser.traffic if "html" in r.headers.get("content-type", "")]
    assert all("Simulated data" in page for page in pages)


@pytest.mark.parametrize("language", languages())
def test_pages_speak_the_language_of_the_listener(server, language):
    title = {"en": "A test", "zh": "测试"}
    app = server(
        languages=["en", "zh"],
        title=title,
        about=title,
        questions=[{"id": "liking", "text": title}],
    )
    browser = browser_of(app, language=f"{language}-XX,fr;q=0.5")
    page = browser.get("/").text
    assert f'<html lang="{language}">' in page
    assert texts(language)["consent_agree"] in page
    browser.begin()
    settings = browser.settings()
    assert texts(language)["submit"] in browser.traffic[-1].text
    evil = browser.post("/answer", headers={"origin": "https://evil.example"})
    assert texts(language)["form_title"] in evil.text
    other = "zh" if language == "en" else "en"
    browser.post("/language", data={"csrf": settings["csrf"], "language": other})
    browser.settings()
    assert texts(other)["submit"] in browser.traffic[-1].text


def test_all_languages_have_all_texts_with_the_same_gaps():
    gaps = {key: sorted(re.findall(r"{\w+}", text)) for key, text in texts("en").items()}
    for language in languages():
        found = {k: sorted(re.findall(r"{\w+}", text)) for k, text in texts(language).items()}
        assert found == gaps, language
    with pytest.raises(ValueError, match="there are en, zh"):
        texts("xx")


def test_other_hosts_than_loopback_need_public():
    check_address("127.0.0.1", 18999, public=False)
    with pytest.raises(ValueError, match="public=true"):
        check_address("0.0.0.0", 18999, public=False)
    with pytest.raises(ValueError, match="from 1 to 65535"):
        check_address("127.0.0.1", 99999, public=False)
    with pytest.raises(ValueError, match="12 characters"):
        admin_secret("short")
    assert admin_secret(SECRET) == (SECRET, False)
    first, second = admin_secret(None), admin_secret(None)
    assert first != second
    assert np.all([is_new for _, is_new in (first, second)])
