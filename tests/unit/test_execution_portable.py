"""Stages round alike on every x86-64 processor with AVX2; what is made on request is fast."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ostinato.execution import machine, portable
from ostinato.execution.portable import NATIVE, SETTINGS, STAGES, make_portable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portable.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(portable, "this_kind", lambda: {"vector": "AVX2 AVX512"})


def set_for(stage: str, **given: str) -> dict[str, str]:
    environment = dict(given)
    make_portable(stage, environment)
    return environment


@pytest.mark.usefixtures("avx2")
def test_stages_get_the_settings_and_other_commands_none() -> None:
    assert set_for("train") == set_for("evaluate") == SETTINGS
    assert set_for("generate") == set_for("live") == {}


@pytest.mark.usefixtures("avx2")
def test_a_user_has_the_last_word() -> None:
    assert set_for("train", **{NATIVE: "1"}) == {NATIVE: "1"}
    assert set_for("train", MKL_CBWR="AUTO")["MKL_CBWR"] == "AUTO"


def test_processors_without_these_instructions_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(portable, "this_kind", lambda: {"vector": ""})
    assert set_for("train") == {}
    monkeypatch.setattr(portable, "this_kind", lambda: {"vector": "NEON"})
    monkeypatch.setattr(portable.platform, "machine", lambda: "aarch64")
    assert set_for("train") == {}


def test_every_script_that_dvc_runs_is_a_stage() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert {line.split("pipelines/")[1].split(".py")[0] for line in text.splitlines()
            if "python pipelines/" in line} == set(STAGES)  # fmt: skip


@pytest.mark.starts
def test_the_libraries_follow_the_settings() -> None:
    """torch and numpy say which instructions they use; no setting makes them warn."""
    if machine.platform.machine() != "x86_64" or "AVX2" not in machine.this_kind()["vector"]:
        pytest.skip("a processor without AVX2")
    code = (
        "import numpy, scipy.linalg, torch; torch.ones(8, 8) @ torch.ones(8, 8);"
        "print(torch.backends.cpu.get_cpu_capability())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | SETTINGS,
    )
    assert done.stdout.strip() == "AVX2"
    assert not done.stderr
