"""What tests share: global state put back, a seeded corpus, its tokens, a tiny trained model."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from ostinato.corpus.store import Entry
from ostinato.music.piece import VOICES, Key, Meter, Piece, Tempo, Track, make_notes
from ostinato.representations.grid.grid import Grid

ROOT = Path(__file__).parents[1]
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many workers as cores, one thread each
RANGES = ((64, 76), (57, 69), (50, 62), (40, 55))
SPLITS = ("train",) * 7 + ("valid",) * 2 + ("test",) * 2


# fixtures that train a model or start processes, which `make test-fast` does without
STARTS = {
    "train",
    "model_folder",
    "script",
    "forked",
    "run_script",
    "built",
    "laboratory",
    "fitted",
    "overfitted",
}
FEW = 2  # cases of a test that `make test-fast` tries
settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.register_profile("fast", max_examples=5, deadline=None)  # of `make test-fast`
settings.load_profile("patient")


gc.disable()  # until all is imported, which no collection needs to look through again


def pytest_collection_finish():
    gc.enable()
    gc.freeze()


def pytest_collection_modifyitems(config, items):
    long = {item.path for item in items if "built" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in long)  # the longest first, so none ends alone
    cases = Counter()
    for item in items:
        if STARTS & set(getattr(item, "fixturenames", ())):
            item.add_marker("starts")
        function = item.nodeid.partition("[")[0]
        cases[function] += 1
        if cases[function] > FEW and config.getoption("--hypothesis-profile") == "fast":
            item.add_marker("long")


@pytest.fixture(autouse=True)
def global_state(monkeypatch):
    """No tracking, one worker; threads, random state and Ctrl-C as they were."""
    monkeypatch.setenv("OSTINATO_TRACKING", "off")
    monkeypatch.setenv("OSTINATO_WORKERS", "1")
    interrupt = signal.getsignal(signal.SIGINT)
    torch = sys.modules.get("torch")
    before = (torch.get_num_threads(), torch.get_rng_state()) if torch else None
    if torch:
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)
    yield
    signal.signal(signal.SIGINT, interrupt)
    if torch and before:
        torch.set_num_threads(before[0])
        torch.set_rng_state(before[1])


def build_chorale(seed, bars=4, tpq=480):
    """Four voices that walk in steps, each in its own range; no two seeds share a melody."""
    rng = np.random.default_rng(seed)
    rows = []
    for voice, (low, high) in enumerate(RANGES):
        onset, pitch, end = 0, (low + high) // 2, bars * 4 * tpq
        while onset < end:
            duration = min(int(rng.choice([tpq // 2, tpq, tpq, 2 * tpq])), end - onset)
            rows.append((voice, onset, duration, pitch, 80))
            pitch = int(np.clip(pitch + rng.choice([-3, -2, -1, 1, 2, 3]), low, high))
            onset += duration
    return Piece(
        id=f"chorale-{seed}",
        ticks_per_quarter=tpq,
        notes=make_notes(rows),
        tracks=tuple(Track(name=voice.capitalize(), role=voice) for voice in VOICES),
        tempos=(Tempo(0, 90.0),),
        meters=(Meter(0, 4, 4),),
        keys=(Key(0, -1, "major"),),
        source=f"chorale-{seed}.mid",
    )


@pytest.fixture(scope="session")
def chorale():
    return build_chorale


@pytest.fixture(scope="session")
def tokens_folder(tmp_path_factory):
    """Eleven chorales as grid tokens; the first is shorter than a crop of 32."""
    from ostinato.representations.store import write_encoding

    folder = tmp_path_factory.mktemp("tokens") / "bach-grid"
    pieces = [build_chorale(seed, bars=1 if not seed else 4) for seed in range(len(SPLITS))]
    entries = [Entry(p, split, p.id, p.id) for p, split in zip(pieces, SPLITS, strict=True)]
    origin = {"licence": "none", "citation": "none", "url": "none"}
    write_encoding(folder, "bach", entries, Grid(), origin)
    return folder


@pytest.fixture(scope="session")
def tokens(tokens_folder):
    from ostinato.loading.tokens import open_tokens

    return open_tokens(tokens_folder)


MODELS = {
    "lstm": {
        "width": 24,
        "voice_hidden": 8,
        "layers": 2,
        "dropout": 0.1,
        "periods": [16],
        "held_steps": 8,
    },
    "gpt": {"width": 16, "voice_hidden": 8, "layers": 1, "heads": 2, "context": 24, "dropout": 0.1},
}
MODELS["gpt2"] = MODELS["gpt"]
MODELS["music_transformer"] = MODELS["gpt"] | {
    "max_distance": 8,
    "periods": [16],
    "pitch_range": [1, 46],
}


def build_settings(family="lstm", model=None, optimizer=None, **training):
    """A training of a second or two."""
    from ostinato.training.settings import OptimizerSettings, Settings, TrainingSettings

    chosen = {"steps": 20, "batch": 4, "crop": 32, "validate_every": 10, "ema_decay": 0.5}
    chosen |= {"transpose": (-3, 3), "threads": 1} | training
    return Settings(
        system=family,
        family=family,
        size="tiny",
        encoding="bach-grid",
        seed=1,
        model=MODELS[family] | (model or {}),
        optimizer=OptimizerSettings(**({"lr": 0.01, "warmup": 5} | (optimizer or {}))),
        training=TrainingSettings(**chosen),
    )


@pytest.fixture(scope="session")
def settings_of():
    return build_settings


@pytest.fixture(scope="session")
def train(tokens):
    """Fit in this process, on one CPU."""

    def run(settings, out, resume_root, track=None, tokens=tokens):
        from ostinato.training.fit import fit

        options = {"accelerator": "cpu", "devices": 1}
        return fit(
            settings, tokens, out, trainer_options=options, resume_root=resume_root, track=track
        )

    return run


@pytest.fixture(scope="session")
def model_folder(train, tmp_path_factory):
    """A trained lstm, under the name of its system."""
    folder = tmp_path_factory.mktemp("models")
    train(build_settings(), folder / "lstm", folder / "resume")
    return folder / "lstm"


@pytest.fixture(scope="module")
def quick_network():
    """The network that tells samples from music learns for a few steps only."""
    from functools import partial

    from ostinato.metrics import step_network

    with pytest.MonkeyPatch.context() as patch:
        short = partial(step_network.NetworkSettings, steps=4)
        patch.setattr(step_network, "NetworkSettings", short)
        yield


@pytest.fixture(scope="module")
def reference_folder(quick_network, tokens, tmp_path_factory):
    """What reference@ writes of the tokens."""
    from ostinato.evaluation import reference as module
    from ostinato.evaluation.excerpts import EvaluationSettings

    settings = EvaluationSettings(resamples=20, seed=1)
    folder = tmp_path_factory.mktemp("reference")
    groups = {s: np.array([f"group {p}" for p in part.piece]) for s, part in tokens.splits.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "groups_of", lambda corpus, tokens: groups)
        module.write_reference(folder / "made", folder, tokens, settings, bars=2)
    return folder / "made"


@pytest.fixture(scope="session")
def make_project(tokens_folder):
    """Make a folder to run scripts in: the project's params.yaml and the tiny tokens."""

    def make(folder):
        shutil.copy(ROOT / "params.yaml", folder)
        shutil.copytree(tokens_folder, folder / "data" / "tokens" / "bach-grid")
        return folder

    return make


@pytest.fixture
def project(make_project, tmp_path):
    return make_project(tmp_path)


@pytest.fixture
def script(project):
    """Start a script of pipelines/ in the project, as a user does."""

    def start(name, *arguments, wrapper=(), cwd=project, **variables):
        path = str(ROOT / "pipelines" / f"{name}.py")
        environment = os.environ | {"DVC_ROOT": str(cwd), "PYTHONWARNINGS": "ignore"}
        environment["PYTHONFAULTHANDLER"] = "1"  # a crash shows where, in whichever process
        return subprocess.Popen(
            [sys.executable, *wrapper, path, *arguments],
            cwd=cwd,
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def forked(project, tmp_path_factory):
    """Run a Python file, by default a script of pipelines/ in the project, without imports anew."""
    from forked import Script

    printed, begun = tmp_path_factory.mktemp("printed"), []

    def start(name, *arguments, cwd=project, **variables):
        path = name if Path(name).suffix else ROOT / "pipelines" / f"{name}.py"
        variables = {"DVC_ROOT": str(cwd)} | variables
        process = Script(path, arguments, cwd, variables, printed / str(len(begun)))
        process.start()
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()


@pytest.fixture
def run_script(script, forked):
    """Run a script to its end, started anew only with a wrapper: (exit status, stdout, stderr)."""

    def run(name, *arguments, wrapper=(), **options):
        if wrapper:
            process = script(name, *arguments, wrapper=wrapper, **options)
        else:
            process = forked(name, *arguments, **options)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    return run


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A database of runs whose tables exist: making them takes seconds."""
    from ostinato.tracking.store import SWITCH, open_store

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv(SWITCH, raising=False)
        open_store()
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def flip_byte():
    """Change one byte in the middle of a file."""

    def flip(path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return flip


@pytest.fixture(scope="session")
def moved():
    """A piece transposed by some semitones, under another name."""

    def move(piece, semitones, name):
        notes = piece.notes.copy()
        notes["pitch"] += semitones
        return replace(piece, id=name, notes=notes, source=f"{name}.mid")

    return move


def build_score(parts, head=""):
    """MusicXML of parts given as (part name, instrument name, contents of measures)."""
    listed = "".join(
        f'<score-part id="P{n}"><part-name>{name}</part-name><score-instrument id="P{n}-I1">'
        f"<instrument-name>{instrument}</instrument-name></score-instrument></score-part>"
        for n, (name, instrument, _) in enumerate(parts)
    )
    bodies = "".join(
        f'<part id="P{n}">'
        + "".join(f'<measure number="{m}">{text}</measure>' for m, text in enumerate(measures))
        + "</part>"
        for n, (_, _, measures) in enumerate(parts)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><score-partwise version="3.1">{head}'
        f"<part-list>{listed}</part-list>{bodies}</score-partwise>"
    )


@pytest.fixture(scope="session")
def score():
    return build_score
