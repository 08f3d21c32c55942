"""`make clean` in a folder of its own: what goes, what stays, and what it asks about."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
GONE = (".venv/bin/x", ".cache/downloads/x", "renders/lstm/x", ".mypy_cache/x")
KEPT = ("data/raw/x", "models/lstm/x", "samples/lstm/x", "mlflow.db", "mlartifacts/x", "exports/x")
ASKED = ("outputs/train/x", "multirun/train/x", ".cache/resume/x")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def clean(folder, answer, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    command = ["make", "-s", "-f", str(MAKEFILE), "clean"]
    done = subprocess.run(command, cwd=folder, input=answer, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("answer", "stays"), [("y\n", False), ("n\n", True), ("", True)])
def test_trial_models_and_unfinished_trainings_go_after_a_yes_alone(tmp_path, answer, stays):
    printed = clean(tmp_path, answer, (*GONE, *KEPT, *ASKED))
    assert "are in: outputs multirun .cache/resume" in printed
    assert not any((tmp_path / name).exists() for name in GONE)
    assert all((tmp_path / name).exists() for name in KEPT)
    assert all((tmp_path / name).exists() == stays for name in ASKED)


def test_nothing_is_asked_where_there_is_nothing_to_lose(tmp_path):
    assert clean(tmp_path, "", (*GONE, *KEPT)) == ""
    assert clean(tmp_path, "", ()) == ""
