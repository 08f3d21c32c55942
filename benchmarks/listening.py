"""A listening test under load: python -m benchmarks.listening.

Two hundred listeners at once on one server, each with its own connection; the server is killed half
way (SIGKILL) and started again. Printed: answers a second, time of a page and of an answer (median
and 99th percentile), time to the first sound, and whether an answer was lost or stored twice.
All this goes to results/listening.json.
"""

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import soundfile
import yaml

from ostinato.execution.commands import run_command

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "listening.json"
RATE, SECONDS, ITEMS, TRIALS = 44100, 12.0, 6, 6
STUDY = {
    "id": "load",
    "design": "ab",
    "title": {"en": "Load"},
    "about": {"en": "Load"},
    "systems": {"one": {"folder": "one"}, "two": {"folder": "two"}},
    "questions": [{"id": "liking", "text": {"en": "Which?"}}],
    "items": ITEMS,
    "trials": TRIALS,
    "training": 0,
    "catch": {"trials": 0, "needed": 0},
    "sound": {"seconds": SECONDS, "rate": RATE},
}


class Listener(threading.Thread):
    """One browser: pages, sounds and answers, repeated until they arrive."""

    def __init__(self, number, port, think, times):
        super().__init__()
        self.port, self.think, self.times = port, think, times
        self.rng = np.random.default_rng(number)
        self.cookies, self.connection, self.confirmed, self.code = {}, None, 0, ""

    def request(self, kind, method, path, body=None, content_type=None):
        """Status and content of a response, after as many tries as it takes."""
        while True:
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
                headers |= {"Content-Type": content_type} if content_type else {}
                start = time.perf_counter()
                self.connection.request(method, path, body, headers)
                response = self.connection.getresponse()
                content = response.read()
                self.times[kind].append(time.perf_counter() - start)
            except (OSError, http.client.HTTPException):
                self.connection = None
                time.sleep(0.5)
                continue
            for value in response.headers.get_all("set-cookie") or []:
                name, _, rest = value.partition("=")
                self.cookies[name] = rest.split(";")[0]
            return response.status, content

    def form(self, path, **fields):
        """Send a form."""
        kind = "application/x-www-form-urlencoded"
        return self.request("page", "POST", path, urlencode(fields), kind)

    def run(self):
        """Take the whole test."""
        start = time.perf_counter()
        _, page = self.request("page", "GET", "/")
        self.form("/begin", csrf=re.search(rb'csrf" value="(\w+)', page)[1].decode(), agree="yes")
        _, page = self.request("page", "GET", "/go")
        self.form("/ready", csrf=re.search(rb'csrf" value="(\w+)', page)[1].decode())
        is_first = True
        while True:
            _, page = self.request("page", "GET", "/go")
            found = re.search(rb'data-settings="([^"]*)"', page)
            if found is None:
                self.code = re.search(rb"<code>(\w+)", page)[1].decode()
                return
            settings = json.loads(found[1].replace(b"&#34;", b'"'))
            for key, _ in settings["sounds"]:
                status, _ = self.request("sound", "GET", f"/sound/{key}")
                assert status == 200, status
                if is_first:
                    self.times["first sound"].append(time.perf_counter() - start)
                    is_first = False
            time.sleep(self.rng.uniform(0, 2 * self.think))
            body = {name: settings[name] for name in ("trial", "csrf")}
            body |= {"answer": {"liking": "a"}, "log": [], "milliseconds": 1000}
            status, _ = self.request(
                "answer", "POST", "/answer", json.dumps(body), "application/json"
            )
            assert status == 200, status
            self.confirmed += 1


def serve(folder, port):
    """Start the server and wait until it listens."""
    limits = "requests_per_second: 100000, address_per_second: 100000, new_per_minute: 1000000"
    command = [sys.executable, str(ROOT / "pipelines" / "listen.py"), "listening=load"]
    command += [f"port={port}", "underpowered=true", f"limits={{{limits}}}"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert any(line.startswith("Ctrl-C") for line in server.stdout), "the server did not start"
    return server


def prepare(folder, listeners):
    """Tones of two systems and the study's file."""
    (folder / "params.yaml").write_text("{}\n")
    clock = np.arange(round(RATE * SECONDS)) / RATE
    for system, base in (("one", 220.0), ("two", 330.0)):
        (folder / system).mkdir()
        for number in range(ITEMS):
            sound = 0.1 * np.sin(2 * np.pi * base * 2 ** (number / 12) * clock)
            soundfile.write(str(folder / system / f"{number}.wav"), sound, RATE)
    (folder / "listening").mkdir()
    study = yaml.safe_dump(STUDY | {"listeners": listeners})
    (folder / "listening" / "load.yaml").write_text(study)


def stored(folder):
    """Answers in the store, and trials that have one."""
    from ostinato.listening.store.database import open_engine

    with open_engine(f"sqlite:///{folder}/listening/load/answers.db").connect() as connection:
        query = "select count(*), count(distinct trial) from listening_answers"
        return tuple(connection.exec_driver_sql(query).one())


def summary(kind, values):
    """Milliseconds, printed and for the results."""
    middle, high = (round(1000 * float(x)) for x in np.quantile(values, [0.5, 0.99]))
    print(f"{kind:12s} median {middle:7d} ms   p99 {high:7d} ms   n {len(values)}")
    return {"part": kind, "median": middle, "p99": high, "n": len(values)}


def main():
    from benchmarks.measure import machine
    from ostinato.files import write_json

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--think", type=float, default=4.0, help="mean seconds before an answer")
    parser.add_argument("--port", type=int, default=8199)
    parser.add_argument("--no-kill", action="store_true")
    parser.add_argument("--note", default="", help="written beside the results")
    given = parser.parse_args()
    times = {kind: [] for kind in ("page", "sound", "answer", "first sound")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, given.listeners)
        server = serve(folder, given.port)
        listeners = [Listener(n, given.port, given.think, times) for n in range(given.listeners)]
        start, down = time.perf_counter(), 0.0
        for listener in listeners:
            listener.start()
        if not given.no_kill:
            while sum(listener.confirmed for listener in listeners) < given.listeners * TRIALS / 2:
                time.sleep(0.05)
            killed = time.perf_counter()
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            server = serve(folder, given.port)
            down = time.perf_counter() - killed
        for listener in listeners:
            listener.join()
        spent = time.perf_counter() - start - down
        server.terminate()
        server.wait()
        confirmed = sum(listener.confirmed for listener in listeners)
        found, distinct = stored(folder)
    codes = len({listener.code for listener in listeners})
    rate = confirmed / spent
    print(
        f"{given.listeners} listeners, {confirmed} answers in {spent:.1f} s without the "
        f"{down:.1f} s of the restart: {rate:.0f} a second"
    )
    rows = [summary(kind, values) for kind, values in times.items()]
    lost = given.listeners * TRIALS - distinct
    print(f"stored {found}, twice {found - distinct}, lost {lost}, completion codes {codes}")
    if not given.no_kill:
        kept = {"stored": found, "twice": found - distinct, "lost": lost, "codes": codes}
        whole = {"listeners": given.listeners, "seconds": round(spent, 1), "down": round(down, 1)}
        whole |= {"answers a second": round(rate, 1), "think": given.think, "note": given.note}
        write_json(RESULTS, {"machine": machine(), **whole, **kept, "rows": rows})
    sys.exit(int(bool(lost or found != distinct or codes != given.listeners)))


if __name__ == "__main__":
    run_command(main)
