"""A micro laboratory: this working tree with fourteen chorales and two tiny models, built by DVC.

It is built once, in two folders at the same time; every test that asks for `laboratory` gets a copy
of its own, so tests may change it and may run in any worker.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = ("data/", "evaluation/", "made_on/", "models/", "report/", "samples/", "dvc.lock")

PARAMS = """
datasets: [micro]
encodings:
  micro-grid: {dataset: micro, form: grid, representation: grid}
  micro-remi: {dataset: micro, form: events, representation: remi}
studies: {}
systems:
  tiny-lstm: {paradigm: autoregressive, family: lstm, size: micro,
    form: grid, encoding: micro-grid, learns_from: data/tokens/micro-grid, seed: 1}
  tiny-gpt: {paradigm: autoregressive, family: gpt, size: micro,
    form: grid, encoding: micro-grid, learns_from: data/tokens/micro-grid, seed: 1}
sampling: {unconditional: 2, continue: 1, bars: 4, min_bars: 1, prompt_bars: 1, seed: 1,
  temperature: 1.0, top_k: 0, top_p: 0.95}
evaluation: {resamples: 40, seed: 1}
"""
# short, in 4/4, and each the only one with its melody: 8 in train, 3 in valid, 3 in test
CHORALES = (
    *("bwv165.6", "bwv265", "bwv281", "bwv3.6", "bwv332", "bwv335", "bwv336", "bwv36.8-2"),
    *("bwv404", "bwv341", "bwv115.6"),
    *("bwv290", "bwv293", "bwv384"),
)
DATASET = """
source:
  kind: music21
  include: [{include}]
  digest: "{digest}"
  url: "https://example.org/micro"
  licence: a few of the chorales, for tests
  citation: none
normalize:
  voices: [soprano, alto, tenor, bass]
  split: {{train: 0.8, valid: 0.1, test: 0.1, seed: 1}}
"""
MODEL = """# @package _global_
model:
  {{width: 16, voice_hidden: 8, order: [0, 1, 4, 2, 3], periods: [16], held_steps: 8,
   layers: 1, {own}}}
optimizer: {{lr: 0.01, warmup: 5}}
training:
  {{steps: 20, batch: 4, crop: 32, validate_every: 10, transpose: [-2, 2], threads: 1}}
"""
OWN = {"lstm": "dropout: 0.1", "gpt": "heads: 2, context: 32"}

# the network that tells samples from music learns for as long as a test needs, not as it should
QUICK = ("src/ostinato/metrics/step_network.py", "steps: int = 120", "steps: int = 4")
SECOND = ("evaluate@tiny-gpt", "encode@micro-remi")  # what the second laboratory builds


@dataclass(frozen=True)
class Laboratory:
    """A project folder and how to run things in it."""

    root: Path

    def environment(self, **variables):
        """As a user's shell, with this folder's package before any installed one."""
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("OSTINATO_", "DVC_", "MLFLOW_", "PYTEST_", "PYTHON"))
        }
        return inherited | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
            "PYTHONWARNINGS": "ignore",
            "OSTINATO_TRACKING": "off",
            "OSTINATO_WORKERS": "1",
            "OMP_NUM_THREADS": "1",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.root / ".dvc" / "tmp" / "site"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **variables,
        }

    def start(self, *command, cwd=None, **variables):
        """A process of this Python with these arguments."""
        return subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=cwd or self.root,
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command, cwd=None, fails=False, **variables):
        """What such a process printed, after checking how it ended."""
        process = self.start(*command, cwd=cwd, **variables)
        printed = process.communicate()[0]
        assert bool(process.returncode) == fails, f"{command}:\n{printed}"
        return printed

    def write(self, name, text):
        """Write one of its files."""
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def edit(self, name, old, new):
        """Replace a text that occurs once in one of its files."""
        text = (self.root / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
        self.write(name, text.replace(old, new))


def copy_working_tree(target):
    """What git tracks or would track of this project, changes included and outputs left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if not name.startswith(OUTPUTS) and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
            if name.endswith(".py"):  # compiled once is enough for all of its processes
                ours, its = (Path(cache_from_source(where / name)) for where in (ROOT, target))
                if ours.exists():
                    its.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ours, its)


def digest_of(names, folder):
    """The digest that conf/dataset promises of files of the installed corpus."""
    from ostinato.datasets.music21_corpus import corpus_folder
    from ostinato.files import checksums, sha256_json

    folder.mkdir(parents=True)
    for name in names:
        shutil.copyfile(corpus_folder() / name, folder / Path(name).name)
    return sha256_json(checksums(folder))


def make_laboratory(root, digest):
    """An unbuilt laboratory in a git repository of its own."""
    copy_working_tree(root)
    laboratory = Laboratory(root)
    laboratory.write("params.yaml", PARAMS)
    laboratory.edit(*QUICK)
    include = ", ".join(f'"bach/{name}.mxl"' for name in CHORALES)
    laboratory.write("conf/dataset/micro.yaml", DATASET.format(include=include, digest=digest))
    for family, own in OWN.items():
        laboratory.write(f"conf/model/{family}/micro.yaml", MODEL.format(own=own))
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "micro"]):
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True)
    return laboratory


def store_of(laboratory):
    """Where the runs of the first laboratory are."""
    return f"sqlite:///{laboratory.root.parent}/store/mlflow.db"


def build_whole(laboratory):
    """All stages one by one; tiny-lstm without tracking, which takes as long as all the rest."""
    laboratory.run("-m", "dvc", "repro", "evaluate@tiny-lstm")
    tracking = {"OSTINATO_TRACKING": "on", "MLFLOW_TRACKING_URI": store_of(laboratory)}
    return laboratory.run("-m", "dvc", "repro", **tracking)


@pytest.fixture(scope="session")
def store_uri(built):
    return store_of(built[0])


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Two laboratories in different folders, built at the same time.

    The first one by `dvc repro`, stage by stage, tiny-gpt tracked; the other one without tiny-lstm
    and with independent stages side by side.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all workers: one of them builds, the others wait
    home = shared / "laboratories"
    folders = [home / "one", home / "else where" / "another"]
    with FileLock(shared / "laboratories.lock"):
        if not (home / "built").exists():
            shutil.rmtree(home, ignore_errors=True)  # of a worker that failed
            digest = digest_of([f"bach/{name}.mxl" for name in CHORALES], home / "chorales")
            made = [make_laboratory(folder, digest) for folder in folders]
            with ThreadPoolExecutor() as pool:
                whole = pool.submit(build_whole, made[0])
                part = pool.submit(made[1].run, "-m", "ostinato.execution.repro", *SECOND)
                assert whole.result()
                assert part.result()
            (home / "built").touch()
    return [Laboratory(folder) for folder in folders]


@pytest.fixture
def laboratory(built, tmp_path):
    """A built laboratory that this test may change."""
    shutil.copytree(built[0].root, tmp_path / "laboratory", symlinks=True)
    return Laboratory(tmp_path / "laboratory")
