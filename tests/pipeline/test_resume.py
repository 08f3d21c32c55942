"""A training that is killed or interrupted, beside one left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from ostinato.corpus.store import Entry
from ostinato.evaluation.registry import scorer_of
from ostinato.files import checksums
from ostinato.generator import Generator
from ostinato.loading.batches import whole_pieces
from ostinato.loading.tokens import open_tokens
from ostinato.music.piece import VOICES
from ostinato.representations.registry import build as representation_of
from ostinato.representations.store import write_encoding
from ostinato.sampling.request import Request

pytestmark = pytest.mark.slow
CPU = {"accelerator": "cpu", "devices": 1}
TINY = (
    "model.order=[]",  # of four voices without bar lines
    *("system=lstm", "model.width=16", "model.voice_hidden=4", "model.layers=1", "model.dropout=0"),
    *("training.precision=32-true", "training.threads=1", "training.batch=4", "training.crop=16"),
)

BARS = {"kind": "grid", "bars": True, "end": True, "meters": ["4/4"]}
REMI = {"kind": "events", "max_quarters": 4}
MEL = {"kind": "mel", "bands": 24, "seconds": 2.0, "iterations": 1}
ROLES = {"kind": "roles", "roles": list(VOICES), "order": list(VOICES), "meters": ["4/4"]}
ROLES |= {"registers": {voice: [36, 96] for voice in VOICES}, "several": "merge"}
UNET = {"widths": (16, 16), "depths": (1, 1), "level_width": 8, "heads": 2, "dropout": 0.1}
VAE = {"latent": 4, "width": 16, "encoder_hidden": 8, "voice_hidden": 16}
SMALL = {"width": 16, "layers": 1, "heads": 2, "dropout": 0.1}
WHOLE_WAY = (
    "absorbing_events",
    "audio_ddpm",
    "latent_ddpm",
)  # of the others, samples are tested elsewhere
QUICK = {"steps": 2, "gibbs": 0, "restarts": 0, "candidates": 1, "seconds": 1.0}
OTHERS = {  # a micro size of a family of each paradigm, and what it learns on
    "gpt": (BARS, SMALL | {"voice_hidden": 8, "context": 24}),
    "absorbing": (BARS, SMALL | {"voice_hidden": 16}),
    "absorbing_events": (REMI, SMALL | {"voice_hidden": 16, "context": 24}),
    "ddpm": (BARS, UNET),
    "audio_ddpm": (MEL, UNET | {"patch": 2}),
    "vae": (BARS, VAE),
    "latent_ddpm": (BARS, UNET | {"vae": VAE}),
    "gan": (
        BARS,
        {"width": 12, "critic_width": 12, "latent": 4, "neurons": "stochastic"},
    ),
    "band": (ROLES, SMALL | {"coordinator_layers": 1, "memory": 24}),
}


@pytest.fixture(scope="module")
def start(tokens):
    """Start a training in a process of its own, forked from one that has imported all it needs."""
    from forked import CONTEXT

    def start(settings, out, resume_root, tokens=tokens, track=None):
        from ostinato.training.fit import fit

        options = {"trainer_options": CPU, "resume_root": resume_root, "track": track}
        process = CONTEXT.Process(target=fit, args=(settings, tokens, out), kwargs=options)
        process.start()
        return process

    return start


def saved_step(resume_root):
    """The step that a run would go on from; -1 where none is saved."""
    for path in resume_root.glob("*/resume.json"):
        return json.loads(path.read_text())["step"]
    return -1


def kill_later(process, resume_root, after, seconds):
    """Kill a training some time after it has saved a step beyond `after`; the step it had saved."""
    deadline = time.monotonic() + 180
    while saved_step(resume_root) <= after:
        assert process.is_alive(), "the training ended before it could be killed"
        assert time.monotonic() < deadline, "the training saves nothing"
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "the training ended before it could be killed"
    return saved_step(resume_root)


def test_a_training_that_is_killed_twice_ends_with_the_very_same_model(
    settings_of, start, tmp_path
):
    """At any moment; what each family keeps of its own is in the test below."""
    settings = settings_of("lstm", steps=240, validate_every=8)
    whole = start(settings, tmp_path / "whole", tmp_path / "elsewhere")
    whole.join()
    assert whole.exitcode == 0
    moment = random.Random("lstm")
    step, resume = -1, tmp_path / "resume"
    for _ in range(2):
        process = start(settings, tmp_path / "model", resume)
        reached = kill_later(process, resume, step, moment.uniform(0, 0.3))
        assert step < reached < 240
        assert not (tmp_path / "model").exists()
        step = reached
    last = start(settings, tmp_path / "model", resume)
    last.join()
    assert last.exitcode == 0
    assert checksums(tmp_path / "model") == checksums(tmp_path / "whole")
    assert list(resume.iterdir()) == []


class Killing:
    """A record that ends its process at the second validation, of which nothing is saved yet."""

    def __init__(self, mark):
        self.rows = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def log(self, metrics, step):
        self.rows += 1
        if self.rows == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    def flush(self):
        """Nothing is kept."""


@pytest.fixture(scope="module")
def encoded(tmp_path_factory, chorale):
    """Open an encoding of a few pieces, which is written once."""
    home = tmp_path_factory.mktemp("encodings")
    splits = ("train",) * 6 + ("valid", "test")
    pieces = [chorale(seed) for seed in range(len(splits))]
    entries = [Entry(p, split, p.id, p.id) for p, split in zip(pieces, splits, strict=True)]

    def encoded(config):
        folder = home / config["kind"]
        if not folder.exists():
            origin = dict.fromkeys(("licence", "citation", "url"), "none")
            write_encoding(folder, "made", entries, representation_of(config), origin)
        return open_tokens(folder)

    return encoded


@pytest.mark.parametrize("family", OTHERS)
def test_every_family_that_is_killed_ends_with_the_very_same_model(
    settings_of, train, encoded, start, tmp_path, family
):
    representation, model = OTHERS[family]
    settings = settings_of(steps=6, validate_every=2, transpose=(0, 0))
    settings = replace(settings, system=family, family=family, model=model)
    tokens, resume = encoded(representation), tmp_path / "resume"
    if "vae" in model:  # whose vectors it learns
        vae = replace(settings, system="vae", family="vae", model=VAE)
        train(vae, tmp_path / "vae", tmp_path / "elsewhere", tokens=tokens)
        settings = replace(settings, model=model | {"autoencoder": str(tmp_path / "vae")})
    train(settings, tmp_path / "whole", tmp_path / "elsewhere", tokens=tokens)
    process = start(settings, tmp_path / "model", resume, tokens, Killing)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert saved_step(resume) == 2
    assert not (tmp_path / "model").exists()
    train(settings, tmp_path / "model", resume, tokens=tokens)
    assert checksums(tmp_path / "model") == checksums(tmp_path / "whole")
    if family in WHOLE_WAY:
        samples_and_scores(tmp_path / "model", tokens)


def samples_and_scores(folder, tokens):
    """A seed gives one piece; held-out pieces cost something, where there is a likelihood."""
    generator = Generator.load(folder)
    options = {k: v for k, v in QUICK.items() if k in generator.capabilities().options}
    asked = Request(bars=2, options=options)
    one, again = (generator.generate(asked)[0] for _ in range(2))
    assert one.row["failed"] is None
    assert np.array_equal(one.made.tokens, again.made.tokens)
    scorer = scorer_of(generator.trained.model, generator.trained.card["family"])
    if scorer is not None:
        ((_, pieces),) = whole_pieces(tokens, "test")
        assert 0 < float(scorer.score(pieces).detach().sum()) < float("inf")


def test_ctrl_c_ends_a_training_in_one_line_and_without_a_model(script, project):
    steps = ("training.steps=100000", "training.validate_every=10")
    process = script("train", *TINY, *steps, "out=models/lstm")
    deadline = time.monotonic() + 120
    while saved_step(project / ".cache" / "resume") < 10 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.rstrip().splitlines()[-1] == "interrupted; nothing half-written is left"
    assert not (project / "models").exists()
    assert saved_step(project / ".cache" / "resume") >= 10


def test_dvc_resumes_a_killed_training_and_a_finished_one_is_not_replaced(laboratory):
    model = laboratory.root / "models" / "tiny-lstm"
    laboratory.edit("conf/model/lstm/micro.yaml", "{steps: 20,", "{steps: 400,")
    dvc = [sys.executable, "-m", "dvc", "repro", "--single-item", "train@tiny-lstm"]
    process = subprocess.Popen(
        dvc,
        cwd=laboratory.root,
        env=laboratory.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while saved_step(laboratory.root / ".cache" / "resume") < 10 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert not model.exists(), "DVC removes the old output first"
    assert "tiny-lstm: resuming from step" in laboratory.run(*dvc[1:])
    whole = checksums(model)

    by_hand = ("pipelines/train.py", "system=tiny-lstm", "model=lstm/micro", "out=models/tiny-lstm")
    assert "models/tiny-lstm is finished; overwrite=true trains it" in laboratory.run(*by_hand)
    printed = laboratory.run(*by_hand, "optimizer.lr=0.02", fails=True)
    assert "optimizer.lr: 0.01 in models/tiny-lstm, 0.02 now" in printed
    assert checksums(model) == whole
