"""A small study for the listening tests: systems of plain tones, one second each; a browser."""

import json
import re
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from sqlalchemy import event

from ostinato.listening.plan import prepare
from ostinato.listening.store.database import connect, open_engine
from ostinato.listening.store.store import Store
from ostinato.listening.study import study_of

RATE = 22050
SYSTEMS = ("human_secret", "model_secret", "other_secret")


def write_tones(folder, first, count, seconds=1.2, level=0.2):
    """WAV files of a chord each, of different loudness."""
    folder.mkdir(parents=True)
    time = np.arange(round(seconds * RATE)) / RATE
    for number in range(count):
        rng = np.random.default_rng(first + number)
        pitches = first * 2.0 ** (rng.integers(0, 12, 3) / 12)
        sound = sum(np.sin(2 * np.pi * pitch * time) for pitch in pitches)
        scale = level * (0.2 + 0.1 * number) / 3
        soundfile.write(str(folder / f"file-{number}.wav"), scale * sound, RATE)


def settings(design="ab", **changes):
    """The settings of a study file."""
    found = {
        "id": "tones",
        "design": design,
        "title": {"en": "A test"},
        "about": {"en": "Of tones"},
        "systems": {name: {"folder": name} for name in SYSTEMS},
        "questions": [{"id": "liking", "text": {"en": "Which?"}}],
        "items": 4,
        "trials": 4,
        "listeners": 4,
        "catch": {"trials": 1, "needed": 1},
        "sound": {"seconds": 1.0, "rate": RATE},
        "hear_seconds": 0.0,
    }
    if design == "ratings":
        found["questions"][0] |= {"low": {"en": "bad"}, "high": {"en": "good"}}
    if design == "mushra":
        found |= {"match": "prompt", "reference": SYSTEMS[0]}
    if design == "human":
        found |= {"reference": SYSTEMS[0]}
    return found | changes


def tones(root):
    """The folders of all systems."""
    for number, name in enumerate(SYSTEMS):
        if not (root / name).exists():
            write_tones(root / name, 220 + 110 * number, 4)
    return root


def plan_of(root: Path, design="ab", **changes):
    """A plan on the tones below a folder."""
    return prepare(study_of(settings(design, **changes)), tones(root))


@cache
def known_plan(root, design, changes):
    """The plan of tones that no test changes."""
    return plan_of(root, design, **json.loads(changes))


@cache
def empty_database():
    """The bytes of a store without studies: running the migrations takes longer than a test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        open_engine(f"sqlite:///{path}").dispose()
        return path.read_bytes()


def store_of(root, folder, design="ab", *, simulated=False, **changes):
    """A registered store in a new SQLite file; the tones are below `root`."""
    plan = known_plan(root, design, json.dumps(changes))
    path = folder / "answers.db"
    if not path.exists():
        path.write_bytes(empty_database())
    engine = connect(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def hurry(connection, _):
        connection.execute("PRAGMA synchronous=OFF")

    store = Store(engine, plan)
    store.register(simulated=simulated)
    return store


class Browser:
    """A browser without scripts, which does what listen.js does and keeps all traffic."""

    def __init__(self, client, language="en"):
        self.client = client
        self.client.headers["accept-language"] = language
        self.traffic = []

    def get(self, path):
        return self._note(self.client.get(path))

    def post(self, path, **options):
        return self._note(self.client.post(path, **options))

    def _note(self, response):
        self.traffic.append(response)
        return response

    def begin(self):
        csrf = re.search(r'name="csrf" value="(\w+)"', self.get("/").text)[1]
        assert self.post("/begin", data={"csrf": csrf, "agree": "yes"}).status_code == 303
        page = self.get("/go").text
        assert self.get("/sound/volume").status_code == 200
        csrf = re.search(r'name="csrf" value="(\w+)"', page)[1]
        assert self.post("/ready", data={"csrf": csrf}).status_code == 303
        return self

    def settings(self):
        found = re.search(r'data-settings="([^"]*)"', self.get("/go").text)
        return None if found is None else json.loads(found[1].replace("&#34;", '"'))

    def answer(self, settings, value="a"):
        body = {name: settings[name] for name in ("trial", "csrf")}
        body |= {"answer": {"liking": value}, "log": [[5, "play", "a", 0]], "milliseconds": 900}
        return self.post("/answer", json=body)

    def finish(self, value="a"):
        count = 0
        while (settings := self.settings()) is not None:
            for key, _ in settings["sounds"]:
                assert self.get(f"/sound/{key}").status_code == 200
            given = value
            if any(role.startswith("s") for _, role in settings["sounds"]):
                given = None
            response = self.answer(settings, given) if given is not None else self.rate(settings)
            assert response.json() == {"saved": True, "again": False}
            count += 1
        return count

    def rate(self, settings):
        answer = {role: 50 for _, role in settings["sounds"] if role != "ref"}
        body = {name: settings[name] for name in ("trial", "csrf")}
        body |= {"answer": answer, "log": [], "milliseconds": 900}
        return self.post("/answer", json=body)
