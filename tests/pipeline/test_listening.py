"""A study as a user runs it: served, killed, resumed, simulated, exported, analysed.

On SQLite, or in the empty database of OSTINATO_TEST_STORE=postgresql://…, one test at a time.
"""

import json
import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx2
import pytest
import yaml

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from listening_study import Browser, settings, tones

from ostinato.listening.export import rows
from ostinato.listening.store.database import open_engine
from ostinato.report.listeners import load_listeners

pytestmark = pytest.mark.slow
STORE = os.environ.get("OSTINATO_TEST_STORE")
IN_STORE = [f"store='{STORE}'"] if STORE else []
LISTENERS, TRIALS = 6, 6  # with one for practice and one catch trial


@pytest.fixture
def study(project):
    """A study file of the user's own, beside folders of sound files."""
    tones(project)
    (project / "listening").mkdir()
    own = settings(listeners=LISTENERS, trials=4, ties=True)
    (project / "listening" / "tones.yaml").write_text(yaml.safe_dump(own))
    return project


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def serve(study, script):
    """Start the server and wait until it listens; all are ended after the test."""
    started = []

    def start(port):
        limits = "limits={requests_per_second: 1000, new_per_minute: 1000}"
        words = ("listening=tones", f"port={port}", "underpowered=true", limits)
        process = script("listen", *words, *IN_STORE)
        started.append(process)
        assert any(line.startswith("Ctrl-C") for line in process.stdout), process.stderr.read()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def persistent(action):
    """Repeat a request until a server answers, as listen.js does."""
    for _ in range(6000):  # a loaded machine starts it in minutes
        try:
            return action()
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError("no server came back")


def test_nothing_is_lost_or_stored_twice_when_the_server_is_killed(serve, study):
    port = free_port()
    first = serve(port)
    confirmed = []

    together = Barrier(LISTENERS)

    def listen(number):
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            browser = Browser(client).begin()
            together.wait()
            while (found := persistent(browser.settings)) is not None:
                answered = persistent(lambda found=found: browser.answer(found, "a"))
                assert answered.json()["saved"]
                confirmed.append((number, found["trial"]))
                if len(confirmed) == 12:
                    first.send_signal(signal.SIGKILL)
            return persistent(lambda: browser.get("/go")).text

    with ThreadPoolExecutor(LISTENERS) as pool:
        listening = [pool.submit(listen, number) for number in range(LISTENERS)]
        first.wait()
        serve(port)
        pages = [one.result() for one in listening]
    assert all('<p class="code">' in page for page in pages)
    store = STORE or f"sqlite:///{study / 'listening/tones/answers.db'}"
    engine = open_engine(store)
    stored = rows(engine, "tones")
    engine.dispose()  # PostgreSQL's driver warns of connections that stay open
    assert len(stored) == len(confirmed) == LISTENERS * TRIALS
    assert {row["listener"] for row in stored} == set(range(1, LISTENERS + 1))


def test_simulated_listeners_are_analysed_and_marked(study, run_script):
    arguments = ("listening=tones", "underpowered=true", "resamples=50", *IN_STORE)
    code, _, err = run_script("listen", *arguments, "mode=simulate", "taste.human_secret=2")
    assert code == 0, err
    code, _, err = run_script("listen", *arguments, "mode=analyse", "answers=simulated")
    assert code == 0, err
    folder = study / "listening" / "tones" / "results-simulated"
    assert json.loads((folder / "results.json").read_text())["simulated"]
    assert "Simulated listeners" in (folder / "index.html").read_text()
    (test,) = load_listeners(study)
    assert (test.study, test.simulated) == ("tones", True)
    assert len(test.rows) == 6  # three pairs, three strengths
    assert (folder / "answers.csv").read_text().splitlines()[1].startswith("tones,1,")
