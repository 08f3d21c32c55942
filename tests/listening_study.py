"""A small study for the listening tests: systems of plain tones, one second each."""

from pathlib import Path

import numpy as np
import soundfile

from ostinato.listening.plan import prepare
from ostinato.listening.store.database import open_engine
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


def store_of(root, folder, design="ab", *, simulated=False, **changes):
    """A registered store in a new SQLite file; the tones are below `root`."""
    plan = plan_of(root, design, **changes)
    store = Store(open_engine(f"sqlite:///{folder / 'answers.db'}"), plan)
    store.register(simulated=simulated)
    return store
