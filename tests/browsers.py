"""Chromium for tests of pages, a server for it, and axe-core's word on what it shows."""

import shutil
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}


def launched(play):
    """Chromium, or a skipped test where none can be installed."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        return play.chromium.launch(executable_path=found, args=["--no-sandbox"])
    except Exception as error:  # playwright's class is known only where it is installed
        pytest.skip(f"no Chromium starts here; playwright install chromium ({str(error)[:80]})")


@contextmanager
def chromium():
    """A browser; one for all tests of a file saves a second of each."""
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with api.sync_playwright() as play:
        found = launched(play)
        yield found
        found.close()


def tab_to(page, selector, most=80):
    """Press Tab until an element has the focus, as people without a mouse do."""
    for _ in range(most):
        if page.evaluate("what => document.activeElement.matches(what)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


@contextmanager
def served(app):
    """The address of an application on a free port of this computer."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)


def barriers(page):
    """What axe-core finds against WCAG 2.2 AA, as text; of the dark page its colours alone."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python")
    page.evaluate(axe.AXE_SCRIPT)
    found = []
    for scheme, rules in (("dark", COLOURS), ("light", WCAG)):
        page.emulate_media(color_scheme=scheme)
        options = {"runOnly": rules, "resultTypes": ["violations"]}
        result = axe.AxeResults(page.evaluate("options => axe.run(document, options)", options))
        if result.violations_count:
            found.append(f"{page.url} ({scheme}): {result.generate_report()}")
    return "\n".join(found)
