"""The pages of a listening test in a real browser: whole tests, and axe-core on every page."""

import json
from contextlib import ExitStack

import pytest
from browsers import barriers, chromium, served, tab_to
from listening_study import store_of

from ostinato.listening.analysis import page as results_page
from ostinato.listening.analysis.results import results
from ostinato.listening.export import rows
from ostinato.listening.server.app import build
from ostinato.listening.server.guard import Limits
from ostinato.listening.simulate import Simulated, simulate

pytestmark = pytest.mark.slow
SECRET = "correct horse battery"
WIDE = Limits(1e6, 1e6, 1e6)
TEXT = {"en": "A test", "zh": "测试"}
BOTH = {
    "languages": ["en", "zh"],
    "title": TEXT,
    "about": TEXT,
    "hear_seconds": 0.1,
    "questions": [{"id": "liking", "text": TEXT, "low": TEXT, "high": TEXT}],
}
NEXT = "was => document.querySelector('h1').innerText !== was"


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Tones and their stimuli, which are made once for each design."""
    return tmp_path_factory.mktemp("tones")


@pytest.fixture
def start(root, tmp_path):
    """The store of a study, and the address at which it is served."""
    with ExitStack() as stack:

        def serve(design="ab", **changes):
            store = store_of(root / design, tmp_path, design, **(BOTH | changes))
            app = build(store, admin_secret=SECRET, limits=WIDE)
            return store, stack.enter_context(served(app))

        yield serve


@pytest.fixture
def visit(browser):
    """A page of a visitor of its own, which has no errors of scripts when the test ends."""
    wrong, contexts = [], []

    def open_page(address, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(60_000)  # milliseconds, for a machine that does other work
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def begin(page):
    """From the consent to the first trial."""
    page.check("[name=agree]")
    page.click("button.main")
    page.click("#play:enabled")
    page.click("button.main")
    page.wait_for_selector("#play:enabled")


def hear(page, press="click"):
    """Play every sound of a trial for a moment; those of one second may have to start again."""
    roles = [switch.get_attribute("data-role") for switch in page.query_selector_all(".switch")]
    page.wait_for_selector("#play:enabled")
    for role in reversed(roles):
        getattr(page, press)(f"[data-role={role}]")
        while not page.query_selector(f".heard[data-role={role}]"):
            if not page.query_selector(".playing"):
                getattr(page, press)("#play")
            page.wait_for_timeout(20)


def save(page):
    """Send the answer and wait for the next page."""
    was = page.inner_text("h1")
    page.click("#send:enabled")
    page.wait_for_function(NEXT, arg=was)


def answer(page, value):
    """One trial of two sounds."""
    hear(page)
    page.check(f"[name=liking][value={value}]")
    save(page)


def test_a_whole_test_with_the_mouse_that_survives_a_reload_and_a_lost_connection(start, visit):
    store, address = start(trials=2, ties=True)
    page = visit(address, viewport={"width": 1000, "height": 760})
    page.click("button.main")
    assert page.is_visible("[name=agree]"), "nothing begins without consent"
    begin(page)
    assert page.is_disabled("#send"), "every sound is heard before an answer"
    page.check("[name=liking][value=b]")
    assert page.is_disabled("#send")
    page.reload()
    answer(page, "b")
    hear(page)
    page.check("[name=liking][value=tie]")
    assert not barriers(page)  # a trial
    page.context.set_offline(True)
    was = page.inner_text("h1")
    page.dblclick("#send:enabled")
    page.wait_for_function(
        "() => document.querySelector('#saving').innerText.includes('Not saved yet')"
    )
    assert store.progress()["answers"] == 1
    page.context.set_offline(False)
    page.wait_for_function(NEXT, arg=was)
    page.go_back()
    page.goto(f"{address}leave")
    assert not barriers(page)
    link = page.inner_text(".code")
    other = visit(link)
    while other.query_selector("#answer"):
        answer(other, "a")
    assert not barriers(other)  # the code
    assert len(other.inner_text(".code")) == 8
    given = [row["answer"] for row in rows(store.engine, "tones")]
    assert given == ["b", "tie", "a", "a"]
    other.click("a[href='/withdraw']")
    assert not barriers(other)
    other.click("button.danger")
    assert "deleted" in other.inner_text("h1")
    assert store.progress()["answers"] == 0


def test_a_whole_test_on_a_phone_in_chinese(start, visit):
    store, address = start("human", reference="human_secret", trials=2)
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    page = visit(address, locale="zh-CN", **phone)
    assert not barriers(page)  # consent
    begin(page)
    while page.query_selector("#answer"):
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        hear(page, "tap")
        page.tap("[name=liking][value=a]")
        if not store.progress()["answers"]:
            assert not barriers(page)  # practice, answered
        save(page)
    assert page.get_attribute("html", "lang") == "zh"
    found = rows(store.engine, "tones")
    assert store.progress()["finished"] == 1
    assert {row["first_played"] for row in found} == {"b"}
    assert all(set(json.loads(row["heard_ms"])) == {"a", "b"} for row in found)


def test_a_whole_test_with_the_keyboard_alone(start, visit):
    store, address = start("abx", trials=2)
    page = visit(address)

    def press(selector, *keys):
        tab_to(page, selector)
        for key in keys:
            page.keyboard.press(key)

    press("[name=agree]", "Space")
    press("button.main", "Enter")
    page.wait_for_selector("#play:enabled")
    assert not barriers(page)  # volume
    press("form button.main", "Enter")
    page.wait_for_selector("#answer")
    while page.query_selector("#answer"):
        page.wait_for_selector("#play:enabled")
        for key in "abx":
            page.keyboard.press(key)
            while not page.query_selector(f".heard[data-role={key}]"):
                if not page.query_selector(".playing"):
                    page.keyboard.press("Space")
                page.wait_for_timeout(20)
        press("[name=liking]", "Space", "ArrowRight")  # from A to B
        tab_to(page, "#send:enabled")
        if len(rows(store.engine, "tones")) == 1:
            assert not barriers(page)  # a trial
        was = page.inner_text("h1")
        page.keyboard.press("Enter")
        page.wait_for_function(NEXT, arg=was)
    assert {row["answer"] for row in rows(store.engine, "tones")} == {"b"}
    assert store.progress()["finished"] == 1


@pytest.mark.parametrize("design", ["ratings", "mushra"])
def test_axe_finds_no_barrier_in_the_trials_of_a_design(start, visit, design):
    _, address = start(design)
    page = visit(address)
    begin(page)
    assert not barriers(page)  # practice
    hear(page)
    for name in {
        field.get_attribute("name") for field in page.query_selector_all("#answer [name]")
    }:
        field = f"#answer [name={name}]"
        page.fill(field, "40") if design == "mushra" else page.check(field)
    assert not barriers(page)  # answered
    if design == "ratings":
        page.click("#play")
    save(page)
    page.wait_for_selector("#play:enabled")
    assert not barriers(page)


def test_axe_finds_no_barrier_on_pages_for_those_who_come_late(start, visit):
    store, address = start()
    page = visit(f"{address}resume/nobody")
    assert not barriers(page)
    page.goto(address)
    store.stop(stopped=True)
    page.check("[name=agree]")
    page.click("button.main")
    assert not barriers(page)  # closed


def test_axe_finds_no_barrier_for_whoever_runs_the_study(start, visit, root, tmp_path):
    _, address = start()
    page = visit(f"{address}admin")
    assert not barriers(page)  # the secret
    page.fill("#secret", "wrong")
    page.click("button.main")
    assert not barriers(page)  # a wrong one
    page.fill("#secret", SECRET)
    page.click("button.main")
    page.wait_for_selector("table")
    assert not barriers(page)  # progress
    for design in ("ab", "abx", "ratings"):
        folder = tmp_path / design
        folder.mkdir()
        changes = BOTH | {"trials": 3, "training": 0, "ties": design == "ab"}
        store = store_of(root / f"{design}-results", folder, design, simulated=True, **changes)
        simulate(store, Simulated(lapse=0.0))
        study = store.plan.study
        found = results(rows(store.engine, "tones"), study, resamples=3, peek=False)
        html = results_page.build(found, study, {"seed": "1"})
        (folder / "index.html").write_text(html, encoding="utf-8")
        page.goto(f"file://{folder / 'index.html'}")
        assert not barriers(page), design
