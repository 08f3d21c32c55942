"""A training that is killed or interrupted, beside one left alone."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from ostinato.files import checksums

pytestmark = pytest.mark.slow
CPU = {"accelerator": "cpu", "devices": 1}
TINY = (
    "model.order=[]",  # of four voices without bar lines
    *("system=lstm", "model.width=16", "model.voice_hidden=4", "model.layers=1", "model.dropout=0"),
    *("training.precision=32-true", "training.threads=1", "training.batch=4", "training.crop=16"),
)

OTHERS = {  # a micro size of paradigms that train on the grid of these tests
    "absorbing": {"width": 16, "voice_hidden": 16, "layers": 1, "heads": 2, "dropout": 0.1},
    "ddpm": {"widths": (16, 16), "depths": (1, 1), "level_width": 8, "heads": 2, "dropout": 0.1},
}


@pytest.fixture(scope="module")
def start(tokens):
    """Start a training in a process of its own, forked from one that has imported all it needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ostinato.training.fit"])

    def start(settings, out, resume_root):
        from ostinato.training.fit import fit

        options = {"trainer_options": CPU, "resume_root": resume_root}
        process = context.Process(target=fit, args=(settings, tokens, out), kwargs=options)
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


@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_a_training_that_is_killed_twice_ends_with_the_very_same_model(
    settings_of, start, tmp_path, family
):
    settings = settings_of(family, steps=240, validate_every=8)
    whole = start(settings, tmp_path / "whole", tmp_path / "elsewhere")
    whole.join()
    assert whole.exitcode == 0
    moment = random.Random(family)
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


@pytest.mark.parametrize("family", OTHERS)
def test_other_paradigms_end_with_the_very_same_model(settings_of, start, tmp_path, family):
    settings = settings_of(steps=60, validate_every=10)
    settings = replace(settings, system=family, family=family, model=OTHERS[family])
    whole = start(settings, tmp_path / "whole", tmp_path / "elsewhere")
    resume = tmp_path / "resume"
    process = start(settings, tmp_path / "model", resume)
    assert 0 < kill_later(process, resume, 0, 0.0) < 60
    last = start(settings, tmp_path / "model", resume)
    for each in (whole, last):
        each.join()
        assert each.exitcode == 0
    assert checksums(tmp_path / "model") == checksums(tmp_path / "whole")


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
